"""What the past of all places teaches: their lives, which are cheap, and what is dependable.

Of the places ordered by all-in price, the shortest list that together was up nearly always is
*dependable*; its last price is what an hour of work costs whenever one wants it. Places clearly
below it are *cheap*: worth waiting for while slack lasts. With nothing dependable below it, the
reliable price takes that part. Learnt anew every few hours by the callers of `policy`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from overspill.core.policy_lifetime import Hazards, Run, learn
from overspill.core.policy_value import Costs, Market, State, Table

UP_PRIOR = Hazards((1.2, 0.45, 0.2, 0.06))
DOWN_PRIOR = Hazards((1.2, 0.6, 0.25, 0.08))
"""Of places nobody has watched yet; the pooled rates of the traces used for tuning, rounded."""


MOST_LAYERS = 96
"""Of slack in a value table: a short job with days of slack gets a coarser grid."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was chosen on the tuning split; docs/designs/0003-placement-policy.md says how."""

    weight: float = 0.5
    """Ends at the prior's rate added to every bucket of age."""
    lives_weight: float = 1.0
    """Losses of leases at the rate the place showed, added to what became of our own."""
    dependable_share: float = 0.95
    cheap_below: float = 0.75
    """A place is cheap below this part of the dependable price."""
    move_gain: float = 2.0
    """A planned move must save this many times its cost."""
    horizon: float = 24.0
    """Hours beyond which no life is counted."""
    half_life: float = 24.0
    """Hours after which what was seen counts half: places change their ways within a day."""
    steps: int = 64
    """Grid of the value table: steps the whole work is cut into."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One unreliable place's past: up or down at every step, and its usual price and move."""

    ups: Sequence[bool]
    price: float
    entry: float = 0.0
    """USD to bring the checkpoint there."""
    kept: Hazards | None = None
    """How what is held there is lost, where that is another thing than what is offered: own nodes
    are taken by others only while they are free. None: held and offered go together."""
    lives: tuple[Run, ...] = ()
    """What became of leases there: evidence about holding, shrunk to the above."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all places of a job."""

    step: float
    """Hours between two observations."""
    cold: float
    reliable_price: float
    work: float
    slack: float


@dataclass(frozen=True, slots=True)
class Life:
    """What is known about one place."""

    up: Hazards
    down: Hazards
    share: float
    all_in: float


@dataclass(frozen=True)
class Knowledge:
    """What was learnt: lives by place, the cheap ones, and the dependable price."""

    setting: Setting
    tuning: Tuning
    lives: Mapping[str, Life]
    cheap: frozenset[str]
    dependable: float
    cheap_life: Life
    older: "Knowledge | None" = None
    """Whose table goes on serving: lives are refreshed often, the table is not."""

    @cached_property
    def table(self) -> Table:
        """The value of waiting for a cheap place against the dependable price."""
        if self.older is not None:
            return self.older.table
        setting = self.setting
        # In units of the dependable price, so that jobs of one GPU and of eight share a table.
        market = Market(
            up=_rounded(self.cheap_life.up),
            down=_rounded(self.cheap_life.down),
            price=_digits(self.cheap_life.all_in / self.dependable, 2),
            reliable_price=1.0,
            cold=_digits(setting.cold, 2),
        )
        step = max(setting.work / self.tuning.steps, setting.slack / MOST_LAYERS)
        return _table(market, setting.slack, setting.work, step)

    def costs(self, state: State, *, on_reliable: bool, on_unreliable: bool) -> Costs:
        """What each way on costs from here, USD."""
        found = self.table.costs(state, on_reliable=on_reliable, on_unreliable=on_unreliable)
        return Costs(*(cost * self.dependable for cost in found))


def know(watched: Mapping[str, Watched], setting: Setting, tuning: Tuning) -> Knowledge:
    """Everything the past teaches about these places."""
    lives = {name: _life(w, setting, tuning) for name, w in watched.items()}
    ordered = sorted(lives, key=lambda name: (lives[name].all_in, name))
    dependable = _dependable(ordered, watched, lives, setting, tuning)
    limit = tuning.cheap_below * dependable
    # What was never up in all that time is no hope to wait on, however cheap it would be.
    cheap = [n for n in ordered if watched[n].price < limit and lives[n].share > 0]
    return Knowledge(
        setting,
        tuning,
        lives,
        frozenset(cheap),
        dependable,
        _together(cheap, watched, lives, setting, tuning),
    )


def refresh(known: Knowledge, watched: Mapping[str, Watched]) -> Knowledge:
    """The same knowledge with lives learnt anew, which is cheap; the table stays."""
    lives = {name: _life(w, known.setting, known.tuning) for name, w in watched.items()}
    return replace(known, lives=lives, older=known)


@lru_cache(maxsize=48)
def _table(market: Market, slack: float, work: float, step: float) -> Table:
    """Built once for all jobs of about this size; a hit needs figures that agree when rounded."""
    return Table(market, slack, work, step)


def _rounded(hazards: Hazards) -> Hazards:
    return Hazards(tuple(_digits(rate, 2) for rate in hazards.rates))


