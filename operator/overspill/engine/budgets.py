"""Reservations in GPUBudgets: dollars are spoken for by compare-and-swap before a lease is planned.

So two concurrent admissions, even of two leaders, cannot both take the last dollars. What a
closed lease did not use goes back; what it used becomes spent.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from overspill.core.lease import Lease
from overspill.core.periods import renewed
from overspill.core.sla import Budget, Reservation
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import LeaseState
from overspill.engine.context import Engine
from overspill.ports import BudgetStatus

FORGOTTEN_AFTER_S = 120.0
"""A reservation whose lease never appeared is given back after this time."""


async def reserve(engine: Engine, lease: Lease) -> bool:
    """Reserves the lease's cap in every budget of its namespace; False when one has too little.

    Our own nodes are charged at an internal rate and take no dollars out of a budget; nodes of a
    pool do. Raises Conflict when somebody else wrote the budget meanwhile: the decision is dropped.
    """
    if lease.is_own:
        return True
    for budget in _of_namespace(engine, lease.namespace):
        if any(r.lease == lease.name for r in budget.reservations):
            continue
        if budget.free_usd < lease.max_total_usd:
            return False
        held = (*budget.reservations, Reservation(lease.name, lease.job.uid, lease.max_total_usd))
        await engine.cluster.record(BudgetStatus(budget, document(engine, budget, held)))
    return True


async def settle(engine: Engine) -> None:
    """Turns the reservations of closed leases into spent dollars; gives back the rest."""
    leases = {x.name: x for x in engine.cluster.view().leases.values()}
    for recorded in engine.cluster.view().budgets:
        budget = renewed(recorded, engine.clock.now())
        kept, spent = [], Decimal(0)
        for reservation in budget.reservations:
            lease = leases.get(reservation.lease)
            if lease is not None and lease.state is LeaseState.CLOSED:
                spent += lease.cost_usd(engine.clock.now())
            elif lease is not None or not _is_forgotten(engine, reservation):
                kept.append(reservation)
        if len(kept) != len(budget.reservations) or budget != recorded:
            written = document(engine, budget, tuple(kept), spent)
            await engine.cluster.record(BudgetStatus(budget, written))


def document(
    engine: Engine,
    budget: Budget,
    held: tuple[Reservation, ...],
    newly_spent: Decimal = Decimal(0),
) -> Mapping[str, Any]:
    """The whole status of a GPUBudget."""
    return {
        "observedGeneration": budget.generation,
        "periodStartTime": stamp(budget.period_started_at) if budget.period_started_at else None,
        "spentUSD": f"{budget.spent_usd + newly_spent:f}",
        "committedUSD": f"{sum((r.usd for r in held), Decimal(0)):f}",
        "forecastUSD": f"{budget.forecast_usd:f}",
        "reservations": [
            {"leaseName": r.lease, "jobUID": r.job_uid, "usd": f"{r.usd:f}"} for r in held
        ],
    }


def _of_namespace(engine: Engine, namespace: str) -> list[Budget]:
    now, budgets = engine.clock.now(), engine.cluster.view().budgets
    return [renewed(b, now) for b in budgets if b.namespace == namespace]


def _is_forgotten(engine: Engine, reservation: Reservation) -> bool:
    now = engine.clock.monotonic()
    first = engine.memory.absences.setdefault(f"reservation/{reservation.lease}", now)
    return now - first > FORGOTTEN_AFTER_S
