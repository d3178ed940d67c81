"""What a suite reports, and the one table at the end: a line per suite, then who it is ahead of.

Called by `__main__` and the suites.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.placement.stats import Interval

WIDTH = 100
INDENT = " " * 22

NOTES = (
    "95 % intervals in brackets; ahead or behind where that of the difference leaves out zero.",
    "wasted: hours of a job's whole place, starts and rework (fleet: GPU-hours of all jobs).",
    "misses of the fleet: guaranteed/standard/besteffort. ms: CPU time of a decision.",
)

AHEAD, LEVEL, BEHIND = "ahead of", "level with", "behind"


@dataclass(frozen=True)
class Entry:
    """One line of the table. Empty fields are told as a dash."""

    suite: str
    ours: str
    p95: str = ""
    misses: str = ""
    wasted: str = ""
    ms: str = ""
    against: Sequence[str] = ()
    """Sentences of ours against the others."""


@dataclass(frozen=True)
class Report:
    """A suite's own tables, its lines of the summary, and what is not as it should be."""

    text: str
    entries: Sequence[Entry]
    problems: Sequence[str] = ()


def verdict(less: Interval) -> str:
    """Of ours less theirs: dollars, or whatever is better when it is less."""
    return AHEAD if less.high < 0 else BEHIND if less.low > 0 else LEVEL


def sentence(verdicts: Mapping[str, str]) -> str:
    """By verdict, who."""
    told = []
    for word in (AHEAD, LEVEL, BEHIND):
        names = [name for name, found in verdicts.items() if found == word]
        told += [f"{word} {', '.join(names)}"] if names else []
    return "; ".join(told)


def table(entries: Iterable[Entry]) -> str:
    """For people, in 100 columns."""
    head = Entry("summary", "ours", "p95", "misses", "wasted", "ms")
    lines = [line for one in (head, *entries) for line in _lines(one)]
    return "\n".join((*lines, *NOTES))


def _lines(one: Entry) -> list[str]:
    cells = [cell or "-" for cell in (one.p95, one.misses, one.wasted, one.ms)]
    p95, misses, wasted, ms = cells
    lines = [f"{one.suite:21} {one.ours:41} {p95:>6} {misses:>8} {wasted:>8} {ms:>7}"]
    for told in one.against:
        lines += textwrap.wrap(told, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return lines