def _digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _life(watched: Watched, setting: Setting, tuning: Tuning) -> Life:
    up, down = _learnt(watched, setting, tuning)
    share = sum(watched.ups) / len(watched.ups) if watched.ups else 0.0
    return Life(up, down, share, all_in(watched.price, watched.entry, up, setting, tuning))


def _learnt(watched: Watched, setting: Setting, tuning: Tuning) -> tuple[Hazards, Hazards]:
    """How what is held there ends, and how what is away comes back."""
    up, down = _hazards(tuple(watched.ups), setting.step, tuning)
    up = watched.kept or up
    return (_tested(up, watched.lives, tuning) if watched.lives else up), down


def _tested(up: Hazards, lives: Sequence[Run], tuning: Tuning) -> Hazards:
    """Hazards corrected by what became of leases.

    A place's age is not a lease's age, so only the rates are compared: leases that are lost more
    often than the place goes away have a risk of their own, leases that outlast it less of it.
    """
    shown = 1 / up.life(0.0, tuning.horizon)
    lost = sum(run.weight for run in lives if run.ended)
    ran = sum(run.weight * run.hours for run in lives)
    found = (lost + tuning.lives_weight) / (ran + tuning.lives_weight / shown)
    own, less = max(0.0, found - shown), min(1.0, found / shown)
    return Hazards(tuple(rate * less + own for rate in up.rates))


def all_in(price: float, entry: float, up: Hazards, setting: Setting, tuning: Tuning) -> float:
    """USD per useful hour of a place that is entered fresh and kept until it is taken."""
    life = up.life(0.0, tuning.horizon)
    useful = max(life - setting.cold, 0.1 * life)
    return (price * life + entry) / useful


def _dependable(
    ordered: Sequence[str],
    watched: Mapping[str, Watched],
    lives: Mapping[str, Life],
    setting: Setting,
    tuning: Tuning,
) -> float:
    covered: list[bool] = []
    for name in ordered:
        ups = watched[name].ups
        covered = [a or b for a, b in zip(covered, ups, strict=True)] if covered else list(ups)
        if covered and sum(covered) >= tuning.dependable_share * len(covered):
            return min(lives[name].all_in, setting.reliable_price)
    return setting.reliable_price


def _together(
    names: Sequence[str],
    watched: Mapping[str, Watched],
    lives: Mapping[str, Life],
    setting: Setting,
    tuning: Tuning,
) -> Life:
    """The cheap places as one: up while any of them is, at the price of the cheapest then."""
    if not names:
        return Life(UP_PRIOR, DOWN_PRIOR, 0.0, setting.reliable_price)
    used, ups = dict.fromkeys(names, 0), []
    for state in zip(*(watched[name].ups for name in names), strict=True):
        first = next((name for name, is_up in zip(names, state, strict=True) if is_up), None)
        ups.append(first is not None)
        if first is not None:
            used[first] += 1
    up, down = _hazards(tuple(ups), setting.step, tuning)
    seen = sum(used.values())
    if not seen:
        return Life(up, down, 0.0, watched[names[0]].price)
    up = _held_together(up, {n: lives[n].up for n in names if used[n] and _is_kept(watched[n])})
    prices = {n: _kept_up(watched[n], lives[n].up, up, setting, tuning) for n in names}
    price = sum(prices[name] * count for name, count in used.items()) / seen
    return Life(up, down, seen / len(ups), price)


def _is_kept(watched: Watched) -> bool:
    return watched.kept is not None or bool(watched.lives)


def _held_together(up: Hazards, own: Mapping[str, Hazards]) -> Hazards:
    """What is held may outlast what is offered: then the steadiest that was used counts."""
    return Hazards(tuple(map(min, zip(up.rates, *(h.rates for h in own.values()), strict=True))))


def _kept_up(
    watched: Watched, own: Hazards, together: Hazards, setting: Setting, tuning: Tuning
) -> float:
    """A place's price with the starts that follow when it is lost and another one takes over."""
    horizon = tuning.horizon
    more = 1 / own.life(0.0, horizon) - 1 / together.life(0.0, horizon)
    return watched.price + max(0.0, more) * (watched.price * setting.cold + watched.entry)


@lru_cache(maxsize=512)
def _hazards(ups: tuple[bool, ...], step: float, tuning: Tuning) -> tuple[Hazards, Hazards]:
    up, down = runs_of(ups, step, tuning.half_life)
    return learn(up, UP_PRIOR, tuning.weight), learn(down, DOWN_PRIOR, tuning.weight)


def runs_of(
    ups: Sequence[bool], step: float, half_life: float = math.inf
) -> tuple[list[Run], list[Run]]:
    """The runs of up and of down in a watched past; the last one goes on."""
    found: tuple[list[Run], list[Run]] = ([], [])
    start = 0
    for index in range(1, len(ups) + 1):
        ended = index < len(ups)
        if not ended or ups[index] != ups[start]:
            hours = (index - start) * step
            weight = 0.5 ** ((len(ups) - index) * step / half_life)
            found[0 if ups[start] else 1].append(Run(hours, ended, weight=weight))
            start = index
    return found
