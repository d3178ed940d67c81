"""The only door out: failpoints around every call, deadlines that are errors of the right kind."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from overspill.core.errors import NoCapacity, OpenUncertain, ProviderError, Unavailable
from overspill.core.lease import Handle
from overspill.core.vocabulary import LeaseState
from overspill.engine.gate import EffectGate, GatedCluster, GatedProvider, killing_hook
from overspill.ports import (
    BudgetStatus,
    Cluster,
    DeleteJob,
    DeleteLease,
    Event,
    JobStatus,
    LeaseStatus,
    OpenRequest,
    PlanLease,
    ProviderStatus,
    ReleaseLease,
)
from overspill.testing.clock import ManualClock
from overspill.testing.market import FakeMarket, Held
from overspill.testing.placing import NOW, make_job, make_lease, rent
from overspill.testing.virtualtime import LoopClock, run_virtual

from .world import MemoryCluster

JOB = make_job()
LEASE = make_lease(JOB, rent("a1"), LeaseState.OPENING)
HANDLE = Handle(LEASE.key, "1")
REQUEST = OpenRequest(
    LEASE.key, "c", LEASE.offer, 1, 1, Decimal(2), Decimal(9), NOW, 1, LEASE
)  # fmt: skip


class Recorder:
    """A hook that remembers."""

    def __init__(self) -> None:
        self.passed: list[tuple[str, str]] = []

    def __call__(self, site: str, moment: str) -> None:
        self.passed.append((site, moment))


async def test_every_call_passes_two_failpoints() -> None:
    hook = Recorder()

    async def call() -> int:
        return 7

    assert await EffectGate(ManualClock(), hook)("site", call) == 7
    assert hook.passed == [("site", "before"), ("site", "after")]


async def test_a_call_that_failed_has_no_after_and_is_not_repeated() -> None:
    hook, calls = Recorder(), []

    async def call() -> None:
        calls.append(1)
        raise NoCapacity("sold out")

    with pytest.raises(NoCapacity):
        await EffectGate(ManualClock(), hook)("site", call)
    assert hook.passed == [("site", "before")]
    assert calls == [1]


CALLS: dict[str, Callable[[GatedProvider], Awaitable[Any]]] = {
    "offers": lambda p: p.offers(None),
    "open": lambda p: p.open(REQUEST),
    "observe": lambda p: p.observe(HANDLE),
    "close": lambda p: p.close(HANDLE),
    "leases": lambda p: p.leases(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_of_a_provider_goes_through_the_gate(name: str) -> None:
    hook = Recorder()
    market = FakeMarket(ManualClock())
    market.sold.append(Held("1", LEASE.key, NOW))
    await CALLS[name](GatedProvider(market, EffectGate(ManualClock(), hook)))
    assert (f"market.{name}", "before") in hook.passed


CHANGES = (
    PlanLease(LEASE),
    LeaseStatus(LEASE),
    ReleaseLease(LEASE),
    DeleteLease(LEASE),
    JobStatus(JOB, {}),
    DeleteJob(JOB),
    ProviderStatus(cast("Any", None), {}),
    BudgetStatus(cast("Any", None), {}),
    Event(JOB, "Moved", "moved"),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
async def test_every_write_to_the_cluster_goes_through_the_gate(change: Any) -> None:
    hook = Recorder()
    cluster = GatedCluster(cast("Cluster", MemoryCluster()), EffectGate(ManualClock(), hook))
    await cluster.record(change)
    assert hook.passed[0] == (f"cluster.{type(change).__name__}", "before")


class Silent(FakeMarket):
    """Answers nothing."""

    async def _never(self, *_: Any) -> Any:
        await asyncio.sleep(1e6)

    offers = open = observe = close = leases = _never  # type: ignore[assignment]


@pytest.mark.parametrize("name", CALLS)
def test_silence_is_an_error_of_the_right_kind(name: str) -> None:
    async def play() -> ProviderError:
        clock = LoopClock()
        provider = GatedProvider(Silent(clock), EffectGate(clock))
        with pytest.raises(ProviderError) as caught:
            await CALLS[name](provider)
        return caught.value

    kind = OpenUncertain if name == "open" else Unavailable
    assert type(run_virtual(play())) is kind


def test_a_send_ends_at_the_deadline_it_was_given() -> None:
    async def play() -> float:
        clock = LoopClock()
        provider = GatedProvider(Silent(clock), EffectGate(clock))
        with pytest.raises(OpenUncertain):
            await provider.open(REQUEST, timedelta(seconds=3))
        return clock.monotonic()

    assert run_virtual(play()) == pytest.approx(3)


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def test_no_failpoint_is_no_hook() -> None:
    assert killing_hook("") is None


def test_a_failpoint_kills_at_the_nth_passage_of_its_site(deaths: list[tuple[int, int]]) -> None:
    hook = killing_hook("akash.open:after:2")
    assert hook is not None
    for site, moment in (
        ("akash.open", "after"), ("akash.open", "before"), ("akash.close", "after"),
    ):  # fmt: skip
        hook(site, moment)
    assert deaths == []
    hook("akash.open", "after")
    assert deaths == [(os.getpid(), signal.SIGKILL)]
    hook("akash.open", "after")
    assert len(deaths) == 1


def test_a_star_counts_every_site(deaths: list[tuple[int, int]]) -> None:
    hook = killing_hook("*:before:3")
    assert hook is not None
    for site in ("a", "b"):
        hook(site, "before")
    assert deaths == []
    hook("c", "before")
    assert len(deaths) == 1
