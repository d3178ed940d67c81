"""The hard safety net: never rely on luck while reliable capacity can still make the deadline.

Anything that may be taken away is safe only if, even when it is lost at the next chance to act,
a reliable place can start then and finish in time. Called by `policy`, and by the benchmark for
every policy it compares, so that all stand on the same net. Seconds, like every figure in here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Footing:
    """How close a deadline is."""

    slack: float
    """Time until the deadline less the work that is left."""
    until_next: float
    """Until the next decision can be taken."""
    fallback_start: float
    """Start of the reliable place, billed and useless."""
    at_risk: float = 0.0
    """Work that a loss destroys at most."""


_ROUNDING = 1e-9
"""Sums of fractions of an hour that are equal may differ in their last digit."""


def is_safe(footing: Footing, cold: float | None) -> bool:
    """Whether an unreliable place that still starts for `cold` may be used until the next chance.

    `cold` None means idle. Work keeps the slack, anything else eats it, so what is asked is
    whether the slack that is left then still pays for a loss and for the fallback's start.
    """
    eaten = footing.until_next if cold is None else min(cold, footing.until_next)
    at_risk = 0.0 if cold is None else footing.at_risk
    return footing.slack - eaten >= footing.fallback_start + at_risk - _ROUNDING
