"""The output of a Dispersed job: a field of its run, read whole each time. For `dispersed.py`.

There is no stream, no page and no tail in this API: following is reading again.
"""

from collections.abc import AsyncIterator

from overspill.ports import Clock
from overspill.providers.dispersed_api import Api
from overspill.providers.dispersed_observe import ENDED

LOOK_S = 3.0


async def lines(
    api: Api, clock: Clock, job: str, *, follow: bool, tail: int
) -> AsyncIterator[bytes]:
    """The last `tail` lines, oldest first; with `follow` also what comes, until the job is over."""
    told: int | None = None
    while True:
        # first the job: what a run that is over has printed grows no more
        is_over = (await api.job(job)).status in ENDED
        printed = await _printed(api, job, with_unfinished=is_over or not follow)
        begin = max(0, len(printed) - tail) if told is None else told
        for line in printed[begin:]:
            yield line
        if is_over or not follow:
            return
        told = len(printed)
        await clock.sleep(LOOK_S)


async def _printed(api: Api, job: str, *, with_unfinished: bool) -> list[bytes]:
    run = await api.run(job)
    text = (await api.output(run.uuid)).text() if run else ""
    *whole, rest = text.split("\n")
    found = [*whole, rest] if rest and with_unfinished else whole
    return [line.rstrip("\r").encode("utf-8", errors="replace") for line in found]
