"""The results so far, one JSON line per case and policy, so that a run goes on where it stopped.

A line belongs to the version of the code that wrote it; lines of other versions are left alone
and not read. Called by `__main__`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.placement.simulate import Outcome

_CORE = Path(__file__).resolve().parents[2] / "operator" / "overspill" / "core"


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
        return _version(policy if policy in ("optimum", "overspill") else "baseline")


@cache
def _version(kind: str) -> str:
    """A hash of the code that decides what a line of this kind says."""
    here = Path(__file__).parent
    names = {
        "optimum": ("optimum",),
        "baseline": ("simulate", "baselines", "history"),
        "overspill": ("simulate", "baselines", "history", "ours"),
    }[kind]
    files = [here / f"{name}.py" for name in ("world", "traces", "suites", *names)]
    core = [_CORE / "policy_safety.py"]
    if kind == "overspill":
        core = sorted((*_CORE.glob("policy*.py"), *_CORE.glob("placement*.py")))
    digest = hashlib.sha256()
    for file in [*files, *core]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
