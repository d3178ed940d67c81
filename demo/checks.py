"""What the demo claims and whether it is true: `--summary` writes it, the exit code follows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


class DemoError(Exception):
    """Something the demo claims is not so, or did not happen in time. The message is a sentence."""


@dataclass(frozen=True)
class Check:
    """One claim that was verified."""

    act: str
    claim: str
    detail: str


@dataclass
class Findings:
    """Everything verified so far, and figures worth keeping. A false claim ends the demo."""

    checks: list[Check] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    error: str = ""
    act: str = ""

    def check(self, claim: str, detail: str = "", *, holds: bool) -> None:
        """Records a claim that holds; raises DemoError for one that does not."""
        if not holds:
            raise DemoError(f"Not so: {claim}. {detail}".strip())
        self.checks.append(Check(self.act, claim, detail))

    def write(self, path: Path) -> None:
        """The machine-readable summary."""
        document = {
            "ok": not self.error,
            "error": self.error,
            "checks": [asdict(check) for check in self.checks],
            "figures": self.figures,
            "skipped": self.skipped,
        }
        path.write_text(json.dumps(document, indent=2, default=str) + "\n")
