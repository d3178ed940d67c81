"""What is compared: the SLA classes as shipped, changed word by word, and the plain policies.

`scenario("standard.burstAfterSeconds=0,always-wait")` and the like come from the command line.
The plain policies are settings too: `plan()` decides in every scenario.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from overspill.core.sla import SlaClass
from overspill.core.vocabulary import Burst, CapacityType, FailbackPolicy

_OWN, _RESERVED, _ON_DEMAND, _SPOT, _COMMUNITY = CapacityType

SHIPPED: Mapping[str, SlaClass] = {
    "guaranteed": SlaClass(
        "guaranteed",
        capacity_types=(_OWN, _RESERVED, _ON_DEMAND),
        availability_target=Decimal("0.999"),
        burst_after=timedelta(seconds=60),
        failover_within=timedelta(seconds=120),
        failback_policy=FailbackPolicy.ON_CHECKPOINT,
        failback_min_saving_percent=20,
        failback_cooldown=timedelta(hours=1),
        priority=100,
    ),
    "standard": SlaClass(
        "standard",
        is_default=True,
        capacity_types=(_OWN, _RESERVED, _ON_DEMAND, _SPOT),
        availability_target=Decimal("0.99"),
        burst_after=timedelta(seconds=300),
        failover_within=timedelta(seconds=300),
    ),
    "besteffort": SlaClass(
        "besteffort",
        capacity_types=(_OWN, _RESERVED, _SPOT, _ON_DEMAND, _COMMUNITY),
        burst_after=timedelta(seconds=1800),
        failover_within=timedelta(seconds=1800),
        failback_min_saving_percent=10,
        priority=-100,
    ),
}
"""The chart's three classes, as far as placement reads them."""


class ScenarioError(ValueError):
    """The words do not name a scenario; the message says what would."""


@dataclass(frozen=True)
class Scenario:
    """One way of running the same history."""

    name: str
    classes: Mapping[str, SlaClass] = field(default_factory=lambda: dict(SHIPPED))
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of every job."""
    late_goes_out: bool = False
    """Whether a job past its finish-by goes on at a place on demand and nowhere else, as the
    benchmark's rules say."""


def scenario(words: str, base: Mapping[str, SlaClass] = SHIPPED) -> Scenario:
    """The scenario that comma-separated words name: policies and CLASS.FIELD=VALUE."""
    found = Scenario(words, dict(base))
    for word in (w.strip() for w in words.split(",") if w.strip()):
        found = _with(found, word)
    return found


def _with(found: Scenario, word: str) -> Scenario:
    if word in _POLICIES:
        return _POLICIES[word](found)
    target, _, value = word.partition("=")
    name, _, setting = target.partition(".")
    if not value or setting not in _SETTINGS or (name != "*" and name not in found.classes):
        raise ScenarioError(
            f"{word!r} is no scenario: write {', '.join(_POLICIES)}, or CLASS.FIELD=VALUE with "
            f"a class of {', '.join(found.classes)} (or *) and a field of {', '.join(_SETTINGS)}"
        )
    names = list(found.classes) if name == "*" else [name]
    attribute, read = _SETTINGS[setting]
    try:
        changed = {n: replace(found.classes[n], **{attribute: read(value)}) for n in names}
    except (ValueError, ArithmeticError) as error:
        raise ScenarioError(f"{word!r}: {value!r} is no value of {setting}") from error
    return replace(found, classes={**found.classes, **changed})


def _always_wait(found: Scenario) -> Scenario:
    return replace(found, changes={**found.changes, "burst": Burst.NEVER})


def _burst_at_once(found: Scenario) -> Scenario:
    """The patience of the job itself, which the learnt policy does not stretch."""
    return replace(found, changes={**found.changes, "burst_after": timedelta(0)})


_POLICIES: Mapping[str, Callable[[Scenario], Scenario]] = {
    "overspill": lambda found: found,
    "always-wait": _always_wait,
    "burst-at-once": _burst_at_once,
}
POLICIES = tuple(_POLICIES)


def _seconds(value: str) -> timedelta:
    return timedelta(seconds=float(value))


def _types(value: str) -> tuple[CapacityType, ...]:
    return tuple(CapacityType(word) for word in value.split("+"))


_SETTINGS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "burstAfterSeconds": ("burst_after", _seconds),
    "failoverWithinSeconds": ("failover_within", _seconds),
    "capacityTypes": ("capacity_types", _types),
    "maxLossUSD": ("max_loss_usd", Decimal),
    "minSavingPercent": ("failback_min_saving_percent", int),
    "cooldownSeconds": ("failback_cooldown", _seconds),
    "failback": ("failback_policy", FailbackPolicy),
    "priority": ("priority", int),
}
