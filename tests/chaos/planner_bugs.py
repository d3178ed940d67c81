"""L1 is checked itself: mistakes in the planner, each as a patch, that its machine must find.

`make chaos` prints by which seed each is found; the test asks for a few.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from unittest import mock

from overspill.core import filters, placement, placement_capacity, placement_case
from overspill.core import placement_money as money
from overspill.core.placement_capacity import Rented
from overspill.core.placement_pool import Pool
from overspill.core.placement_search import Search

from .planner_machine import lived


def _nothing(*_args: Any, **_more: Any) -> None:
    return None


def _no(*_args: Any) -> bool:
    return False


@dataclass(frozen=True)
class PlannerBug:
    """One mistake: what is replaced by what."""

    name: str
    owner: Any
    attribute: str
    wrong: Any

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The planner with this mistake in it."""
        with mock.patch.object(self.owner, self.attribute, self.wrong):
            yield


BUGS = (
    PlannerBug("a second attempt beside one on its way", placement_case, "_in_flight", _nothing),
    PlannerBug("GPUs of leases on their way sold again", placement_capacity, "_is_unseen", _no),
    PlannerBug("home GPUs sold twice in one plan", Pool, "take", _nothing),
    PlannerBug("rented GPUs sold twice in one plan", Rented, "take", _nothing),
    PlannerBug("the namespace's budget ignored", money.Money, "free", _nothing),
    PlannerBug("one budget spent twice in one plan", money.Money, "spend", _nothing),
    PlannerBug("limits of the account ignored", money.Money, "within_limits", _nothing),
    PlannerBug(
        "what a job has spent forgotten", placement_case, "spent_usd", lambda *_: Decimal(0)
    ),
    PlannerBug("no money kept in reserve", money, "SAFETY_SHARE", Decimal("1.05")),
    PlannerBug("a broken account used", filters, "_CHAIN", filters._CHAIN[:-1]),
    PlannerBug("a refused offer asked again", Search, "_recently_refused", _nothing),
    PlannerBug("a suspended job placed", placement_case, "_not_now", _nothing),
    PlannerBug("an ended job goes on", placement, "_has_ended", _no),
)


def found(bug: PlannerBug, seeds: int = 8, examples: int = 60) -> tuple[int, str] | None:
    """The first seed whose histories show the mistake, and what it violated."""
    with bug.applied():
        for seed in range(seeds):
            _, wrong = lived(seed, examples, shrinks=False)
            if wrong:
                return seed, wrong.splitlines()[0][:160]
    return None
