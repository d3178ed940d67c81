"""Turns a recorded lease into the request of one `open` step: secrets are resolved here, late.

Secret values exist only in the returned request, for the time of one call.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from overspill.core.errors import OfferRejected
from overspill.core.lease import Handle, Lease
from overspill.core.vocabulary import TRUST_ORDER, TrustTier
from overspill.core.workload import PortableWorkload
from overspill.engine.context import Engine
from overspill.ports import OpenRequest

ALLOWED_TIERS = "overspill.dev/allowed-tiers"
TOKEN = "OVERSPILL_REPORT_TOKEN"  # noqa: S105  (the name of a variable, not a secret)


class SecretProblem(OfferRejected):
    """A Secret is missing, changed since planning, or may not go where the lease is.

    `is_missing` tells the two apart for the job's condition.
    """

    def __init__(self, message: str, *, is_missing: bool) -> None:
        super().__init__(message)
        self.is_missing = is_missing


async def open_request(engine: Engine, lease: Lease, handle: Handle | None) -> OpenRequest:
    """Everything `open` needs. Raises SecretProblem."""
    request = lease.request
    secrets: dict[str, str] = {}
    if request.workload is not None:
        secrets = await resolve(engine, lease.namespace, request.workload, lease.offer.trust_tier)
        if digest(engine, secrets) != request.secret_digest:
            raise SecretProblem("a Secret changed after the lease was planned", is_missing=False)
    if request.report_url:
        secrets[TOKEN] = engine.reports.token(lease.name)
    return OpenRequest(
        key=lease.key,
        cluster_id=lease.cluster_id,
        offer=lease.offer,
        gpu_count=request.gpu_count,
        num_nodes=request.num_nodes,
        max_usd_per_hour=lease.max_usd_per_hour,
        max_total_usd=lease.max_total_usd,
        hard_deadline=lease.hard_deadline,
        attempt=lease.attempt,
        lease=lease,
        workload=request.workload,
        secrets=secrets,
        handle=handle,
    )


async def resolve(
    engine: Engine, namespace: str, workload: PortableWorkload, tier: TrustTier
) -> dict[str, str]:
    """The values of the workload's Secret references, if every one may go to that trust tier."""
    values: dict[str, str] = {}
    for ref in workload.secret_env:
        secret = await engine.read_secret(namespace, ref.secret_name)
        data = (secret or {}).get("data") or {}
        if secret is None or ref.key not in data:
            if ref.optional:
                continue
            message = f"Secret {ref.secret_name!r} has no key {ref.key!r}; create it"
            raise SecretProblem(message, is_missing=True)
        _check_tier(secret, ref.secret_name, tier)
        values[ref.name] = base64.b64decode(data[ref.key]).decode()
    return values


def _check_tier(secret: Mapping[str, object], name: str, tier: TrustTier) -> None:
    if tier not in allowed_tiers(secret):
        message = (
            f"Secret {name!r} may not go to a place of trust tier {tier.value}; "
            f"annotate it with {ALLOWED_TIERS}: {tier.value!r} to allow it"
        )
        raise SecretProblem(message, is_missing=False)


def allowed_tiers(secret: Mapping[str, object]) -> frozenset[TrustTier]:
    """The trust tiers a Secret may reach: home always, others as its annotation says."""
    metadata = secret.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    words = str((annotations or {}).get(ALLOWED_TIERS, "")).split(",")
    named = {word.strip() for word in words}
    return frozenset(t for t in TrustTier if t is TRUST_ORDER[0] or t.value in named)


def digest(engine: Engine, values: Mapping[str, str]) -> str:
    """A keyed digest of resolved values: tells a change, tells nothing else."""
    if not values:
        return ""
    key = engine.settings.cluster_secret.get_secret_value().encode() or b"overspill"
    text = "\0".join(f"{k}={values[k]}" for k in sorted(values) if k != TOKEN)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
