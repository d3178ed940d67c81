"""The pulse sees a blocked event loop from outside of it, and says where it hangs."""

import asyncio
import logging
import time

import pytest

from overspill.serve.health import Pulse


def hangs_here() -> None:
    time.sleep(0.5)  # blocks the loop, which is what is tested


async def test_tells_where_a_blocked_loop_hangs(caplog: pytest.LogCaptureFixture) -> None:
    pulse = Pulse(every_s=0.02, stalled_s=0.2)
    pulse.start(asyncio.get_running_loop())
    try:
        await asyncio.sleep(0.1)
        assert pulse.complaints() == []

        with caplog.at_level(logging.ERROR):
            hangs_here()
        assert pulse.complaints() == [f"the event loop was blocked for {pulse.age_s():.0f} s"]
        [told] = caplog.records
        assert "hangs_here" in told.getMessage()

        for _ in range(2):  # the marks that waited come first
            await asyncio.sleep(0)
        assert pulse.complaints() == []
    finally:
        pulse.stop()
