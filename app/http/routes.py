"""Route class of the API: authenticates before the body is read, and runs heavy routes in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, cast

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from app.http.admission.admitted import admitted_of
from app.http.admission.capacity import HEAVY_ROUTES, Capacity
from app.http.auth import current_owner, owner_of
from app.http.share_access import NO_STORE

# Where FastAPI keeps dependencies that are to be ended; generators end in the event loop that began them.
DEPENDENCY_STACKS = ("fastapi_inner_astack", "fastapi_function_astack")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class AuthenticatedRoute(APIRoute):
    """Route that finds the owner of the API key from the headers alone, if its function or a dependency takes `OwnerDep`."""

    def get_route_handler(self) -> Handler:
        original = super().get_route_handler()
        if not _takes_owner(self.dependant):
            return original

        async def handler(request: Request) -> Response:
            request.state.owner = await owner_of(request)
            route = request.method, request.scope["route"].path
            admitted_of(request).use_slots(cast("Capacity", request.app.state.capacity).slots_of(*route))
            if route in HEAVY_ROUTES:
                response = await _in_own_loop(request, lambda: self.answer(request, original))
            else:
                response = await self.answer(request, original)
            if hasattr(request.state, "share"):
                response.headers.update(NO_STORE)
            return response

        return handler

    async def answer(self, request: Request, original: Handler) -> Response:
        """Answer an authenticated request."""
        return await original(request)


async def _in_own_loop(request: Request, answer: Callable[[], Coroutine[Any, Any, Response]]) -> Response:
    """Parse, validate, answer and commit in a thread, so that the event loop of all requests goes on."""
    await request.body()

    async def answer_with_own_dependencies() -> Response:
        async with AsyncExitStack() as of_request, AsyncExitStack() as of_function:
            request.scope.update(zip(DEPENDENCY_STACKS, (of_request, of_function), strict=True))
            return await answer()

    outer = {name: request.scope[name] for name in DEPENDENCY_STACKS}
    async with admitted_of(request).slot():  # taken here, because slots belong to the loop of all requests
        try:
            return await run_in_threadpool(lambda: asyncio.run(answer_with_own_dependencies()))
        finally:
            request.scope.update(outer)


def _takes_owner(dependant: Dependant) -> bool:
    return dependant.call is current_owner or any(_takes_owner(each) for each in dependant.dependencies)
