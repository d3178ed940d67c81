"""Asks the learnt policy about one job that has a deadline: which place now, or wait for a better.

The plain rules of `placement` stand: who may go where, what it may cost, home first, patience.
Among the places they leave, and only where a reliable one holds the deadline and enough past is
known, the policy weighs price, life, moves and waiting. It never overrules a cap and never stops
what runs only to wait. Called by `placement`; docs/designs/0003-placement-policy.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from overspill.core.lease import Lease
from overspill.core.placement_candidate import Candidate
from overspill.core.placement_options import (
    Ground,
    Outlook,
    Sight,
    Spot,
    gang_of,
    held_sight,
    outlook_of,
    sights_of,
)
from overspill.core.placement_ranking import Ranking
from overspill.core.placement_reserve import at_risk_h
from overspill.core.placement_search import Fit, Search
from overspill.core.placement_view import Views
from overspill.core.policy import NET, Answer, Question, choose
from overspill.core.policy_knowledge import Setting
from overspill.core.policy_learn import Learner, round_up, rounded, seen_enough
from overspill.core.policy_past import Past, Place
from overspill.core.pricing import quote, span
from overspill.core.snapshot import Snapshot
from overspill.core.statusparts import usd

HOUR = timedelta(hours=1)

WAIT_SPAN_H = 24.0
"""How far ahead waiting is weighed for a short job."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The policy's word. `fit` None: stay where it runs, or wait."""

    fit: Fit | None
    answer: Answer
    others: tuple[Fit, ...]
    """What could be had too, where nothing is taken."""
    safe_until: datetime
    """When a reliable place must be asked for at the latest."""

    @property
    def is_net(self) -> bool:
        """The deadline asks for it, not the price."""
        return self.answer.why == NET

    @property
    def told(self) -> str:
        """Why to wait, in dollars."""
        until = f"its finish-by is safe until {self.safe_until:%Y-%m-%dT%H:%M:%SZ}"
        if self.answer.costs is None:
            return f"{self.answer.why}; {until}"
        waits, works = (usd(Decimal(str(c))) for c in self.answer.costs[:2])
        told = f"waiting for a cheaper place is expected to cost {waits} USD, "
        return f"{told}starting now {works} USD; {until}"


class _Word(NamedTuple):
    """An answer before it is known who it is about."""

    answer: Answer
    safe_until: datetime

    def of(self, fit: Fit | None, others: tuple[Fit, ...] = ()) -> Advice:
        """The advice to take that, or to wait."""
        return Advice(fit, self.answer, others, self.safe_until)


class Advisor:
    """One plan's questions to the policy."""

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        self._past: Past = snapshot.past
        self.ground = Ground(snapshot.past, now)
        self._views = Views(self.ground)
        self._now = now
        self._step_h = snapshot.past.step / HOUR
        self._is_ready = seen_enough(self._past, self._past.until)
        self.learner = Learner(snapshot.past)
        self._settings: dict[tuple[float, float, float], Setting] = {}

    def is_asked(self, search: Search) -> bool:
        """Whether the policy has a say: a past, an estimate, no order of the job's own, and a
        deadline that can still be met. What is late already is nobody's to trade with.
        """
        is_free = self._is_ready and len(search.case.job.capacity_types) < 2
        return is_free and search.has_promise

    def place(self, search: Search, ranking: Ranking, wish: Candidate) -> Advice | None:
        """Its word on a job that could have `wish` now.

        None: no reliable place holds the deadline, so the plain rules decide.
        """
        seen = self._views.seen(search, ranking, wish)
        if seen is not None:
            word = self._word(search, seen.outlook, None, timedelta(0))
            if word is None:
                return None
            chosen = seen.stand(word.answer.place)
            fit = search.attempt(ranking.candidate_at(chosen)) if chosen else None
            if isinstance(fit, Fit):
                return word.of(fit)
        # Who waits is told of all that could be had.
        sights = sights_of(search, ranking.alike(wish), self.ground, None)
        return self._advice(search, sights, None, timedelta(0))

    def keep(self, search: Search, ranking: Ranking, lease: Lease) -> Advice | None:
        """Its word on a job that runs outside; None as above."""
        model = lease.offer.gpu_model
        same = next((c for c in ranking if c.offer.gpu_model == model), None)
        if same is None:
            return None
        alike = ranking.alike(same)
        there = next((c for c in alike if c.offer.provider == lease.provider), same)
        priced = quote(lease.offer, there.market, search.needs, search.terms)
        held = held_sight(search, lease, priced, there, self.ground)
        sights = dict(sights_of(search, alike, self.ground, lease))
        sights[held.spot.place] = held
        began = lease.active_since or self._now
        starts = began + span(priced.start_h) - self._now
        return self._advice(search, sights, held.spot, max(timedelta(0), starts))

    def _advice(
        self, search: Search, sights: Mapping[Place, Sight], held: Spot | None, starts: timedelta
    ) -> Advice | None:
        word = self._word(search, outlook_of([s.spot for s in sights.values()]), held, starts)
        if word is None:
            return None
        fits = {s.spot.option.name: s.fit for s in sights.values() if s.fit is not None}
        chosen = fits.get(word.answer.place or "")
        return word.of(chosen, tuple(fit for fit in fits.values() if fit is not chosen))

    def _word(
        self, search: Search, outlook: Outlook, held: Spot | None, starts: timedelta
    ) -> "_Word | None":
        if outlook.reliable_price is None:
            return None
        work = float(search.terms.work_h)
        setting = self._setting(round_up(work), outlook.cold, outlook.reliable_price)
        question = self._question(search, outlook, work, held, starts)
        known = self.learner.knowledge(outlook.uncertain, gang_of(search), setting)
        answer = choose(question, known)
        return _Word(answer, self._safe_until(question, setting.cold))

    def _setting(self, work: float, cold: float, reliable: float) -> Setting:
        key = (work, cold, reliable)
        if key not in self._settings:
            slack = max(work, WAIT_SPAN_H)
            self._settings[key] = rounded(Setting(self._step_h, cold, reliable, work, slack))
        return self._settings[key]

    def _question(
        self,
        search: Search,
        outlook: Outlook,
        work: float,
        held: Spot | None,
        starts: timedelta,
    ) -> Question:
        return Question(
            options=outlook.options,
            work=work,
            time=search.hours_left,
            until_next=self._step_h,
            held=held.option.name if held else None,
            start_left=starts / HOUR,
            at_risk=float(at_risk_h(search.case, search.terms)),
        )

    def _safe_until(self, question: Question, cold: float) -> datetime:
        """Until when waiting can go on without risking the deadline."""
        spare = question.time - question.work - cold - question.at_risk
        return self._now + timedelta(hours=max(0.0, spare))
