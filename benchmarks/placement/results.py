"""The results so far, one JSON line per case and policy, so that a run goes on where it stopped.

A line belongs to the version of the code that wrote it; lines of other versions are left alone
and not read. Called by `__main__`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.placement.simulate import Outcome
from benchmarks.placement.versions import version

_PACKAGE = "benchmarks.placement"
_ENTRIES = {
    "optimum": ("suites", "optimum"),
    "overspill": ("suites", "simulate", "ours"),
    "overspill probed": ("suites", "simulate", "probing"),
    "baseline": ("suites", "simulate", "baselines"),
}
"""The modules that decide what a line says, by whose line it is."""


@dataclass(frozen=True)
class Line:
    """What one policy did with one case, or what the optimum is (policy `optimum`)."""

    case: str
    policy: str
    outcome: Outcome
    ms_per_decision: float = 0.0


class Results:
    """A file of lines, read once and appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[tuple[str, str], Line] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for text in path.read_text().splitlines() if path.exists() else []:
            self._read(json.loads(text))

    def get(self, case: str, policy: str) -> Line | None:
        """What is known already."""
        return self._lines.get((case, policy))

    def add(self, line: Line) -> Line:
        """Keeps a line, in the file too."""
        self._lines[line.case, line.policy] = line
        with self._path.open("a") as file:
            file.write(json.dumps({"version": self._of(line.policy), **asdict(line)}) + "\n")
        return line

    def _read(self, found: dict[str, Any]) -> None:
        version = found.pop("version")
        line = Line(**{**found, "outcome": Outcome(**found["outcome"])})
        if version == self._of(line.policy):
            self._lines[line.case, line.policy] = line

    def _of(self, policy: str) -> str:
        """Optima and baselines stay valid when only our policy changes."""
        names = _ENTRIES.get(policy, _ENTRIES["baseline"])
        return version(*(f"{_PACKAGE}.{name}" for name in names))
