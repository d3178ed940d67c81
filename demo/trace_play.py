"""Plays the replay: applies jobs at their moments, loses nodes and brings them back, shows how
it goes, and waits until every job ended and every lease is closed. Called by `demo.trace`.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from demo.trace_world import Json, World, job
from overspill.cli.ledger import LeaseView, lease_view
from overspill.kube.resources import Kind

ENDED = ("Complete", "Failed", "Refused")
TICK_S = 1.0
SHOW_EVERY_S = 5.0
AWAY_S = 60.0
"""How long a lost node stays away: long enough to be found out, short enough to come back."""

Show = Callable[[str], None]


@dataclass
class Story:
    """What happened, for the report."""

    lost: list[str] = field(default_factory=list)
    jobs: list[Json] = field(default_factory=list)
    leases: list[LeaseView] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    """Lease → why it closed, in the operator's words."""
    settled: bool = False
    """Whether every lease was closed and let go before the time was over."""
    seconds: float = 0.0


class Player:
    """One replay."""

    def __init__(self, world: World, seed: int, losses: int, show: Show) -> None:
        self.story = Story()
        self._world = world
        self._dice = random.Random(f"losses {seed}")  # noqa: S311  (a repeatable story)
        self._losses = losses
        self._show = show
        self._waiting = list(world.sample.jobs)
        self._applied = self._held = 0
        self._away: list[tuple[float, str]] = []
        self._began = self._shown = time.monotonic()

    def play(self, limit_s: float) -> Story:
        """Until everything ended, or for `limit_s` after the last job was applied."""
        arrivals = self._waiting[-1].at_s
        loss_moments = [arrivals * (n + 1.5) / (self._losses + 2) for n in range(self._losses)]
        while self._now < arrivals + limit_s:
            self._apply_due()
            while loss_moments and loss_moments[0] <= self._now:
                loss_moments.pop(0)
                self._lose_one()
            self._restore_due()
            self._look()
            if not self._waiting and not loss_moments and not self._away and self._is_over():
                self.story.settled = True
                break
            time.sleep(TICK_S)
        self._look(always=True)
        self.story.seconds = self._now
        return self.story

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def _apply_due(self) -> None:
        due = []
        while self._waiting and self._waiting[0].at_s <= self._now:
            due.append(job(self._waiting.pop(0)))
        if due:
            listed = {"apiVersion": "v1", "kind": "List", "items": due}
            self._world.bed.kubectl("create", "-f", "-", input=json.dumps(listed))
            self._applied += len(due)

    def _lose_one(self) -> None:
        """The node that does most for us now: a loss that costs nothing would show nothing."""
        away = {name for _, name in self._away} | set(self.story.lost)
        busy = Counter(
            lease.place.rpartition("/")[2]
            for lease in self.story.leases
            if lease.is_home and lease.state == "Active"
        )
        for name in away:
            busy.pop(name, None)
        if not busy:
            return
        most = max(busy.values())
        name = self._dice.choice(sorted(n for n, count in busy.items() if count == most))
        self._world.bed.nodes.lose(name)
        self._away.append((self._now + AWAY_S, name))
        self.story.lost.append(name)
        self._show(f"{self._now:5.0f} s  node {name} falls silent with {most} of our jobs on it")

    def _restore_due(self) -> None:
        for due, name in list(self._away):
            if due <= self._now:
                self._away.remove((due, name))
                self._world.bed.nodes.restore(name)
                self._show(f"{self._now:5.0f} s  node {name} is back")

    def _look(self, *, always: bool = False) -> None:
        if not always and time.monotonic() - self._shown < SHOW_EVERY_S:
            return
        self._shown = time.monotonic()
        self.story.jobs = self._world.cluster.list_all(Kind.JOB)
        objects = self._world.cluster.list_all(Kind.LEASE)
        self.story.leases = [lease_view(obj) for obj in objects]
        self.story.messages = {obj["metadata"]["name"]: _closing(obj) for obj in objects}
        self._held = sum(1 for obj in objects if obj["metadata"].get("finalizers"))
        self._show(f"{self._now:5.0f} s  {self._line()}")

    def _line(self) -> str:
        phases = Counter(phase_of(found) for found in self.story.jobs)
        running = [lease for lease in self.story.leases if lease.state == "Active"]
        home = sum(1 for lease in running if lease.is_home)
        ended = sum(phases[phase] for phase in ENDED)
        rest = ", ".join(f"{n} {p}" for p, n in sorted(phases.items()) if p not in ENDED)
        total = self._applied + len(self._waiting)
        done = 30 * ended // max(1, total)
        bar = "#" * done + "." * (30 - done)
        return (
            f"[{bar}] {ended}/{total} ended; applied {self._applied}; {home} leases at home, "
            f"{len(running) - home} rented" + (f"; {rest}" if rest else "")
        )

    def _is_over(self) -> bool:
        if len(self.story.jobs) < self._applied or self._held:
            return False
        return all(phase_of(found) in ENDED for found in self.story.jobs)


def phase_of(found: Json) -> str:
    """`status.phase`; before anything was told: New."""
    phase: Any = (found.get("status") or {}).get("phase")
    return str(phase or "New")


def _closing(lease: Json) -> str:
    closing = (lease.get("status") or {}).get("closing") or {}
    return str(closing.get("message") or "")
