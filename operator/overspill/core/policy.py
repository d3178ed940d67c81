"""Decides where one job runs next: a place, or none yet, with what each way on would cost.

Pure: the answer follows from the question and from what the past taught (`policy_knowledge`).
First the value table says whether to wait, to work at the dependable price, or to use a cheap
place; then, among the places that serve, the least all-in price per useful hour wins, by the life
that is left at the place's age; a place that is held is left only for a clear gain; and the hard
safety net has the last word. The benchmark and the operator ask the same function.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from overspill.core.policy_knowledge import Knowledge, Life
from overspill.core.policy_safety import Footing, is_safe
from overspill.core.policy_value import Costs, State

NET = "too little slack for luck"
"""The safety net's word: the deadline asks for this place, not its price."""


_price = attrgetter("price")
_ROUNDING = 1 - 1e-9
"""Rates are sums of products: their last digits are not sure."""


@dataclass(frozen=True, slots=True)
class Option:
    """A place as it is now."""

    name: str
    price: float
    entry: float
    """USD to bring the checkpoint there from where it lies."""
    is_reliable: bool
    is_up: bool
    age: float
    """Hours it has been up, or down."""


@dataclass(frozen=True, slots=True)
class Question:
    """A job in need of a decision. Hours and USD."""

    options: Sequence[Option]
    work: float
    time: float
    """Until the deadline."""
    until_next: float
    """Until the next decision."""
    held: str | None = None
    start_left: float = 0.0
    """Of the cold start at the place that is held."""
    at_risk: float = 0.0
    """Work a loss destroys at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Where to, and why. `place` None: wait."""

    place: str | None
    why: str
    costs: Costs | None = None


def choose(question: Question, known: Knowledge) -> Answer:
    """The decision."""
    return _Choice(question, known).answer()


class _Choice:
    def __init__(self, question: Question, known: Knowledge) -> None:
        self._q, self._known = question, known
        self._held = None
        if question.held is not None:
            self._held = next((o for o in question.options if o.name == question.held), None)
        cold = known.setting.cold
        self._footing = Footing(
            question.time - question.work, question.until_next, cold, question.at_risk
        )
        self._lives: dict[int, float] = {}

    def answer(self) -> Answer:
        """The wish where it is safe; else the best of what is."""
        option, why, costs = self._wish()
        if self._is_safe(option):
            return Answer(option.name if option else None, why, costs)
        best = self._best([o for o in self._q.options if o.is_up and self._is_safe(o)])
        place = self._fallback() if best.is_reliable else best
        return Answer(place.name, NET, costs)

    def _is_safe(self, option: Option | None) -> bool:
        if option is not None and option.is_reliable:
            return True
        return is_safe(self._footing, self._start_of(option))

    def _start_of(self, option: Option | None) -> float | None:
        if option is None:
            return None
        return self._q.start_left if option is self._held else self._known.setting.cold

    def _wish(self) -> tuple[Option | None, str, Costs | None]:
        """Wait, work at the dependable price, or use a cheap place: the cheapest way on."""
        if self._q.start_left > 0 and self._held is not None:
            return self._held, "it is still starting", None
        known = self._known.cheap
        serving = [o for o in self._q.options if o.is_up]
        cheap = [o for o in serving if o.name in known]
        costs = self._costs(cheap)
        if cheap and costs.unreliable <= min(costs.idle, costs.reliable):
            return self._best(cheap), "a cheap place is up", costs
        # What runs is never stopped only to wait: the operator has no such step.
        if costs.idle < costs.reliable and self._held not in serving:
            return None, "waiting for a cheap place costs less", costs
        others = [o for o in serving if o.name not in known]
        return self._best(others), "waiting costs more than it saves", costs

    def _costs(self, cheap: Sequence[Option]) -> Costs:
        known = self._known
        others = [o for o in self._q.options if o.name in known.cheap]
        if not others:
            return Costs(float("inf"), 0.0, float("inf"))
        age = max(o.age for o in cheap) if cheap else min(o.age for o in others)
        slack = self._footing.slack - self._footing.fallback_start - self._q.at_risk
        held = self._held
        return known.costs(
            State(slack, self._q.work, bool(cheap), age),
            on_reliable=held is not None and held.name not in known.cheap,
            on_unreliable=held is not None and held.name in known.cheap,
        )

    def _best(self, serving: Sequence[Option]) -> Option:
        """The least all-in rate; what is held is left only for clearly more than a move costs."""
        best, held = self._cheapest(serving), self._held
        if held is None or held not in serving or best is held:
            return best
        known = self._known
        stay = min(self._life(held), self._life(best), self._q.work)
        saved = (self._running(held) - self._running(best)) * stay
        cost = (best.price + self._slack_price(best)) * known.setting.cold + best.entry
        return best if saved > known.tuning.move_gain * cost else held

    def _cheapest(self, serving: Sequence[Option]) -> Option:
        """The least all-in rate, by name among equals. No rate is below the price."""
        first, *rest = sorted(serving, key=_price)
        least, best = self._rate(first), first
        for option in rest:
            if option.price * _ROUNDING > least:
                break
            rate = self._rate(option)
            if rate < least or (rate == least and option.name < best.name):
                least, best = rate, option
        return best

    def _slack_price(self, option: Option) -> float:
        """USD per hour of slack: the less there is, the surer it ends at the reliable price."""
        scale = 0.1 * self._q.work + 2 * self._known.setting.cold
        spare = max(0.0, self._footing.slack - self._footing.fallback_start)
        dear = max(0.0, self._known.setting.reliable_price - option.price)
        return dear * math.exp(-spare / scale)

    def _rate(self, option: Option) -> float:
        """USD per useful hour from now on: entering, running, and what the next loss will cost."""
        life = self._life(option)
        if option is self._held:
            return self._running(option)
        useful = max(life - self._known.setting.cold, 0.05 * life)
        again = 0.0 if option.is_reliable else self._loss_usd(option)
        return (option.price * life + option.entry + again) / useful

    def _running(self, option: Option) -> float:
        """USD per hour while it runs, the next loss spread over its life."""
        if option.is_reliable:
            return option.price
        return option.price + self._loss_usd(option) / self._life(option)

    def _loss_usd(self, option: Option) -> float:
        """A loss is followed by another start somewhere, if work is left then."""
        cold = self._known.setting.cold
        lives = self._life(option) < self._q.work
        return (option.price * (cold + self._q.at_risk / 2) + option.entry) if lives else 0.0

    def _life(self, option: Option) -> float:
        found = self._lives.get(id(option))
        if found is None:
            found = self._lives[id(option)] = self._expected(option)
        return found

    def _expected(self, option: Option) -> float:
        horizon = min(self._known.tuning.horizon, self._q.work)
        if option.is_reliable:
            return max(horizon, 1e-6)
        known: Life | None = self._known.lives.get(option.name)
        return max(known.up.life(option.age, horizon), 1e-3) if known else 1e-3

    def _fallback(self) -> Option:
        """The cheapest reliable place, the move there included."""
        reliable = [o for o in self._q.options if o.is_reliable]
        if self._held is not None and self._held.is_reliable:
            return self._held
        return min(reliable, key=lambda o: (o.price * self._q.work + o.entry, o.name))
