"""Shows each account's state in GPUProvider status; written only when it changed, once a minute.

What stands there is for people and the CLI; nothing is decided on it.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from overspill.core.errors import OverspillError
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderHealth
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import LeaseState
from overspill.engine.accounts import Account
from overspill.engine.context import Engine
from overspill.ports import ProviderStatus

MAX_OFFERS = 100


async def show_accounts(engine: Engine) -> None:
    """One pass over all accounts."""
    for account in engine.accounts.by_name.values():
        spec = engine.cluster.view().accounts.get(account.spec.name)
        if spec is None:
            continue
        document = _document(engine, account, spec.status)
        if _gist(document) == _gist(spec.status):
            continue
        try:
            await engine.cluster.record(ProviderStatus(spec, document))
        except OverspillError:
            continue  # shown at the next pass


def _document(engine: Engine, account: Account, old: Mapping[str, Any]) -> dict[str, Any]:
    now = engine.clock.now()
    health = account.circuit.health()
    usable = health.is_usable and account.provider is not None
    leases = [
        x
        for x in engine.cluster.view().leases.values()
        if x.provider == account.spec.name and x.state is not LeaseState.CLOSED
    ]
    hourly = sum((x.price_usd_per_hour or Decimal(0) for x in leases), Decimal(0))
    free = [o for o in account.offers if not o.unavailable_reason]
    document: dict[str, Any] = {
        "observedGeneration": account.spec.generation,
        "conditions": [_ready(health, usable, account.spec.generation, old, stamp(now))],
        "circuit": {"state": "Closed" if usable else "Open", "failures": account.circuit.failures},
        "leases": len(leases),
        "hourlyUSD": f"{hourly:f}",
        "offersSeen": len(free),
        "offers": [_offer(o) for o in _cheapest(account.offers)],
        "offersTime": stamp(now),
    }
    why = health.reason or account.circuit.reason
    if why:
        word = {"reason": why, "message": health.message or account.circuit.message}
        document["lastError"] = {**word, "time": stamp(now)}
    return document


def _ready(
    health: ProviderHealth, usable: bool, generation: int, old: Mapping[str, Any], now: str
) -> dict[str, Any]:
    status = "True" if usable else "False"
    found = [c for c in old.get("conditions") or [] if c.get("type") == "Ready"]
    before: Mapping[str, Any] = found[0] if found else {}
    same = before.get("status") == status
    return {
        "type": "Ready",
        "status": status,
        "reason": "Usable" if usable else health.reason or "NotConfigured",
        "message": "" if usable else health.message,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if same else now,
    }


def _cheapest(offers: Any) -> list[Offer]:
    priced = [o for o in offers if o.gpu_count > 0]
    priced.sort(key=lambda o: (bool(o.unavailable_reason), o.price_per_gpu_hour, o.offer_id))
    return list({o.offer_id: o for o in priced}.values())[:MAX_OFFERS]


def _offer(offer: Offer) -> dict[str, Any]:
    return {
        "offerID": offer.offer_id,
        "place": offer.place,
        "gpuModel": offer.gpu_model,
        "gpuCount": offer.gpu_count,
        "pricePerGPUHourUSD": f"{offer.price_per_gpu_hour.quantize(Decimal('0.000001')):f}",
        "region": offer.region or None,
        "capacityType": offer.capacity_type.value,
        "available": not offer.unavailable_reason,
    }


def _gist(document: Mapping[str, Any]) -> Any:
    """What is worth a write: everything but times."""
    kept = {
        k: v
        for k, v in document.items()
        if k not in ("offersTime", "lastError", "offers", "runwaySeconds")
    }
    ready = [(c["status"], c["reason"]) for c in document.get("conditions") or []]
    offers = [
        tuple(sorted((k, v) for k, v in o.items() if v is not None))
        for o in document.get("offers") or []
    ]
    return (kept | {"conditions": ready}, offers)
