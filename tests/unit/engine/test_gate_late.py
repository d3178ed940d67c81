"""A leader that was paused on its way out of the door sends nothing when it wakes up."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.core.errors import OpenUncertain, Unavailable
from overspill.core.lease import Handle
from overspill.core.vocabulary import LeaseState
from overspill.engine.gate import READ_DEADLINE_S, EffectGate, GatedProvider
from overspill.ports import OpenRequest
from overspill.testing.clock import ManualClock
from overspill.testing.market import FakeMarket
from overspill.testing.placing import NOW, make_job, make_lease, rent

LEASE = make_lease(make_job(), rent("a1"), LeaseState.OPENING)
REQUEST = OpenRequest(
    LEASE.key, "c", LEASE.offer, 1, 1, Decimal(2), Decimal(9), NOW, 1, LEASE
)  # fmt: skip


def paused_for(seconds: float) -> tuple[GatedProvider, FakeMarket]:
    """A market behind a gate where the process stops for so long before each call."""
    clock = ManualClock()

    def pause(_site: str, moment: str) -> None:
        if moment == "before":
            clock.advance(seconds)

    market = FakeMarket(clock)
    return GatedProvider(market, EffectGate(clock, pause)), market


async def test_a_create_is_not_sent_after_its_permit() -> None:
    provider, market = paused_for(11)
    with pytest.raises(OpenUncertain):
        await provider.open(REQUEST, timedelta(seconds=10))
    assert market.live() == []


async def test_nor_is_a_close_that_was_decided_before_the_pause() -> None:
    provider, _ = paused_for(READ_DEADLINE_S + 1)
    with pytest.raises(Unavailable):
        await provider.close(Handle("key", "1"))


def test_the_failpoint_can_pause_the_process_instead_of_ending_it() -> None:
    script = (
        "from overspill.engine.gate import killing_hook\n"
        "hook = killing_hook('site:before:2:stop')\n"
        "for _ in range(2): hook('site', 'before')\n"
        "print('woken', flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert os.WSTOPSIG(status) == signal.SIGSTOP
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.read() == "woken\n"
