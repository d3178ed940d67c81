"""Jobs that cannot be placed for the same reasons share the answer.

When home and markets are full, thousands of jobs of a few kinds get one answer until something
changes. Where nothing of the job itself could change it (its exclusions, its finish-by, money that
is too little somewhere), it is looked up under what it does depend on: the places and what is free
there, what its pods request, and until when it waits for home. Lives for one plan.
Called by `placement`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from overspill.core.decision import Action, Rejection
from overspill.core.filters import Refusal
from overspill.core.placement_candidate import Stand, Work
from overspill.core.placement_field import Field, Group
from overspill.core.placement_pool import Pool
from overspill.core.placement_search import Search
from overspill.core.vocabulary import CapacityType


class Answer(NamedTuple):
    """Why nothing fits."""

    action: Action
    why: Refusal
    rejected: tuple[Rejection, ...]
    wait_until: datetime | None
    waits_for: Pool | None
    """The pool at home that it would take first."""


@dataclass(frozen=True)
class _Crowd:
    """What a field must be like for its answer to be that of many jobs."""

    dearest: Stand
    may_leave: bool
    """There are places for which a job waits first, in the hope of home."""
    is_torn: bool
    """Which pool a job would take first hangs on its terms."""


class Waits:
    """The answers given in one plan."""

    def __init__(self) -> None:
        self._crowds: dict[Field, _Crowd | None] = {}
        self._answers: dict[object, Answer] = {}
        self._answered: set[Field] = set()

    def known(self, search: Search, field: Field, *, starves: bool) -> Answer | None:
        """The answer that was given to another job."""
        if field not in self._answered:
            return None
        key = self._key(search, field, starves=starves)
        return None if key is None else self._answers.get(key)

    def keep(self, search: Search, field: Field, answer: Answer, *, starves: bool) -> None:
        """For the next one."""
        key = self._key(search, field, starves=starves)
        if key is not None:
            self._answers[key] = answer
            self._answered.add(field)

    def _key(self, search: Search, field: Field, *, starves: bool) -> object | None:
        """What the answer depends on; None: on this very job."""
        if field not in self._crowds:
            self._crowds[field] = _crowd_of(field)
        crowd, case = self._crowds[field], search.case
        if crowd is None or (crowd.is_torn and starves) or case.facts.excluded_offers:
            return None
        if case.job.finish_by is not None or search.max_loss is not None:
            return None
        if not _is_affordable(search, crowd):
            return None
        until = case.burst_from if crowd.may_leave else case.now
        return field, case.facts.requests, field.changes, until if until > case.now else None


def _is_affordable(search: Search, crowd: _Crowd) -> bool:
    """Whether money is no question anywhere in the field."""
    dearest, allowance = crowd.dearest, search.allowance
    if allowance.max_hourly is not None and dearest.price > allowance.max_hourly:
        return False
    free = search.money.free(search.case.job.ref.namespace)
    if allowance.left is None:
        return free is None
    limits = [limit for limit in (allowance.left, free) if limit is not None]
    return dearest.costs_less_than(float(min(limits)), Work.of(search.terms), search.terms)


def _crowd_of(field: Field) -> _Crowd | None:
    """None: the order of its places, and so the answer, may hang on a job's terms."""
    stands, dearest = field.stands, field.dearest
    if dearest is None or field.may_end or any(stand.is_limited for stand in stands):
        return None
    if not all(_is_in_order(group) for group in field.groups) or not _has_one_word(stands):
        return None
    may_leave = any(s.offer.capacity_type is not CapacityType.OWN for s in stands)
    at_home = next((g for g in field.groups if g.stands[0].pool), None)
    return _Crowd(dearest, may_leave, at_home is not None and len(at_home.alike) > 1)


def _is_in_order(group: Group) -> bool:
    """Whether it does not matter which of them is asked first: whoever is not own waits for home
    once a pool was found busy.
    """
    pools = sum(stand.pool is not None for stand in group.stands)
    is_own = all(stand.offer.capacity_type is CapacityType.OWN for stand in group.stands)
    return not pools or len(group.stands) == 1 or (is_own and pools == len(group.stands))


def _has_one_word(stands: Sequence[Stand]) -> bool:
    """Whether no two places of one provider and model would tell one reason in different words."""
    words: dict[tuple[str, str], set[object]] = {}
    for stand in stands:
        said: object = stand.offer.unavailable_reason if stand.pool is None else id(stand.pool)
        if said:
            words.setdefault((stand.offer.provider, stand.offer.gpu_model), set()).add(said)
    return all(len(said) == 1 for said in words.values())
