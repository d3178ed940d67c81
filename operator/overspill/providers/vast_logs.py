"""The output of a Vast.ai instance: asked for, then fetched from where the market puts it.

The market writes the log to an address of its own making and tells that; the file comes a moment
later. It is fetched without our key. There is no stream: one reading is all there is.
"""

from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

from overspill.core.errors import AuthRejected, LeaseNotFound, Unavailable
from overspill.ports import Clock
from overspill.providers._http import Call, Limits, MarketHttp, Target, is_local

TRIES = 15
PAUSE_S = 1.0
SILENCE_S = 10.0


async def fetched(name: str, url: str, endpoint: str, clock: Clock) -> AsyncIterator[bytes]:
    """The lines of the file at `url`, once it is there."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local(endpoint)):
        raise Unavailable(f"{name}: the market put the log at no https address", provider=name)
    target = Target(name, f"{parts.scheme}://{parts.netloc}")
    call = Call("GET", parts.path, "read the log", params=dict(parse_qsl(parts.query)))
    http = MarketHttp(target, clock, limits=Limits(request_timeout_s=SILENCE_S))
    try:
        async for line in _when_there(http, call, clock):
            yield line
    finally:
        await http.aclose()


async def _when_there(http: MarketHttp, call: Call, clock: Clock) -> AsyncIterator[bytes]:
    for _ in range(TRIES):
        try:
            async for line in http.lines(call, SILENCE_S):
                yield line
        except (LeaseNotFound, AuthRejected):  # object stores say 403 or 404 of what is not there
            await clock.sleep(PAUSE_S)
        else:
            return
    raise http.failure(call, "the market did not bring it in time")
