"""An admitted request: its slot, and its transitions between work, waits and the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.http.admission.capacity import Capacity
from app.http.admission.clients import owner_name
from app.http.admission.slots import Slots
from app.http.shutdown import Shutdown

Value = TypeVar("Value")


class Admitted:
    """A request in flight. It holds a slot while it uses the database, and none while it waits.

    Attributes
    ----------
    client : whose requests in flight are counted together: an address or an API key, after authentication the owner of the key
    owner_id : owner of the API key once it is authenticated; slots are given to owners in turn, and to visitors of share links by address
    """

    def __init__(self, capacity: Capacity, client: str) -> None:
        self.client = client
        self.owner_id: str | None = None
        self._capacity = capacity
        self._slots: Slots = capacity.slots
        self._holder: str | None = None
        self._waiting = False

    @property
    def shutdown(self) -> Shutdown:
        """The end of the process, at which waits end."""
        return self._capacity.shutdown

    def count_as_owner(self, owner_id: str) -> bool:
        """Count the request among those of its owner, who may have many API keys; False if the owner has too many in progress."""
        self.owner_id, owner, requests = owner_id, owner_name(owner_id), self._capacity.requests
        if owner == self.client:
            return True
        requests.remove(self.client)
        if not requests.add(owner):
            requests.readd(self.client)
            return False
        self.client = owner
        return True

    def use_slots(self, slots: Slots) -> None:
        """Take slots of another kind from now on."""
        self._slots = slots

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Hold a slot within the context; the one that the request has already, if any.

        Raises
        ------
        Unavailable
            If none becomes free in time.
        """
        if self._holder is not None:
            yield
            return
        await self._acquire()
        try:
            yield
        finally:
            self._release()

    @asynccontextmanager
    async def paused(self, session: Session) -> AsyncGenerator[None]:
        """Hold no slot and no connection within the context; `session` is closed, and usable again afterwards."""
        had_slot = self._holder is not None
        await run_in_threadpool(session.close)
        self._release()
        yield
        if had_slot:
            await self._acquire()

    async def run(self, function: Callable[[], Value]) -> Value:
        """Call `function`, which opens a session of its own, in a thread under a slot."""
        async with self.slot():
            return await run_in_threadpool(function)

    def begin_wait(self) -> bool:
        """Count the request among those that wait for a state or stream, instead of those that work; False if too many wait already."""
        if not self._capacity.waits.add(self.client):
            return False
        self._waiting = True
        self._capacity.requests.remove(self.client)
        return True

    def end_wait(self) -> None:
        """Count the request among those that work again."""
        self._waiting = False
        self._capacity.waits.remove(self.client)
        self._capacity.requests.readd(self.client)

    def end(self) -> None:
        """Give back what the request holds."""
        self._release()
        (self._capacity.waits if self._waiting else self._capacity.requests).remove(self.client)

    async def _acquire(self) -> None:
        holder = self.owner_id or self.client
        await self._slots.acquire(holder)
        self._holder = holder

    def _release(self) -> None:
        if self._holder is not None:
            holder, self._holder = self._holder, None
            self._slots.release(holder)


def admitted_of(request: Request) -> Admitted:
    return cast("Admitted", request.state.admitted)


async def _admitted(request: Request) -> Admitted:
    return admitted_of(request)


AdmittedDep = Annotated[Admitted, Depends(_admitted)]
