"""Shows each account's state in GPUProvider status; written only when it changed, once a minute.

What stands there is for people and the CLI; nothing is decided on it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from overspill.core.errors import OverspillError
from overspill.core.lease import Lease
from overspill.core.offer import Offer
from overspill.core.policy_past import losses_of
from overspill.core.pricing import corrected_mtbf
from overspill.core.snapshot import ProviderAccount, ProviderHealth
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import LeaseState
from overspill.engine.accounts import Account
from overspill.engine.context import Engine
from overspill.engine.show_money import LOW, gist, money_document, purse_of
from overspill.ports import AccountEvent, ProviderStatus

MAX_OFFERS = 100
NAMED = 5

IN_USE = "InUse"
OPEN = "LeasesOpen"


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
            await _announce(engine, spec, document)
        except OverspillError:
            continue  # shown at the next pass


async def _announce(engine: Engine, spec: ProviderAccount, document: Mapping[str, Any]) -> None:
    """An event when the money begins to run out; while it stays so, the condition is enough."""
    low = _condition(document, LOW)
    if low and not _condition(spec.status, LOW):
        await engine.cluster.record(AccountEvent(spec, low["reason"], low["message"], True))


def _document(engine: Engine, account: Account, old: Mapping[str, Any]) -> dict[str, Any]:
    now = engine.clock.now()
    health = account.circuit.health()
    usable = health.is_usable and account.provider is not None
    leases = [
        x
        for x in engine.cluster.view().leases.values()
        if x.provider == account.spec.name and x.state is not LeaseState.CLOSED
    ]
    free = [o for o in account.offers if not o.unavailable_reason]
    document: dict[str, Any] = {
        "observedGeneration": account.spec.generation,
        "conditions": [
            _ready(health, usable, account.spec.generation, old, stamp(now)),
            *_low(engine, account, leases, old),
            *_in_use(engine, account, leases, old),
        ],
        "circuit": {"state": "Closed" if usable else "Open", "failures": account.circuit.failures},
        "leases": len(leases),
        **money_document(engine, account, leases),
        **_observed(engine, account),
        "offersSeen": len(free),
        "offers": [_offer(o) for o in _cheapest(account.offers)],
        "offersTime": stamp(now),
    }
    why = health.reason or account.circuit.reason
    if why:
        word = {"reason": why, "message": health.message or account.circuit.message}
        document["lastError"] = {**word, "time": stamp(now)}
    return document


def _observed(engine: Engine, account: Account) -> dict[str, int]:
    """The mean time between losses that placement reckons with, once something was lost."""
    node_hours, losses = losses_of(engine.memory.past.lives, account.spec.name)
    if not losses:
        return {}
    found = corrected_mtbf(account.spec.mtbf, Decimal(f"{node_hours:.3f}"), losses)
    # Whole hours: a figure that creeps would be a write at every pass.
    whole = 0 if found is None else max(1, found // timedelta(hours=1))
    return {"observedMTBFSeconds": whole * 3600}


def _ready(
    health: ProviderHealth, usable: bool, generation: int, old: Mapping[str, Any], now: str
) -> dict[str, Any]:
    status = "True" if usable else "False"
    before = _condition(old, "Ready")
    same = before.get("status") == status
    return {
        "type": "Ready",
        "status": status,
        "reason": "Usable" if usable else health.reason or "NotConfigured",
        "message": "" if usable else health.message,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if same else now,
    }


def _low(
    engine: Engine, account: Account, leases: Sequence[Lease], old: Mapping[str, Any]
) -> list[dict[str, Any]]:
    complaint = purse_of(account, leases).complaint(engine.settings.low_runway_s)
    return [] if complaint is None else [_standing(engine, account, old, (LOW, *complaint))]


def _in_use(
    engine: Engine, account: Account, leases: Sequence[Lease], old: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Why a deleted GPUProvider is still there; see `hold`."""
    if not account.spec.deletion_requested or not leases:
        return []
    named = [f"{x.namespace}/{x.name} ({x.state}, of {x.job.name})" for x in leases[:NAMED]]
    more = [f"and {len(leases) - NAMED} more"] if len(leases) > NAMED else []
    told = (
        "deleted, and kept until no lease is open that only this account can close. Nothing new is "
        "placed here, what runs goes on; delete or suspend its GPUJobs to end it now. Open: "
    )
    return [_standing(engine, account, old, (IN_USE, OPEN, told + ", ".join([*named, *more])))]


def _standing(
    engine: Engine, account: Account, old: Mapping[str, Any], word: tuple[str, str, str]
) -> dict[str, Any]:
    """A condition that is there only while it is true; `word` is (type, reason, message)."""
    kind, reason, message = word
    since = _condition(old, kind).get("lastTransitionTime") or stamp(engine.clock.now())
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "observedGeneration": account.spec.generation,
        "lastTransitionTime": since,
    }


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type, empty where there is none."""
    found = [c for c in status.get("conditions") or [] if c.get("type") == kind]
    return found[0] if found else {}


def _cheapest(offers: Any) -> list[Offer]:
    priced = [o for o in offers if o.gpu_count > 0]
    priced.sort(key=lambda o: (bool(o.unavailable_reason), o.price_per_gpu_hour, o.offer_id))
    return list({o.offer_id: o for o in priced}.values())[:MAX_OFFERS]


def _offer(offer: Offer) -> dict[str, Any]:
    found = {
        "offerID": offer.offer_id,
        "place": offer.place,
        "gpuModel": offer.gpu_model,
        "gpuCount": offer.gpu_count,
        "pricePerGPUHourUSD": f"{offer.price_per_gpu_hour.quantize(Decimal('0.000001')):f}",
        "capacityType": offer.capacity_type.value,
        "available": not offer.unavailable_reason,
    }
    return found | ({"region": offer.region} if offer.region else {})


def _gist(document: Mapping[str, Any]) -> Any:
    """What is worth a write: everything but times."""
    kept = {k: v for k, v in document.items() if k not in ("offersTime", "lastError", "offers")}
    conditions = [(c["type"], c["status"], c["reason"]) for c in document.get("conditions") or []]
    offers = [
        tuple(sorted((k, v) for k, v in o.items() if v is not None))
        for o in document.get("offers") or []
    ]
    return (gist(kept) | {"conditions": conditions}, offers)
