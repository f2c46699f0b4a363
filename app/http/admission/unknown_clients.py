"""Bound the requests of clients that this process has not authenticated: without a key, with a made-up one, or with a key's first use.

A few run at once, addresses in turn, so that known owners do not wait behind all of them: a process that just started knows no key, and one
owner may have hundreds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.http.admission.in_flight import InFlight
from app.http.admission.slots import Slots

MAX, ADDRESS_MAX, GUARANTEED = 256, 64, 4  # that wait or run: in all, from one address, and from one address although `MAX` is reached
AT_ONCE, AT_ONCE_OF_ADDRESS = 8, 4
HOLD_SECONDS = 0.25  # then the next one begins: a stream, a long poll or a slow body lasts longer


class UnknownClients:
    """Requests of unknown clients in one event loop."""

    def __init__(self) -> None:
        self._in_flight = InFlight(MAX, ADDRESS_MAX, GUARANTEED)
        self._slots = Slots(AT_ONCE, AT_ONCE_OF_ADDRESS)

    def has_room(self, address: str) -> bool:
        """Whether `add` would add."""
        return self._in_flight.has_room(address)

    def add(self, address: str) -> bool:
        """Count a request, which has to take its `turn` then; False beyond a bound."""
        return self._in_flight.add(address)

    async def take_turn(self, address: str) -> Callable[[], None]:
        """Wait for the turn of a counted request; returns what ends it, unless HOLD_SECONDS have ended it already.

        Raises
        ------
        Unavailable
            If it does not come in time.
        """
        try:
            await self._slots.acquire(address)
        except BaseException:
            self._in_flight.remove(address)
            raise

        is_held = True

        def end() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                timer.cancel()
                self._slots.release(address)
                self._in_flight.remove(address)

        timer = asyncio.get_running_loop().call_later(HOLD_SECONDS, end)
        return end
