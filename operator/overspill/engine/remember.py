"""Keeps the past of places over restarts: read when we begin to lead, written now and then.

One small object, written by the leader alone at most every `past_period_s`. Losing it costs
foresight, never money: what cannot be read is said in the log, and the past starts anew. Nothing
is written before it was read, so that a slow API server does not cost the week that is kept there.
"""

import logging

from overspill.core.errors import OverspillError
from overspill.core.policy_keep import UnreadableError, packed, unpacked
from overspill.core.policy_past import STEP
from overspill.engine.context import Engine
from overspill.telemetry import PAST_HOURS

log = logging.getLogger(__name__)

LOOK_S = 15.0


async def remember_forever(engine: Engine) -> None:
    """The loop; an API server that does not answer is asked again at the next turn."""
    while True:
        await remember_once(engine)
        await engine.clock.sleep(min(LOOK_S, engine.settings.past_period_s))


async def remember_once(engine: Engine) -> None:
    """Reads the kept past if that was not done yet, else writes it when it is time to."""
    if engine.keepsake is None or not engine.leader.is_leader:
        return
    try:
        if engine.memory.past_kept_at is None:
            await _read(engine)
        elif _is_due(engine):
            await _write(engine)
    except OverspillError as error:
        log.warning("the past of places is kept, or read, next time: %s", error)
    PAST_HOURS.set(_hours(engine))


def _is_due(engine: Engine) -> bool:
    memory = engine.memory
    age = engine.clock.monotonic() - (memory.past_kept_at or 0.0)
    return memory.past.until != memory.past_kept_until and age >= engine.settings.past_period_s


async def _read(engine: Engine) -> None:
    assert engine.keepsake is not None  # noqa: S101  (the caller checked; narrows the type)
    content = await engine.keepsake.read()
    memory = engine.memory
    memory.past_kept_at = engine.clock.monotonic()
    if not content:
        log.info("no past of places is kept yet: nothing is predicted for the first six hours")
        return
    try:
        memory.past = await engine.off_loop(unpacked, content, STEP, engine.clock.now())
    except UnreadableError as error:
        log.warning("the kept past of places is not used, it starts anew: %s", error)
        return
    memory.past_kept_until = memory.past.until
    places = len(memory.past.tracks)
    log.info("the past of %d places over %.1f hours was read", places, _hours(engine))


async def _write(engine: Engine) -> None:
    assert engine.keepsake is not None  # noqa: S101  (as above)
    memory, past = engine.memory, engine.memory.past
    content = await engine.off_loop(packed, past)
    memory.past_kept_at = engine.clock.monotonic()
    await engine.keepsake.write(content)
    memory.past_kept_until = past.until


def _hours(engine: Engine) -> float:
    past = engine.memory.past
    return (
        0.0 if past.since is None else (past.until - past.since) * past.step.total_seconds() / 3600
    )
