"""Asks the learnt policy about one job that has a deadline: which place now, or wait for a better.

The plain rules of `placement` stand: who may go where, what it may cost, home first, patience.
Among the places they leave, and only where a reliable one holds the deadline and enough past is
known, the policy weighs price, life, moves and waiting. It never overrules a cap and never stops
what runs only to wait. Called by `placement`; docs/designs/0003-placement-policy.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from overspill.core.lease import Lease
from overspill.core.placement_candidate import Candidate
from overspill.core.placement_case import Case
from overspill.core.placement_options import Ground, Sight, Spot, gang_of, held_sight, sights_of
from overspill.core.placement_ranking import Ranking
from overspill.core.placement_reserve import at_risk_h
from overspill.core.placement_search import Fit, Search
from overspill.core.placement_view import Views
from overspill.core.policy import NET, Answer, Question, choose
from overspill.core.policy_knowledge import Setting
from overspill.core.policy_learn import Learner, round_up, rounded, seen_enough
from overspill.core.policy_past import Past, Place
from overspill.core.pricing import Terms, quote, span
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
        self._ground = Ground(snapshot.past, now)
        self._views = Views(self._ground)
        self._now = now
        self._step_h = snapshot.past.step / HOUR
        self._is_ready = seen_enough(self._past, self._past.until)
        self._learner = Learner(snapshot.past)

    def is_asked(self, case: Case, terms: Terms) -> bool:
        """Whether the policy has a say: a past, an estimate, no order of the job's own, and a
        deadline that can still be met. What is late already is nobody's to trade with.
        """
        finish_by = case.job.finish_by
        return (
            self._is_ready
            and finish_by is not None
            and terms.is_known
            and terms.work_h > 0
            and case.now + span(terms.work_h) <= finish_by
            and len(case.job.capacity_types) < 2
        )

    def place(self, search: Search, ranking: Ranking, wish: Candidate) -> Advice | None:
        """Its word on a job that could have `wish` now.

        None: no reliable place holds the deadline, so the plain rules decide.
        """
        seen = self._views.seen(search, ranking, wish)
        if seen is not None:
            word = self._word(search, [one.spot for one in seen], None, timedelta(0))
            if word is None:
                return None
            chosen = next((s for s in seen if s.spot.option.name == word.answer.place), None)
            fit = search.attempt(ranking.candidate_at(chosen.stand)) if chosen else None
            if isinstance(fit, Fit):
                return word.of(fit)
        # Who waits is told of all that could be had.
        sights = sights_of(search, ranking.alike(wish), self._ground, None)
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
        held = held_sight(search, lease, priced, there, self._ground)
        sights = dict(sights_of(search, alike, self._ground, lease))
        sights[held.spot.place] = held
        began = lease.active_since or self._now
        starts = began + span(priced.start_h) - self._now
        return self._advice(search, sights, held.spot, max(timedelta(0), starts))

    def _advice(
        self, search: Search, sights: Mapping[Place, Sight], held: Spot | None, starts: timedelta
    ) -> Advice | None:
        word = self._word(search, [s.spot for s in sights.values()], held, starts)
        if word is None:
            return None
        fits = {s.spot.option.name: s.fit for s in sights.values() if s.fit is not None}
        chosen = fits.get(word.answer.place or "")
        return word.of(chosen, tuple(fit for fit in fits.values() if fit is not chosen))

    def _word(
        self, search: Search, spots: Sequence[Spot], held: Spot | None, starts: timedelta
    ) -> "_Word | None":
        # What is reliable is there, or held.
        reliable = [spot.price for spot in spots if spot.is_reliable]
        if not reliable:
            return None
        cold = max([spot.start for spot in spots])
        setting = self._setting(float(search.terms.work_h), cold, min(reliable))
        question = self._question(search, spots, held, starts)
        uncertain = [spot.studied for spot in spots if not spot.is_reliable]
        answer = choose(question, self._learner.knowledge(uncertain, gang_of(search), setting))
        return _Word(answer, self._safe_until(question, setting.cold))

    def _setting(self, work: float, cold: float, reliable: float) -> Setting:
        slack = max(round_up(work), WAIT_SPAN_H)
        return rounded(Setting(self._step_h, cold, reliable, work, slack))

    def _question(
        self, search: Search, spots: Sequence[Spot], held: Spot | None, starts: timedelta
    ) -> Question:
        job = search.case.job
        assert job.finish_by is not None  # noqa: S101  (is_asked checked; narrows the type)
        return Question(
            options=[spot.option for spot in spots],
            work=float(search.terms.work_h),
            time=(job.finish_by - self._now) / HOUR,
            until_next=self._step_h,
            held=held.option.name if held else None,
            start_left=starts / HOUR,
            at_risk=float(at_risk_h(search.case, search.terms)),
        )

    def _safe_until(self, question: Question, cold: float) -> datetime:
        """Until when waiting can go on without risking the deadline."""
        spare = question.time - question.work - cold - question.at_risk
        return self._now + timedelta(hours=max(0.0, spare))
