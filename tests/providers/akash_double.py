"""A Console API in memory, enough for the adapter's unit tests: dicts behind a mock transport.

Written from the specification, apart from the adapter's wire models and apart from the sandbox.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import yaml

OWNER = "akash1owner"
START = 1_780_000_000_000
AKT = {
    "price": 2,
    "volume": 0,
    "marketCap": 0,
    "marketCapRank": 0,
    "priceChange24h": 0,
    "priceChangePercentage24": 0,
}


def bid(dseq: str, provider: str, amount: str, **changes: Any) -> dict[str, Any]:
    """A bid as the market shows it."""
    offered = changes.pop("gpu", {"units": {"val": "1"}, "attributes": []})
    count = {"units": {"val": "1000"}, "attributes": []}
    size = {"quantity": {"val": "1"}, "attributes": []}
    resources = {"cpu": count, "gpu": offered, "memory": size, "storage": [], "endpoints": []}
    ident = {"owner": OWNER, "dseq": dseq, "gseq": 1, "oseq": 1, "provider": provider, "bseq": 0}
    return {
        "bid": {
            "id": ident,
            "state": "open",
            "price": {"denom": "uact", "amount": amount},
            "created_at": "100",
            "resources_offer": [{"resources": resources, "count": 1}],
            **changes,
        },
        "escrow_account": escrow(),
    }


def escrow(transferred: str = "0", denom: str = "uact") -> dict[str, Any]:
    """An escrow account."""
    state = {
        "owner": OWNER,
        "state": "open",
        "transferred": [{"denom": denom, "amount": transferred}],
        "settled_at": "100",
        "funds": [{"denom": denom, "amount": "5000000"}],
        "deposits": [],
    }
    return {"id": {"scope": "deployment", "xid": "x"}, "state": state}


def host(owner: str, uptime: float | None = 0.99, **changes: Any) -> dict[str, Any]:
    """A provider of the list, with the fields the specification demands."""
    gpu = {"vendor": "nvidia", "model": "h100", "ram": "80Gi", "interface": "SXM5"}
    texts = (
        "name ipRegion ipRegionCode ipCountry ipCountryCode ipLat ipLon lastOnlineDate host "
        "organization statusPage locationRegion country city timezone locationType "
        "hostingProvider hardwareCpu hardwareCpuArch hardwareGpuVendor hardwareMemory "
        "networkProvider tier hardwareGpuModels hardwareDisk featPersistentStorageType "
        "workloadSupportChiaCapabilities"
    )
    return {
        **dict.fromkeys(texts.split()),
        "owner": owner,
        "hostUri": "https://p.invalid:8443",
        "createdHeight": 1,
        "cosmosSdkVersion": "",
        "akashVersion": "",
        "uptime1d": uptime,
        "uptime7d": uptime,
        "uptime30d": uptime,
        "isValidVersion": True,
        "isOnline": True,
        "isAudited": True,
        "gpuModels": [gpu],
        "attributes": [],
        "featPersistentStorage": False,
        "networkSpeedDown": 0,
        "networkSpeedUp": 0,
        "featEndpointCustomDomain": False,
        "workloadSupportChia": False,
        "featEndpointIp": False,
        **changes,
    }


def gpu_line(model: str = "h100", med: float | None = 2.5, **changes: Any) -> dict[str, Any]:
    """A line of the price list."""
    price = dict.fromkeys(("min", "max", "avg", "weightedAverage", "med"), med)
    return {
        "vendor": "nvidia",
        "model": model,
        "ram": "80Gi",
        "interface": "SXM5",
        "availability": {"total": 20, "available": 12},
        "providerAvailability": {"total": 3, "available": 2},
        "price": None if med is None else {"currency": "USD", **price},
        **changes,
    }


class Console:
    """The account's market. Fields are its truth; a test changes them as it likes."""

    def __init__(self, manifest_of: Callable[[dict[str, Any]], str]) -> None:
        self.manifest_of = manifest_of
        self.deployments: dict[str, dict[str, Any]] = {}
        self.bids: dict[str, list[dict[str, Any]]] = {}
        self.offered = [("akash1good", "2000"), ("akash1dear", "3000")]
        self.hosts = [host("akash1good"), host("akash1dear", 0.999)]
        self.models = [gpu_line()]
        self.balance = 120.5
        self.refuse: dict[str, tuple[int, str]] = {}
        """"METHOD /path" → the status and message it is refused with, once."""
        self.hidden_names: set[str] = set()
        self.hidden_own: set[str] = set()
        self.is_reachable = True
        self.closes = True
        self.settings: dict[str, bool] = {}
        """dseq → whether its escrow is refilled."""
        self.page = 1000
        self._lag_s = 0.0
        self._now: Callable[[], float] = lambda: 0.0
        self._listed_at: dict[str, float] = {}

    def transport(self) -> httpx.MockTransport:
        """The console as a transport."""
        return httpx.MockTransport(self.answer)

    def lags(self, seconds: float, now: Callable[[], float]) -> None:
        """From now on nothing shows a new deployment before so many seconds are over."""
        self._lag_s, self._now = seconds, now

    def live(self) -> int:
        """Deployments with an open escrow."""
        return sum(d["deployment"]["state"] == "active" for d in self.deployments.values())

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Routes one request."""
        path, method = request.url.path, request.method
        refusal = self.refuse.pop(f"{method} {path}", None)
        if refusal:
            return _error(*refusal)
        params = dict(request.url.params)
        body = json.loads(request.content) if request.content else {}
        for route, handler in self._routes().items():
            found = re.fullmatch(route, f"{method} {path}")
            if found:
                return handler(*found.groups(), params=params, body=body)
        return _error(404, "no such route")

    def _routes(self) -> dict[str, Callable[..., httpx.Response]]:
        chain = r"GET /akash/deployment/v1beta4/deployments"
        return {
            r"GET /v1/gpu-prices": lambda **_: _ok(
                {"availability": {"total": 20, "available": 12}, "models": self.models}
            ),
            r"GET /v1/providers": lambda **_: _ok(self.hosts),
            r"GET /v1/market-data/akt": lambda **_: _ok(AKT),
            r"GET /v1/balances": lambda **_: _ok(
                {"data": {"balance": self.balance, "deployments": 5, "total": self.balance + 5}}
            ),
            r"POST /v1/deployments": lambda **call: self._create(call["body"]["data"]),
            r"GET /v1/deployments": lambda **call: self._own(call["params"]),
            r"GET /v1/deployments/(\w+)": lambda dseq, **_: self._read(dseq),
            r"DELETE /v1/deployments/(\w+)": lambda dseq, **_: self._close(dseq),
            r"PATCH /v2/deployment-settings/(\w+)": lambda dseq, **call: (
                self._settings(dseq, call["body"]["data"])
                if dseq in self.settings
                else _error(404, "no settings")
            ),
            r"POST /v2/deployment-settings": lambda **call: self._settings(
                call["body"]["data"]["dseq"], call["body"]["data"], 201
            ),
            r"GET /v1/bids": lambda **call: _ok(
                {"data": self.bids.get(call["params"]["dseq"], [])}
            ),
            r"POST /v1/leases": lambda **call: self._lease(call["body"]),
            chain + "/list": lambda **call: self._public(call["params"]),
            chain + "/info": lambda **call: _ok(self._named(call["params"]["id.dseq"])),
        }

    def _create(self, data: dict[str, Any]) -> httpx.Response:
        sdl = yaml.safe_load(data["sdl"])
        dseq = str(START + len(self.deployments))
        (name,) = sdl["profiles"]["placement"]
        manifest = self.manifest_of(sdl)
        digest = hashlib.sha256(manifest.encode()).digest()
        self.deployments[dseq] = {
            "name": name,
            "manifest": manifest,
            "sdl": sdl,
            "deployment": {
                "id": {"owner": OWNER, "dseq": dseq},
                "state": "active",
                "hash": base64.b64encode(digest).decode(),
                "created_at": "100",
            },
            "leases": [],
            "escrow_account": escrow(),
            "deposit": data["deposit"],
        }
        self._listed_at[dseq] = self._now() + self._lag_s
        self.bids[dseq] = [bid(dseq, provider, amount) for provider, amount in self.offered]
        receipt = {"code": 0, "transactionHash": "AB", "rawLog": "[]"}
        return _ok({"data": {"dseq": dseq, "manifest": manifest, "signTx": receipt}}, 201)

    def _lease(self, body: dict[str, Any]) -> httpx.Response:
        (wanted,) = body["leases"]
        held = self.deployments[wanted["dseq"]]
        chosen = next(
            entry["bid"]
            for entry in self.bids[wanted["dseq"]]
            if entry["bid"]["id"]["provider"] == wanted["provider"]
        )
        if not held["leases"]:
            if chosen["state"] != "open":
                return _error(400, "Failed to create lease: The selected bid is no longer open")
            chosen["state"] = "active"
            held["leases"] = [
                {
                    "id": chosen["id"],
                    "state": "active",
                    "price": chosen["price"],
                    "created_at": "101",
                    "closed_on": "0",
                }
            ]
        held["sent"] = body["manifest"]
        return self._one(wanted["dseq"])

    def _status(self, held: dict[str, Any]) -> dict[str, Any] | None:
        if not self.is_reachable or held["leases"][0]["state"] == "closed":
            return None
        if "sent" not in held:
            return {"forwarded_ports": {}, "ips": {}, "services": {}}
        counts = dict.fromkeys(
            ("observed_generation", "replicas", "updated_replicas", "ready_replicas"), 1
        )
        service = {"name": "job", "available": 1, "total": 1, "uris": ["a.example"], **counts}
        port = {"port": 5000, "externalPort": 31000, "host": "p.example", "available": 1}
        return {
            "forwarded_ports": {"job": [port]},
            "ips": {},
            "services": {"job": {**service, "available_replicas": 1}},
        }

    def _is_hidden(self, dseq: str) -> bool:
        return self._now() < self._listed_at.get(dseq, 0.0)

    def _read(self, dseq: str) -> httpx.Response:
        return _error(404, "Deployment not found") if self._is_hidden(dseq) else self._one(dseq)

    def _one(self, dseq: str) -> httpx.Response:
        held = self.deployments.get(dseq)
        if held is None:
            return _error(404, "Deployment not found")
        leases = [{**lease, "status": self._status(held)} for lease in held["leases"]]
        return _ok({"data": {**_bare(held), "leases": leases}})

    def _settings(self, dseq: str, data: dict[str, Any], status: int = 200) -> httpx.Response:
        self.settings[dseq] = data["autoTopUpEnabled"]
        settings = {
            "id": "00000000-0000-4000-8000-000000000000",
            "userId": "u",
            "dseq": dseq,
            "autoTopUpEnabled": self.settings[dseq],
            "estimatedTopUpAmount": 1,
            "topUpFrequencyMs": 1,
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z",
        }
        return _ok({"data": settings}, status)

    def _own(self, params: dict[str, str]) -> httpx.Response:
        active = [
            held
            for dseq, held in self.deployments.items()
            if held["deployment"]["state"] == "active"
            and dseq not in self.hidden_own
            and not self._is_hidden(dseq)
        ]
        skip, limit = int(params["skip"]), min(self.page, int(params["limit"]))
        page = [_bare(held) for held in active[skip : skip + limit]]
        has_more = skip + limit < len(active)
        where = {"total": len(active), "skip": skip, "limit": limit, "hasMore": has_more}
        return _ok({"data": {"deployments": page, "pagination": where}})

    def _named(self, dseq: str) -> dict[str, Any]:
        held = self.deployments[dseq]
        spec = {
            "name": held["name"],
            "requirements": {"signed_by": {"all_of": [], "any_of": []}, "attributes": []},
            "resources": [],
        }
        ident = {"owner": OWNER, "dseq": dseq, "gseq": 1}
        group = {"id": ident, "state": "open", "group_spec": spec, "created_at": "100"}
        return {
            "deployment": held["deployment"],
            "groups": [group],
            "escrow_account": held["escrow_account"],
        }

    def _public(self, params: dict[str, str]) -> httpx.Response:
        names = [
            dseq
            for dseq, held in self.deployments.items()
            if held["deployment"]["state"] == params["filters.state"]
            and dseq not in self.hidden_names
            and not self._is_hidden(dseq)
        ]
        start = int(params.get("pagination.key", "0"))
        limit = min(self.page, int(params["pagination.limit"]))
        after = str(start + limit) if start + limit < len(names) else None
        page = [self._named(dseq) for dseq in names[start : start + limit]]
        where = {"next_key": after, "total": str(len(names))}
        return _ok({"deployments": page, "pagination": where})

    def _close(self, dseq: str) -> httpx.Response:
        if dseq not in self.deployments:
            return _error(404, "Deployment not found")
        if not self.closes:
            return _ok({"data": {"success": False}})
        held = self.deployments[dseq]
        held["deployment"]["state"] = "closed"
        for lease in held["leases"]:
            lease["state"] = "closed"
        return _ok({"data": {"success": True}})


def _bare(held: dict[str, Any]) -> dict[str, Any]:
    return {name: held[name] for name in ("deployment", "leases", "escrow_account")}


def _ok(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def _error(status: int, message: str) -> httpx.Response:
    body = {"error": "Error", "message": message, "code": "x", "type": "x", "data": None}
    return httpx.Response(status, json=body)
