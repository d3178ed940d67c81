"""A client of the sandbox for these tests: the Console API in a few words, and an SDL to send."""

from dataclasses import dataclass
from typing import Any

import httpx
import yaml

from overspill.sandbox.app import SandboxApp

KEY = "gl-c1u5ter8-0123456789"


def sdl(key: str = KEY, **changes: Any) -> dict[str, Any]:
    """An SDL document for one H100; `changes` reach into its parts by name."""
    resources: dict[str, Any] = {
        "cpu": {"units": 4},
        "memory": {"size": "16Gi"},
        "storage": {"size": "50Gi"},
        "gpu": {"units": 1, "attributes": {"vendor": {"nvidia": [{"model": "h100"}]}}},
    }
    resources.update(changes.pop("resources", {}))
    service: dict[str, Any] = {
        "image": "python:3.12",
        "command": ["/bin/sh", "-c", "sleep 1000"],
        "expose": [{"port": 8080, "to": [{"global": True}]}],
    }
    service.update(changes.pop("service", {}))
    placement: dict[str, Any] = {"pricing": {"job": {"denom": "uakt", "amount": 100_000}}}
    placement.update(changes.pop("placement", {}))
    return {
        "version": "2.0",
        "services": {"job": service},
        "profiles": {
            "compute": {"job": {"resources": resources}},
            "placement": {key: placement},
        },
        "deployment": {"job": {key: {"profile": "job", "count": changes.pop("count", 1)}}},
        **changes,
    }


@dataclass
class Market:
    """The API of one sandbox that runs in this process."""

    app: SandboxApp
    http: httpx.AsyncClient

    async def create(self, document: dict[str, Any] | None = None) -> httpx.Response:
        text = yaml.safe_dump(document or sdl())
        return await self.http.post("/v1/deployments", json={"data": {"sdl": text}})

    async def created(self, document: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.create(document)
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()["data"]
        return body

    async def bids(self, dseq: str) -> list[dict[str, Any]]:
        answer = await self.http.get("/v1/bids", params={"dseq": dseq})
        return [item["bid"] for item in answer.json()["data"]]

    async def lease(self, made: dict[str, Any], bid: dict[str, Any]) -> httpx.Response:
        wanted = {name: bid["id"][name] for name in ("dseq", "gseq", "oseq", "provider")}
        body = {"manifest": made["manifest"], "leases": [wanted]}
        return await self.http.post("/v1/leases", json=body)

    async def leased(self, document: dict[str, Any] | None = None) -> str:
        made = await self.created(document)
        self.advance(10)
        bids = await self.bids(made["dseq"])
        answer = await self.lease(made, bids[0])
        assert answer.status_code == 200, answer.text
        return str(made["dseq"])

    async def read(self, dseq: str) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/deployments/{dseq}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()["data"]
        return body

    async def the_lease(self, dseq: str) -> dict[str, Any]:
        leases = (await self.read(dseq))["leases"]
        assert len(leases) == 1
        only: dict[str, Any] = leases[0]
        return only

    async def control(self, path: str, /, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/_sandbox/{path}", json=body)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def fault(self, action: str, /, **rule: Any) -> None:
        await self.control("faults", action=action, **rule)

    async def summary(self) -> dict[str, Any]:
        body: dict[str, Any] = (await self.http.get("/_sandbox/summary")).json()
        return body

    def advance(self, seconds: float) -> None:
        self.app.world.timeline.run(self.app.world.clock.advance(seconds))
        self.app.chain.settle_all()

    def events(self, key: str = KEY) -> list[str]:
        return [e.event for e in self.app.world.ledger.entries() if e.key == key]
