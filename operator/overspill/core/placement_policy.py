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

from overspill.core.lease import Lease
from overspill.core.placement_candidate import Candidate
from overspill.core.placement_case import Case
from overspill.core.placement_options import Ground, Sight, Spot, gang_of, held_sight, sights_of
from overspill.core.placement_ranking import Ranking
from overspill.core.placement_reserve import at_risk_h
from overspill.core.placement_search import Fit, Search
from overspill.core.policy import NET, Answer, Question, choose
from overspill.core.policy_knowledge import Knowledge, Setting
from overspill.core.policy_learn import learnt, round_up, rounded, seen_enough
from overspill.core.policy_past import Past, Place
from overspill.core.pricing import Terms, quote, span
from overspill.core.snapshot import Snapshot
from overspill.core.statusparts import usd

WAIT_SPAN_H = 24.0
"""How far ahead waiting is weighed for a short job."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The policy's word. `fit` None: stay where it runs, or wait."""

    fit: Fit | None
    answer: Answer
    others: tuple[Fit, ...]
    """What could be had too."""
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


class Advisor:
    """One plan's questions to the policy."""

    def __init__(self, snapshot: Snapshot, now: datetime) -> None:
        self._past: Past = snapshot.past
        self._ground = Ground(snapshot.past, now)
        self._now = now
        self._is_ready = seen_enough(self._past, self._past.until)
        self._known: dict[object, Knowledge] = {}
        self._kept: list[Spot] = []
        """They are known by their ids, and so must not be forgotten."""

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
        return self._advice(search, sights, held, max(timedelta(0), starts))

    def _advice(
        self, search: Search, sights: Mapping[Place, Sight], held: Sight | None, starts: timedelta
    ) -> Advice | None:
        listed = list(sights.values())
        reliable = [s.spot.price for s in listed if s.spot.is_reliable and s.may_serve]
        if not reliable:
            return None
        setting = self._setting(search, listed, min(reliable))
        question = self._question(search, listed, held, starts)
        answer = choose(question, self._knowledge(search, listed, setting))
        fits = {s.spot.option.name: s.fit for s in listed if s.fit is not None}
        chosen = fits.get(answer.place or "")
        others = tuple(fit for fit in fits.values() if fit is not chosen)
        return Advice(chosen, answer, others, self._safe_until(question, setting.cold))

    def _setting(self, search: Search, sights: Sequence[Sight], reliable: float) -> Setting:
        work = float(search.terms.work_h)
        return rounded(
            Setting(
                step=self._past.step / timedelta(hours=1),
                cold=max(s.spot.start for s in sights),
                reliable_price=reliable,
                work=work,
                slack=max(round_up(work), WAIT_SPAN_H),
            )
        )

    def _knowledge(self, search: Search, sights: Sequence[Sight], setting: Setting) -> Knowledge:
        uncertain = [s.spot for s in sights if not s.spot.is_reliable]
        gang = gang_of(search)
        key = (tuple(map(id, uncertain)), gang, setting)
        found = self._known.get(key)
        if found is None:
            found = learnt(self._past, tuple(s.studied for s in uncertain), gang, setting)
            self._known[key] = found
            self._kept += uncertain
        return found

    def _question(
        self, search: Search, sights: Sequence[Sight], held: Sight | None, starts: timedelta
    ) -> Question:
        job = search.case.job
        assert job.finish_by is not None  # noqa: S101  (is_asked checked; narrows the type)
        return Question(
            options=[s.spot.option for s in sights],
            work=float(search.terms.work_h),
            time=(job.finish_by - self._now) / timedelta(hours=1),
            until_next=self._past.step / timedelta(hours=1),
            held=held.spot.option.name if held else None,
            start_left=starts / timedelta(hours=1),
            at_risk=float(at_risk_h(search.case, search.terms)),
        )

    def _safe_until(self, question: Question, cold: float) -> datetime:
        """Until when waiting can go on without risking the deadline."""
        spare = question.time - question.work - cold - question.at_risk
        return self._now + timedelta(hours=max(0.0, spare))
