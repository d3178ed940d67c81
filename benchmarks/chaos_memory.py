"""What a run of the fault campaign has done already, so that one that was stopped goes on.

One JSON file for each profile below `build/chaos`; it counts for the code it was made on alone.
"""

import json
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.chaos_lines import Line

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("operator", "helm", "crds", "benchmarks", "tests", "requirements.lock")


class Memory:
    """The parts of one profile that are done, and how far the others are."""

    def __init__(self, profile: str, *, fresh: bool, folder: Path = ROOT / "build" / "chaos"):
        """What was kept for other code, or is to be forgotten, is not read."""
        self._path = folder / f"{profile}.json"
        self._lock = threading.Lock()
        self._kept: dict[str, Any] = {"code": code(), "lines": {}, "progress": {}}
        if not fresh and self._path.is_file():
            before = json.loads(self._path.read_text(encoding="utf-8"))
            if before.get("code") == self._kept["code"]:
                self._kept = before

    def lines(self, part: str) -> list[Line]:
        """The lines of a part that is done; empty otherwise."""
        return [Line(**line) for line in self._kept["lines"].get(part, [])]

    def keep(self, part: str, lines: Sequence[Line]) -> None:
        """A part is done. One that failed is not kept: it is to be run again."""
        if all(line.is_met for line in lines):
            self._kept["lines"][part] = [asdict(line) for line in lines]
            self._write()

    def load(self, part: str) -> dict[str, Any]:
        """How far a part is."""
        found: dict[str, Any] = self._kept["progress"].get(part, {})
        return found

    def save(self, part: str, progress: dict[str, Any]) -> None:
        """A part is so far."""
        self._kept["progress"][part] = progress
        self._write()

    def _write(self) -> None:
        with self._lock:
            self._write_alone()

    def _write_alone(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self._kept), encoding="utf-8")
        fresh.replace(self._path)


def code() -> str:
    """What is checked out of all that a figure may depend on; "" outside a checkout."""
    command = ["git", "-C", str(ROOT), "rev-parse", *(f"HEAD:{part}" for part in PARTS)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return " ".join(asked.stdout.split())
