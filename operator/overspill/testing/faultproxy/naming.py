"""Names of exchanges, short enough to be matched by a rule and alike from run to run.

api list gpuleases · api page gpuleases · api watch pods · api patch gpuleases/status
api event pods · akash POST /v1/deployments · vast DELETE /api/v0/instances/*
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

VERBS = {"POST": "create", "PATCH": "patch", "PUT": "put", "DELETE": "delete"}
KEY = re.compile(rb"gl-[0-9a-f]{8}-[0-9a-f]{18}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a client. `namespace` is "" where it concerns the whole cluster."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    name: str = ""
    namespace: str = ""
    resource: str = ""

    @property
    def is_watch(self) -> bool:
        """Whether the answer is a stream of events."""
        return self.query.get("watch") in ("true", "1")

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method in ("GET", "HEAD")

    @property
    def key(self) -> str:
        """The lease's name that it carries to a market; "" when it carries none."""
        found = KEY.search(self.body)
        return found[0].decode() if found else ""


@dataclass(frozen=True, slots=True)
class KubePath:
    """What a path of the API server is about."""

    resource: str
    namespace: str = ""
    name: str = ""

    @classmethod
    def of(cls, path: str) -> "KubePath":
        """Reads `/api/v1/…` and `/apis/<group>/<version>/…`; other paths are their own name."""
        parts = path.strip("/").split("/")
        skip = {"api": 2, "apis": 3}.get(parts[0])
        if skip is None or len(parts) <= skip:
            return cls(path)
        rest, namespace = parts[skip:], ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        subresource = f"/{rest[2]}" if len(rest) > 2 else ""
        return cls(rest[0] + subresource, namespace, rest[1] if len(rest) > 1 else "")


def kube_name(method: str, path: KubePath, query: Mapping[str, str]) -> str:
    """The name of a request to the API server; what asks which APIs there are is `discovery`."""
    if path.resource.startswith("/"):
        return "discovery"
    verb = VERBS.get(method, "get" if path.name else "list")
    if query.get("watch") in ("true", "1"):
        verb = "watch"
    elif query.get("continue"):
        verb = "page"
    return f"api {verb} {path.resource}"


def market_name(market: str, method: str, path: str) -> str:
    """The name of a request to a market: ids become `*`."""
    plain = "/".join("*" if part.isdigit() else part for part in path.rstrip("/").split("/"))
    return f"{market} {method} {plain}"
