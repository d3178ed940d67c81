"""Tokens for the hosts' gateways: what one grants, and whether that is enough.

A real one is signed with the wallet's key (ES256K) and read by every provider; here the sandbox
signs with a key of its own (HS256) and says so in the token's header. Built by `gateway.py`.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCOPES = frozenset(
    {
        "send-manifest",
        "get-manifest",
        "logs",
        "shell",
        "events",
        "status",
        "restart",
        "hostname-migrate",
        "ip-migrate",
        "attestation",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants: one scope on one lease."""

    provider: str
    dseq: int
    gseq: int
    oseq: int
    scope: str


class Tokens:
    """Makes and reads the tokens of one wallet."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._key = secrets.token_bytes(32)

    def issue(self, leases: Mapping[str, Any], now: float, ttl_s: int) -> str:
        """A token that grants `leases` for so long."""
        at = int(now)
        claims = {
            "iss": self._owner,
            "iat": at,
            "nbf": at,
            "exp": at + ttl_s,
            "jti": secrets.token_hex(8),
            "version": "v1",
            "leases": leases,
        }
        head = _encoded({"alg": "HS256", "typ": "JWT"})
        text = f"{head}.{_encoded(claims)}"
        return f"{text}.{self._signature(text)}"

    def allows(self, token: str, asked: Asked, now: float) -> bool:
        """Whether a token is one of ours, of its time, and grants what is asked."""
        text, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return False
        claims = _decoded(text.partition(".")[2])
        is_timely = claims["nbf"] <= now < claims["exp"]
        return is_timely and _grants(claims["leases"], asked)

    def _signature(self, text: str) -> str:
        return _base64url(hmac.new(self._key, text.encode(), hashlib.sha256).digest())


def fault_of(leases: Any) -> str:
    """What is wrong with what a token shall grant; "" when nothing is."""
    if not isinstance(leases, dict):
        return "leases must be an object"
    match leases.get("access"):
        case "full":
            return "full access has nothing beside it" if len(leases) > 1 else ""
        case "scoped":
            return _fault_of_scope(leases.get("scope"))
        case "granular":
            return _fault_of_all(leases.get("permissions"), _fault_of_permission)
    return "access must be full, scoped or granular"


def _fault_of_permission(permission: Mapping[str, Any]) -> str:
    if not isinstance(permission.get("provider"), str):
        return "a permission names its provider"
    match permission.get("access"):
        case "full":
            return ""
        case "scoped":
            return _fault_of_scope(permission.get("scope"))
        case "granular":
            return _fault_of_all(permission.get("deployments"), _fault_of_deployment)
    return "access must be full, scoped or granular"


def _fault_of_deployment(deployment: Mapping[str, Any]) -> str:
    if not isinstance(deployment.get("dseq"), int):
        return "dseq must be an integer"
    if "oseq" in deployment and "gseq" not in deployment:
        return "oseq requires gseq"
    if not deployment.get("services"):
        return "services are required"
    return _fault_of_scope(deployment.get("scope"))


def _fault_of_scope(scope: Any) -> str:
    is_known = isinstance(scope, list) and all(str(action) in SCOPES for action in scope)
    return "" if scope and is_known else "scope must be a list of known actions"


def _fault_of_all(entries: Any, fault_of_one: Any) -> str:
    if not isinstance(entries, list) or not entries:
        return "granular access needs its list"
    return next(filter(None, map(fault_of_one, entries)), "")


def _grants(leases: Mapping[str, Any], asked: Asked) -> bool:
    if leases["access"] != "granular":
        return _has(leases, asked)
    return any(
        _has(one, asked)
        if one["access"] != "granular"
        else any(_is_of(deployment, asked) for deployment in one["deployments"])
        for one in leases["permissions"]
        if one["provider"] == asked.provider
    )


def _has(granted: Mapping[str, Any], asked: Asked) -> bool:
    return granted["access"] == "full" or asked.scope in granted["scope"]


def _is_of(deployment: Mapping[str, Any], asked: Asked) -> bool:
    """A sequence that is absent or 0 means any; services are not looked at, as in the provider."""
    return (
        deployment["dseq"] == asked.dseq
        and deployment.get("gseq", 0) in {0, asked.gseq}
        and deployment.get("oseq", 0) in {0, asked.oseq}
        and asked.scope in deployment["scope"]
    )


def _encoded(document: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(document, separators=(",", ":")).encode())


def _decoded(text: str) -> dict[str, Any]:
    padded = text + "=" * (-len(text) % 4)
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(padded))
    return found


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
