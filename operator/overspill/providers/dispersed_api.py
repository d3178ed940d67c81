"""Dispersed's calls that the adapter makes, typed, signed, with the refusals we know.

One `Api` per account; used by `dispersed.py`. It knows paths and answers, and decides nothing.
"""

from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from overspill.core.errors import AuthRejected, LeaseNotFound, ProviderError, Unavailable
from overspill.ports import Clock
from overspill.providers import dispersed_wire as wire
from overspill.providers._http import Call, Limits, MarketHttp, Target
from overspill.providers.dispersed_config import Config
from overspill.providers.dispersed_sign import MOST_SKEW, Signer

PAGE = 50
MOST_PAGES = 400
_CLOCK_WORDS = ("x-time", "timestamp", "clock", "expired")


class SignedHttp(MarketHttp):
    """The one way to a market, with a signature on every send."""

    def __init__(
        self,
        target: Target,
        clock: Clock,
        signer: Signer,
        limits: Limits,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        super().__init__(target, clock, limits=limits, transport=transport)
        self._client.auth = signer


class Api:
    """One account's connection. Reads may be repeated; what costs is sent once."""

    def __init__(
        self,
        name: str,
        config: Config,
        secret: SecretStr,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self._signer = Signer(config.api_key, secret, clock)
        target = Target(name, config.endpoint, refusals=self._refused)
        self.http = SignedHttp(target, clock, self._signer, config.limits(), transport)

    async def gpus(self) -> list[wire.Gpu]:
        """The registry of what is to be had now."""
        found: list[wire.Gpu] = []
        for page in range(1, MOST_PAGES + 1):
            params: dict[str, str | int] = {
                "filter[only_available]": "true",
                "page": page,
                "limit": PAGE,
            }
            call = Call("GET", "/v1/gpu-registry", "read the GPU registry", params=params)
            got = (await self.http.read(call, wire.Gpus)).data
            found.extend(got)
            if len(got) < PAGE:
                return found
        raise Unavailable(f"{self.name}: the GPU registry does not end", provider=self.name)

    async def create(self, body: Mapping[str, Any]) -> wire.Job:
        """A new job. Costs, from this moment on."""
        call = Call("POST", "/v1/jobs", "create a job", body=body, costs=True)
        return await self.http.send(call, wire.Job)

    async def job(self, job: str) -> wire.Job:
        """One job. Raises LeaseNotFound."""
        if not job:
            raise LeaseNotFound(f"{self.name}: no job is known yet", provider=self.name)
        return await self.http.read(Call("GET", f"/v1/jobs/{job}", f"read job {job}"), wire.Job)

    async def run(self, job: str) -> wire.Run | None:
        """The newest run of a job; None before there is one. We allow no second."""
        params: dict[str, str | int] = {"filter[job_uuid]": job, "limit": 10}
        call = Call("GET", "/v1/job-runs", f"read the runs of {job}", params=params)
        runs = (await self.http.read(call, wire.Runs)).data
        return max(runs, key=lambda run: run.started_at_ms or 0, default=None)

    async def output(self, run: str) -> wire.RunLog:
        """What the container of a run has printed; the list of runs leaves it out."""
        path = f"/v1/job-runs/{run}"
        return await self.http.read(Call("GET", path, f"read the log of run {run}"), wire.RunLog)

    async def jobs(self) -> list[wire.Job]:
        """Every job of the account, ended ones too: all pages or an error.

        The filter by status would need every status there is, and the list of those is not
        public. New jobs come first, so a list that grows may show one twice and hides none.
        """
        found: dict[str, wire.Job] = {}
        for page in range(1, MOST_PAGES + 1):
            params: dict[str, str | int] = {"page": page, "limit": PAGE, "sort": "-created_at"}
            call = Call("GET", "/v1/jobs", "list the jobs", params=params)
            got = (await self.http.read(call, wire.Jobs)).data
            found.update({job.uuid: job for job in got})
            if len(got) < PAGE:
                return list(found.values())
        raise Unavailable(f"{self.name}: the list of jobs does not end", provider=self.name)

    async def cancel(self, job: str) -> None:
        """Ends a job and its bill; silent when the market knows it no more."""
        path, body = f"/v1/jobs/{job}/cancel", {"reason": "closed by Overspill"}
        try:
            await self.http.no_content(Call("PUT", path, f"cancel job {job}", body=body))
        except LeaseNotFound:
            return

    def _refused(self, status: int, text: str) -> ProviderError | None:
        if status not in {400, 401, 403}:
            return None
        skew = self._signer.skew
        if abs(skew) > MOST_SKEW or (status == 401 and any(w in text for w in _CLOCK_WORDS)):
            side = "behind" if skew.days < 0 else "ahead of"
            return AuthRejected(
                f"the signature was refused ({status}) and our clock is "
                f"{abs(skew).total_seconds() / 60:.0f} minutes {side} the market's, which accepts "
                "5: set the clock of the operator's node (NTP)"
            )
        return None
