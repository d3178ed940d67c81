"""What the fault proxy can do to an exchange, and which exchanges a rule strikes.

A rule file (`rules.yaml` here is the campaign's) names sets of rules; a set and a seed are a case.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml


class Action(StrEnum):
    """One failure. The words in a rule file are these."""

    DELAY = "delay"
    """Held for `seconds`, then carried out; by then its sender may have given up."""
    SLOW_ANSWER = "slow_answer"
    """Carried out, the answer held for `seconds`."""
    RESET = "reset"
    """The connection is reset, nothing is carried out."""
    HANG = "hang"
    """Silence for `seconds`, then a reset; nothing is carried out."""
    REFUSE = "refuse"
    """Answered with `status`, nothing is carried out."""
    LOSE_ANSWER = "lose_answer"
    """Carried out, then a reset."""
    ERROR_AFTER = "error_after"
    """Carried out, then answered with `status`."""
    TRUNCATE = "truncate"
    """Carried out, half of the answer is sent, then the connection ends."""
    TWICE = "twice"
    """Carried out twice at once; the second answer is told."""
    LATE = "late"
    """A reset now; carried out `seconds` later."""
    REPLAY = "replay"
    """Carried out and answered; carried out once more `seconds` later."""
    OLD_LIST = "old_list"
    """The answer that the same question got up to `seconds` ago."""
    SHORT_LIST = "short_list"
    """Every list in the answer lacks its last element."""
    SHORT_PAGES = "short_pages"
    """The API server is asked for pages of two, so that real continuations happen."""

    GONE_IN_STREAM = "gone_in_stream"
    """The watch brings an ERROR with 410 after `events` events, and ends."""
    HALF_OPEN = "half_open"
    """After `events` events the watch is silent and stays open."""
    CUT = "cut"
    """After `events` events the watch ends in the middle of one."""

    DROP_EVENT = "drop_event"
    """The event never comes; the watch goes on."""
    DOUBLE_EVENT = "double_event"
    """It comes twice."""
    LATE_EVENT = "late_event"
    """It, and all after it, come `seconds` later."""
    LYING_BOOKMARK = "lying_bookmark"
    """A bookmark at the event's version comes in its place: no watch brings it again."""
    OLD_BOOKMARK = "old_bookmark"
    """A bookmark back at the stream's beginning follows it, and the watch ends."""


STREAM = frozenset({Action.GONE_IN_STREAM, Action.HALF_OPEN, Action.CUT})
"""What happens to a whole watch."""
EVENT = frozenset(
    {
        Action.DROP_EVENT,
        Action.DOUBLE_EVENT,
        Action.LATE_EVENT,
        Action.LYING_BOOKMARK,
        Action.OLD_BOOKMARK,
    }
)
"""What happens to one event of a watch."""
REPEATING = frozenset({Action.TWICE, Action.REPLAY})
"""Actions by which one request of a client reaches the other side twice."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Strikes exchanges whose name matches `to` (a full-match pattern; see `naming`).

    `share` is the probability, drawn from the lane's seed; `at` names one occurrence by number
    instead, from 0; `most` bounds how often the rule strikes in one lane.
    """

    action: Action
    to: str
    share: float = 1.0
    seconds: float = 1.0
    status: int = 503
    events: int = 2
    at: int | None = None
    most: int = 1_000_000

    def matches(self, name: str) -> bool:
        """Whether it is about exchanges of that name."""
        return re.fullmatch(self.to, name) is not None

    def __str__(self) -> str:
        where = f" at #{self.at}" if self.at is not None else f" {self.share:.0%}"
        return f"{self.action}{where} of {self.to}"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules that belong together. `beyond`: they break what the market's class assumes (a request
    carried out after the quarantine, or twice), so a double may live for two sweeps."""

    name: str
    rules: tuple[Rule, ...]
    beyond: bool = False


def rule_sets(path: Path | None = None) -> Sequence[RuleSet]:
    """The sets of a rule file, in its order. Raises ValueError for words it does not know."""
    text = (path or Path(__file__).with_name("rules.yaml")).read_text(encoding="utf-8")
    return [
        RuleSet(name, tuple(_rule(entry) for entry in body["rules"]), body.get("beyond", False))
        for name, body in yaml.safe_load(text).items()
    ]


def _rule(entry: Mapping[str, Any]) -> Rule:
    unknown = set(entry) - {field.name for field in fields(Rule)}
    if unknown:
        raise ValueError(f"a rule has no field {sorted(unknown)}")
    rule = Rule(**{**entry, "action": Action(entry["action"])})
    re.compile(rule.to)
    return rule
