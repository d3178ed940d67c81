"""The work-queue: one worker a key, nothing forgotten, failures wait longer. In virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.engine.workqueue import FIRST_BACKOFF_S, MAX_BACKOFF_S, TURNS, Key, WorkQueue
from overspill.testing.virtualtime import run_virtual

A, B = ("lease", "a"), ("lease", "b")
Scenario = Callable[[WorkQueue], Awaitable[None]]


def played(scenario: Scenario) -> None:
    async def play() -> None:
        await scenario(WorkQueue())

    run_virtual(play())


async def due_in(queue: WorkQueue, key: Key) -> float:
    """Seconds until the queue gives the key."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await queue.get() == key
    queue.done(key)
    return loop.time() - began


def test_keys_come_in_order_and_once() -> None:
    async def scenario(queue: WorkQueue) -> None:
        for key in (A, B, A):
            queue.add(key)
        assert [await queue.get(), await queue.get()] == [A, B]
        queue.done(A)
        queue.done(B)
        assert queue.is_idle

    played(scenario)


def test_leases_go_first_but_not_for_ever() -> None:
    async def scenario(queue: WorkQueue) -> None:
        told = [("job", f"j{n}") for n in range(2)]
        leases = [("lease", f"l{n}") for n in range(6)]
        for key in (*told, *leases):
            queue.add(key)
        order = [await queue.get() for _ in range(8)]
        assert order[:3] == leases[:3]
        assert order.index(told[0]) == TURNS - 1
        assert order.index(told[1]) == 2 * TURNS - 1
        for key in order:
            queue.done(key)
        assert queue.is_idle

    played(scenario)


def test_a_key_that_changes_while_it_is_worked_on_comes_again_afterwards() -> None:
    async def scenario(queue: WorkQueue) -> None:
        queue.add(A)
        await queue.get()
        queue.add(A)
        queue.add(A)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 60)  # never two workers on one key
        queue.done(A)
        assert await queue.get() == A
        queue.done(A)
        assert queue.is_idle

    played(scenario)


def test_a_later_time_never_replaces_an_earlier_one() -> None:
    async def scenario(queue: WorkQueue) -> None:
        queue.add_after(A, 5)
        queue.add_after(A, 50)
        assert await due_in(queue, A) == pytest.approx(5)
        queue.add_after(A, 50)
        queue.add_after(A, 5)
        assert await due_in(queue, A) == pytest.approx(5)

    played(scenario)


def test_now_replaces_later() -> None:
    async def scenario(queue: WorkQueue) -> None:
        queue.add_after(A, 50)
        queue.add(A)
        assert await due_in(queue, A) == 0
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 1000)

    played(scenario)


@pytest.mark.parametrize("delay", [0, -3])
def test_no_delay_is_now(delay: float) -> None:
    async def scenario(queue: WorkQueue) -> None:
        queue.add_after(A, delay)
        assert await due_in(queue, A) == 0

    played(scenario)


def test_failures_wait_longer_up_to_a_limit_and_a_success_forgets_them() -> None:
    async def scenario(queue: WorkQueue) -> None:
        waits = []
        for _ in range(12):
            queue.add_failed(A)
            waits.append(await due_in(queue, A))
        assert waits[:3] == pytest.approx(
            [FIRST_BACKOFF_S, 2 * FIRST_BACKOFF_S, 4 * FIRST_BACKOFF_S]
        )
        assert waits[-1] == pytest.approx(MAX_BACKOFF_S)
        queue.forget(A)
        queue.add_failed(A)
        assert await due_in(queue, A) == pytest.approx(FIRST_BACKOFF_S)

    played(scenario)


def test_a_timer_that_fires_while_the_key_is_worked_on_is_not_lost() -> None:
    async def scenario(queue: WorkQueue) -> None:
        queue.add(A)
        await queue.get()
        queue.add_after(A, 1)
        await asyncio.sleep(2)
        queue.done(A)
        assert await due_in(queue, A) == 0

    played(scenario)


STEPS = st.lists(
    st.tuples(st.sampled_from("adfw"), st.sampled_from("abc"), st.floats(0, 9)), max_size=60
)


@settings(deadline=None)
@given(STEPS)
def test_nothing_that_was_added_is_ever_forgotten(steps: list[tuple[str, str, float]]) -> None:
    """After the last word about a key it is worked on once more, and never twice at once."""

    async def scenario(queue: WorkQueue) -> None:
        pending: set[Key] = set()
        working: set[Key] = set()

        async def work() -> None:
            while True:
                key = await queue.get()
                assert key not in working
                working.add(key)
                pending.discard(key)
                await asyncio.sleep(1)
                working.discard(key)
                queue.done(key)

        workers = [asyncio.create_task(work()) for _ in range(2)]
        for what, name, seconds in steps:
            key = ("lease", name)
            if what == "w":
                await asyncio.sleep(seconds)
                continue
            pending.add(key)
            if what == "d":
                queue.add_after(key, seconds)
            else:
                {"a": queue.add, "f": queue.add_failed}[what](key)
        await asyncio.sleep(1000)
        assert pending == set()
        assert queue.is_idle
        assert not [w for w in workers if w.done()]
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    played(scenario)
