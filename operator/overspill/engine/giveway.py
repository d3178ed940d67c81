"""Two writers of one status give way to each other, instead of correcting each other for ever.

For some seconds there may be two leaders, and one may know less than the other. Each would find
the status wrong and write it anew, three times a second. Called by `engine/tell`.
"""

import json
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from overspill.core.job import Job
from overspill.core.jobstatus import essence
from overspill.engine.context import Engine
from overspill.engine.memory import Said

FIRST_S = 0.5
LONGEST_S = 30.0


def patience_s(engine: Engine, job: Job) -> float:
    """How long to wait before somebody else's words are written over; 0: they are our own."""
    said = engine.memory.said.get(job.ref.uid)
    if said is None or said.mark == _mark(job.status):
        return 0.0
    wait = min(LONGEST_S, FIRST_S * 2.0 ** min(said.in_vain, 16))
    return max(0.0, said.at + wait - engine.clock.monotonic())


def note(engine: Engine, job: Job, document: Mapping[str, Any]) -> None:
    """A status was written over the one that `job` shows."""
    said = engine.memory.said.get(job.ref.uid)
    is_theirs = said is not None and said.mark != _mark(job.status)
    in_vain = said.in_vain + 1 if said is not None and is_theirs else 0
    now = engine.clock.monotonic()
    engine.memory.said[job.ref.uid] = Said(_mark(document), now, in_vain)


def _mark(document: Mapping[str, Any]) -> int:
    """Equal for what says the same; a number, because there are thousands of jobs."""
    return crc32(json.dumps(_told(essence(document)), sort_keys=True, default=str).encode())


def _told(value: Any) -> Any:
    """Without what is empty, which the API server leaves out or fills in."""
    if isinstance(value, Mapping):
        inner = {name: _told(part) for name, part in value.items()}
        return {name: part for name, part in inner.items() if part not in (None, "", [], {})}
    if isinstance(value, list | tuple):
        return [_told(part) for part in value]
    return value
