"""Switches for the failures real markets show, by rule, count, probability and seed.

A rule names an action and what it matches. The HTTP ones are applied by `fault_layer.py` around
a request; the market ones are asked for by the market at the moment they can strike.
"""

import copy
import itertools
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.ledger import Event, Ledger

HTTP_ACTIONS = {
    "delay": "hold the request for `seconds` before it is executed",
    "delay_response": "execute, then hold the answer for `seconds`",
    "reset_before": "reset the connection, execute nothing",
    "drop_response_after_commit": "execute, then reset the connection",
    "execute_late": "reset the connection now, execute after `seconds`",
    "status": "answer `status` with `body`, `content_type` and `headers`, execute nothing",
    "status_after_commit": "execute, then answer `status` and `body` instead",
    "html": "answer an HTML page with `status` (502), execute nothing",
    "empty_list": "answer 200 with every list of the answer emptied",
    "truncate": "send only `bytes` of the answer, then reset",
    "oversize": "pad the answer with `mib` MiB of blanks",
}
"""Actions on any request, in words for `--help` and the docs."""

MARKET_ACTIONS = {
    "no_bids": "no host answers the order",
    "late_bid": "bids come `seconds` later",
    "bid_closes": "the chosen bid is closed when the lease is asked for",
    "list_lag": "a new deployment stays out of every list for `seconds`",
    "short_pages": "akash: a list gives at most `most` (2) entries of those asked for, and says so",
    "status_null": "the lease is active, its status cannot be read",
    "manifest_refused": "the lease is made and bills, the host refuses the manifest (422)",
    "lease_closes": "the host ends the lease `seconds` after it began, with `reason`",
    "reclaiming": "the host takes the lease back `seconds` after it began, with a `window_s`",
    "close_sticks": "close answers 200, nothing is closed",
    "wrong_gpu": "the lease runs on `gpu` {model, ram, interface} instead",
    "empty_endpoints": "running, but no forwarded ports are told",
}
"""Actions inside a market; a market's own stand in the `FAULTS` of its module."""


@dataclass(slots=True)
class Rule:
    """One switch. Empty matchers match everything; patterns are full-match regular expressions."""

    action: str
    method: str = ""
    path: str = ""
    key: str = ""
    provider: str = ""
    market: str = ""
    after: int = 0
    count: int | None = None
    probability: float = 1.0
    seed: int = 0
    for_s: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
    hits: int = 0

    def number(self, name: str, default: float) -> float:
        """A numeric parameter."""
        return float(self.params.get(name, default))

    def text(self, name: str, default: str) -> str:
        """A text parameter."""
        return str(self.params.get(name, default))


class Faults:
    """The installed rules; the first that matches and is not used up strikes."""

    def __init__(
        self, clock: SandboxClock, ledger: Ledger, own: Mapping[str, str] | None = None
    ) -> None:
        self.actions = {**HTTP_ACTIONS, **MARKET_ACTIONS, **(own or {})}
        self._market = ""
        self._clock = clock
        self._ledger = ledger
        self._ids = itertools.count(1)
        self._rules: list[tuple[Rule, random.Random, float]] = []

    def of(self, market: str) -> "Faults":
        """The same rules, asked for by one market."""
        seen = copy.copy(self)
        seen._market = market
        return seen

    def add(self, document: Mapping[str, Any]) -> Rule:
        """Installs a rule from its JSON form; unknown names are parameters of the action."""
        own = {name: document[name] for name in _RULE_FIELDS if name in document}
        rest = {name: value for name, value in document.items() if name not in _RULE_FIELDS}
        rule = Rule(**own, params=rest, id=next(self._ids))
        if rule.action not in self.actions:
            known = ", ".join(sorted(self.actions))
            raise ValueError(f"There is no fault action {rule.action!r}; there are {known}.")
        for pattern in (rule.path, rule.key, rule.provider, rule.market):
            re.compile(pattern)
        chance = random.Random(rule.seed)  # noqa: S311 -- simulation, repeatable by seed
        self._rules.append((rule, chance, self._clock.now()))
        return rule

    def rules(self) -> list[Rule]:
        """Every installed rule with its hits."""
        return [rule for rule, _, _ in self._rules]

    def clear(self, id: int | None = None) -> None:  # noqa: A002 -- the rule's own name for it
        """Removes one rule, or all."""
        self._rules[:] = [entry for entry in self._rules if id is not None and entry[0].id != id]

    def needs_key(self) -> bool:
        """True when some HTTP rule asks for the key, so the request must be read for it."""
        return any(rule.key and rule.action in HTTP_ACTIONS for rule in self.rules())

    def take(self, *actions: str, **context: str) -> Rule | None:
        """The rule that strikes now, counted and recorded, or None."""
        context = {"market": self._market, **context}
        for rule, chance, since in self._rules:
            if rule.action in actions and self._strikes(rule, chance, since, context):
                self._record(rule, context)
                return rule
        return None

    def _strikes(
        self, rule: Rule, chance: random.Random, since: float, context: Mapping[str, str]
    ) -> bool:
        if rule.for_s is not None and self._clock.now() > since + rule.for_s:
            return False
        if not _matches(rule, context):
            return False
        if rule.count is not None and rule.hits >= rule.after + rule.count:
            return False
        if rule.probability < 1 and chance.random() >= rule.probability:
            return False
        rule.hits += 1
        return rule.hits > rule.after

    def _record(self, rule: Rule, context: Mapping[str, str]) -> None:
        if rule.action == "status_null":
            return  # strikes on every read; a line each would drown the ledger
        rest = {k: v for k, v in context.items() if k not in {"key", "provider"} and v}
        self._ledger.write(
            Event.FAULT,
            market="sandbox",
            key=context.get("key", ""),
            provider=context.get("provider", ""),
            detail={"action": rule.action, "rule": rule.id, **rest},
        )


_RULE_FIELDS = {
    "action",
    "method",
    "path",
    "key",
    "provider",
    "market",
    "after",
    "count",
    "probability",
    "seed",
    "for_s",
}


def _matches(rule: Rule, context: Mapping[str, str]) -> bool:
    if rule.method and rule.method.upper() != context.get("method", ""):
        return False
    wanted = {"path": rule.path, "key": rule.key, "provider": rule.provider, "market": rule.market}
    return all(not p or re.fullmatch(p, context.get(name, "")) for name, p in wanted.items())
