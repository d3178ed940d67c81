"""Reads what a process has used from /proc: CPU seconds and resident memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Since the start of the process."""

    cpu_s: float
    rss_mib: float
    peak_rss_mib: float


def usage(pid: int) -> Usage:
    """Of one process, all its threads; not of its children."""
    folder = Path("/proc") / str(pid)
    # The command's name stands in parentheses and may contain anything, blanks too.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    lines = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    cpu = (int(fields[11]) + int(fields[12])) / TICKS
    return Usage(cpu, _mib(lines["VmRSS"]), _mib(lines["VmHWM"]))


def _mib(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / 1024
