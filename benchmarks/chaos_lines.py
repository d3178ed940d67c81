"""One line of the table that the fault campaign prints: what was to be reached, what was measured.

Every program of the campaign has a `run(...)` that returns such lines; `chaos` prints them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One goal, and what was measured."""

    goal: str
    measured: str
    is_met: bool


def print_lines(lines: Sequence[Line]) -> None:
    """The table."""
    print(f"\n{'goal':40} {'measured':70} met")
    for line in lines:
        print(f"{line.goal:40} {line.measured:70} {'yes' if line.is_met else 'NO'}")
