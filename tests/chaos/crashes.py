"""L3 in virtual time: the engine dies at one passage of the Effect gate, or at two, and the life of
the lease must still end with nothing leaked and nothing doubled.

Called by `benchmarks.chaos` over every site, and by the tests over a sample.
"""

import random

from overspill.ports import IdempotencyClass
from overspill.testing.market import Lies
from overspill.testing.simfaults import Wrongs

from .history import run_plan
from .plans import Plan


def crash_once(case: tuple[str, str, int]) -> str:
    """ "" or what went wrong after a crash at (class, moment, site)."""
    klass, moment, site = case
    plan = _quiet(site, IdempotencyClass(klass), frozenset({site}), moment)
    found = run_plan(plan)
    return f"{case}: {found[0]}" if found else ""


def crash_twice(seed: int) -> str:
    """ "" or what went wrong after two crashes, while answers get lost and calls run late."""
    dice = random.Random(seed)  # noqa: S311  (reproducible on purpose)
    first = dice.randint(1, 40)
    sites = frozenset({first, first + dice.randint(1, 25)})
    klass = dice.choice(list(IdempotencyClass)[:3])
    plan = _quiet(seed, klass, sites, dice.choice(["before", "after"]))
    if seed % 2:
        plan.lies = Lies(late=0.5, late_s=45, lose_answer=0.4)
    found = run_plan(plan)
    return f"pair {seed} {klass.value} {sorted(sites)}: {found[0]}" if found else ""


def _quiet(seed: int, klass: IdempotencyClass, crashes: frozenset[int], moment: str) -> Plan:
    return Plan(
        seed=seed,
        klass=klass,
        lies=Lies(),
        wrongs=Wrongs(),
        leaders=("a",),
        crashes=crashes,
        moment=moment,
        jobs=1,
        actions=[],
        settings={"sweep_period_s": 60},
    )
