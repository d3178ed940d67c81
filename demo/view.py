"""What the demo shows while it runs: a live picture on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from demo.live import LiveView

Json = dict[str, Any]


class View(Protocol):
    """The one seam between the story and the screen."""

    @property
    def seconds(self) -> float:
        """Since the start."""

    def act(self, title: str, sentence: str) -> None:
        """A new act begins."""

    def note(self, text: str) -> None:
        """Something happened that a person wants to know."""

    def check(self, claim: str, detail: str = "") -> None:
        """A claim was verified."""

    def progress(self, line: str) -> None:
        """Set-up goes on."""

    def waiting(self, what: str) -> None:
        """What is waited for now; empty: nothing."""

    def jobs(self, jobs: Sequence[Json]) -> None:
        """All jobs, at every look."""

    def show(self, title: str, text: str) -> None:
        """Output of a command, word for word."""

    def close(self) -> None:
        """The end of the picture; what is printed after it stays."""


def choose(acts: Sequence[str]) -> View:
    """Live on a terminal, plain where there is none, or where NO_COLOR asks for calm."""
    is_calm = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    if sys.stdout.isatty() and not is_calm:
        return LiveView(acts)
    return PlainView()


class PlainView:
    """Lines with the seconds since the start; a wait is announced when it takes over 3 s."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, out: Callable[[str], None] = print
    ) -> None:
        self._clock = clock
        self._out = out
        self._start = clock()
        self._what = ""
        self._said_at = self._start
        self._phases: dict[str, str] = {}

    @property
    def seconds(self) -> float:
        """Since the start."""
        return round(self._clock() - self._start, 1)

    def act(self, title: str, sentence: str) -> None:
        """A heading and a sentence."""
        self._out("")
        self._say(f"== {title} == {sentence}")

    def note(self, text: str) -> None:
        """A line."""
        self._say(f"  {text}")

    def check(self, claim: str, detail: str = "") -> None:
        """A line that begins with `ok`."""
        self._say(f"  ok: {claim}" + (f" ({detail})" if detail else ""))

    def progress(self, line: str) -> None:
        """A line."""
        self._say(f"  {line}")

    def waiting(self, what: str) -> None:
        """Silent for three seconds."""
        self._what, self._said_at = what, self._clock()

    def jobs(self, jobs: Sequence[Json]) -> None:
        """Changes of phase or place, and a word on long waits."""
        for job in jobs:
            told = headline(job)
            name = job["metadata"]["name"]
            if self._phases.get(name) != told:
                self._phases[name] = told
                self._say(f"  {name}: {told}")
        if self._what and self._clock() - self._said_at > 3:
            self._said_at = self._clock()
            self._say(f"  ... waiting for {self._what}")

    def show(self, title: str, text: str) -> None:
        """The text under its title."""
        self._out(f"\n{title}\n{text}")

    def close(self) -> None:
        """Nothing is open."""

    def _say(self, text: str) -> None:
        self._out(f"{self._clock() - self._start:6.1f} {text}")
        sys.stdout.flush()


def headline(job: Mapping[str, Any]) -> str:
    """Phase and place in words."""
    status = job.get("status") or {}
    placed = status.get("placement") or {}
    words = [status.get("phase") or "not seen yet"]
    if placed.get("place"):
        words.append(f"at {placed['place']}, attempt {placed.get('attempt')}")
    return " ".join(words)
