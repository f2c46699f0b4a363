"""Slots are given to clients in turn, and never lost."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import Unavailable
from app.http.admission import slots as module
from app.http.admission.in_flight import InFlight
from app.http.admission.slots import Slots
from support.event_loop import run_coroutine


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_client_with_many_requests_waits_for_its_own_and_another_goes_next() -> None:
    async def scenario() -> list[str]:
        slots, order = Slots(1, 1), list[str]()

        async def work(client: str) -> None:
            await slots.acquire(client)
            order.append(client)
            slots.release(client)

        await slots.acquire("first")
        waits = [asyncio.create_task(work(client)) for client in ["many"] * 5 + ["one"]]
        await settle()
        slots.release("first")
        await asyncio.gather(*waits)
        return order

    assert run_coroutine(scenario()) == ["many", "one", "many", "many", "many", "many"]


def test_a_client_holds_its_share_at_most_and_leaves_slots_free_for_others() -> None:
    async def scenario() -> None:
        slots = Slots(4, 2)
        await slots.acquire("a")
        await slots.acquire("a")
        third = asyncio.create_task(slots.acquire("a"))
        await settle()
        assert not third.done()
        await asyncio.wait_for(slots.acquire("b"), 1)
        slots.release("a")
        await asyncio.wait_for(third, 1)

    run_coroutine(scenario())


def test_a_cancelled_wait_loses_no_slot() -> None:
    async def scenario() -> None:
        slots = Slots(1, 1)
        await slots.acquire("a")
        waits = [asyncio.create_task(slots.acquire(client)) for client in ("b", "c")]
        await settle()
        waits[0].cancel()
        slots.release("a")  # in the same step as the cancellation
        await asyncio.wait_for(waits[1], 1)
        slots.release("c")
        granted_and_cancelled = asyncio.create_task(slots.acquire("d"))
        await settle()
        granted_and_cancelled.cancel()
        await settle()
        slots.release("d")
        await asyncio.wait_for(slots.acquire("e"), 1)

    run_coroutine(scenario())


def test_a_wait_ends_with_503_after_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)

    async def scenario() -> None:
        slots = Slots(1, 1)
        await slots.acquire("a")
        with pytest.raises(Unavailable) as refused:
            await slots.acquire("b")
        assert (refused.value.code, refused.value.retry_after_seconds) == ("over_capacity", 2)
        slots.release("a")
        await asyncio.wait_for(slots.acquire("b"), 1)

    run_coroutine(scenario())


def test_amounts_in_flight_are_bounded_in_all_and_for_each_client_with_a_guaranteed_part() -> None:
    counted = InFlight(total_max=3, client_max=2, guaranteed=1)
    assert [counted.add("a"), counted.add("a"), counted.add("a")] == [True, True, False], "two of one client"
    assert [counted.add("b"), counted.add("b")] == [True, False], "three in all"
    assert counted.add("c"), "one is guaranteed"
    counted.remove("a", 2)
    assert counted.add("b"), "room again"
