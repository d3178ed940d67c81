"""A market with two places, a dear reliable one and a cheap one that may go, and a past of them.

Shared by the tests of what `plan` makes of such a past.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from overspill.core.decision import Decision
from overspill.core.job import Job
from overspill.core.offer import Offer
from overspill.core.placement import plan
from overspill.core.policy_past import STEP, Past, rooms_of
from overspill.core.vocabulary import CapacityType
from overspill.testing.placing import HOUR, NOW, rent, world

HOME = frozenset({"home"})
CLOUD = rent("c1", "10", provider="cloud", region="eu")
SPOT = rent("s1", "2", provider="spots", capacity_type=CapacityType.SPOT)
AWAY = replace(SPOT, unavailable_reason="none free")

_KNOWN = world([], []).accounts
ACCOUNTS = {**_KNOWN, "cloud": replace(_KNOWN["akash"], name="cloud")}

Shown = Callable[[int], list[Offer]]
"""What is offered at a step; 0 is now, -1 the look before."""


def past(shown: Shown, hours: int = 72) -> Past:
    """So many hours of looks."""
    found, steps = Past(), int(hours * HOUR / STEP)
    for step in range(-steps, 1):
        found = found.looked(NOW + step * STEP, rooms_of(shown(step), HOME))
    return found


def decided(job: Job, *offers: Offer, **changes: Any) -> Decision:
    """The decision about one job where these are offered; `changes` as for `placing.world`."""
    (found,) = plan(world([job], offers, **{"accounts": ACCOUNTS, **changes}), NOW)
    return found


def provider(found: Decision) -> str:
    """Whose place was chosen; "" for none."""
    return found.offer.provider if found.offer else ""
