"""Pure transitions of a lease: the only code that makes a new status from an old one.

Lease protocol 2.2: Planned → Opening → Active → Closing → Closed, Closing is absorbing.
`engine/` calls these and records the result on the version it was decided on.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.lease import Closing, Handle, Lease, Permit
from overspill.core.vocabulary import ClosingReason, LeaseState

OPEN_STATES = (LeaseState.PLANNED, LeaseState.OPENING)
WANTED_STATES = (*OPEN_STATES, LeaseState.ACTIVE, LeaseState.UNCERTAIN)
"""States in which an attempt counts against R9."""

ALLOWED: Mapping[LeaseState, tuple[LeaseState, ...]] = {
    LeaseState.PLANNED: (LeaseState.OPENING, LeaseState.ACTIVE, LeaseState.CLOSING),
    LeaseState.OPENING: (
        LeaseState.OPENING,
        LeaseState.ACTIVE,
        LeaseState.CLOSING,
        LeaseState.UNCERTAIN,
    ),
    LeaseState.ACTIVE: (LeaseState.CLOSING,),
    LeaseState.UNCERTAIN: (LeaseState.ACTIVE, LeaseState.CLOSING),
    LeaseState.CLOSING: (LeaseState.CLOSED,),
    LeaseState.CLOSED: (),
}


class IllegalTransitionError(ValueError):
    """A bug: somebody tried a transition that the protocol forbids."""


def permitted(
    lease: Lease, holder: tuple[str, int], now: datetime, validity: timedelta, handle: Handle | None
) -> Lease:
    """R2: the lease with the next permit; `holder` is (identity, leader epoch)."""
    seq = (lease.permit.seq if lease.permit else 0) + 1
    permit = Permit(seq, holder[0], holder[1], now, now + validity)
    return _to(lease, LeaseState.OPENING, permit=permit, handle=handle or lease.handle)


def active(lease: Lease, handle: Handle, price: Decimal | None, since: datetime) -> Lease:
    """The place exists and is ours; charging starts at `since`."""
    return _to(
        lease,
        LeaseState.ACTIVE,
        handle=handle,
        price_usd_per_hour=lease.offer.price_usd_per_hour if price is None else price,
        active_since=since,
    )


def charging_from(lease: Lease, since: datetime) -> Lease:
    """An Active lease whose real start became known; never moved forward into the future."""
    return replace(lease, active_since=since)


def uncertain(lease: Lease, message: str) -> Lease:
    """Class D: nothing can be looked up; stop, a person decides."""
    return with_condition(_to(lease, LeaseState.UNCERTAIN), "Uncertain", "LeaseUncertain", message)


def closing(lease: Lease, reason: ClosingReason, now: datetime, message: str = "") -> Lease:
    """The absorbing state; the first reason stands."""
    return _to(lease, LeaseState.CLOSING, closing=Closing(reason, now, message))


def found(lease: Lease, handle: Handle, price: Decimal | None) -> Lease:
    """A Closing lease of which the market turned out to hold something; it stays Closing."""
    return replace(
        lease,
        handle=handle,
        price_usd_per_hour=lease.price_usd_per_hour if price is None else price,
    )


def closed(lease: Lease, now: datetime, billed: Decimal | None = None) -> Lease:
    """Gone for certain; the ledger entry with its final cost."""
    end = lease.closed_at or now
    final = billed if billed is not None else replace(lease, closed_at=end).cost_usd(end)
    return _to(lease, LeaseState.CLOSED, closed_at=end, billed_usd=final)


def charging_stopped(lease: Lease, now: datetime) -> Lease:
    """A lost home lease: charging stops at Lost, long before the old pod is proven gone."""
    return replace(lease, closed_at=now)


def finished(lease: Lease, exit_code: int, now: datetime) -> Lease:
    """The command ended: recorded in a condition, so that the job's outcome outlives memory."""
    reason = "CommandSucceeded" if exit_code == 0 else "CommandFailed"
    noted = with_condition(lease, "Finished", reason, f"exit code {exit_code}")
    return closing(noted, ClosingReason.FINISHED, now, f"exit code {exit_code}")


def exit_code_of(lease: Lease) -> int | None:
    """The exit code a finished lease recorded."""
    found = next((c for c in lease.conditions if c.get("type") == "Finished"), None)
    if found is None:
        return None
    return int(found.get("message", "exit code 1").rsplit(" ", 1)[-1])


def with_condition(lease: Lease, kind: str, reason: str, message: str) -> Lease:
    """The lease with one condition set to True; its transition time is left to the mapping."""
    others = tuple(c for c in lease.conditions if c.get("type") != kind)
    entry = {"type": kind, "status": "True", "reason": reason, "message": message}
    return replace(lease, conditions=(*others, entry))


def without_condition(lease: Lease, kind: str) -> Lease:
    """The lease without that condition."""
    return replace(lease, conditions=tuple(c for c in lease.conditions if c.get("type") != kind))


def _to(lease: Lease, state: LeaseState, **changes: object) -> Lease:
    if state not in ALLOWED[lease.state]:
        raise IllegalTransitionError(f"{lease.name}: {lease.state} may not become {state}")
    return replace(lease, state=state, **changes)  # type: ignore[arg-type]  # checked by callers' own types
