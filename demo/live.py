"""The live picture: acts, jobs and the latest news in one screen of 100 columns."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from overspill.cli.render import usd

WIDTH = 100
NEWS = 40
STAMP = 7
BAR = 10


class LiveView:
    """Redrawn four times a second by its own thread; the story only sets what is shown."""

    def __init__(self, acts: Sequence[str]) -> None:
        self._acts = list(acts)
        self._begun: list[str] = []
        self._sentence = ""
        self._news: deque[tuple[str, Text]] = deque(maxlen=NEWS)
        self._rows: list[tuple[str, ...]] = []
        self._what, self._what_since = "", time.monotonic()
        self._start = time.monotonic()
        self._ended: float | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._console = Console(highlight=False, width=None)
        if self._console.width > WIDTH:
            self._console = Console(highlight=False, width=WIDTH)
        self._live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=4)
        self._live.start()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return round((self._ended or time.monotonic()) - self._start, 1)

    def act(self, title: str, sentence: str) -> None:
        """The act is marked as going on, the one before as done."""
        self._begun.append(title)
        self._sentence = sentence
        self._tell(Text(f"{title}: {sentence}", style="bold"))

    def note(self, text: str) -> None:
        """News."""
        self._tell(Text(text))

    def check(self, claim: str, detail: str = "") -> None:
        """News with a tick."""
        line = Text.assemble(("✓ ", "green"), claim)
        if detail:
            line.append(f" · {detail}", style="dim")
        self._tell(line)

    def progress(self, line: str) -> None:
        """Shown as what is waited for, with a running clock."""
        self.waiting(line.removeprefix("testbed: "))

    def waiting(self, what: str) -> None:
        """Shown beside the spinner."""
        self._what, self._what_since = what, time.monotonic()

    def jobs(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """The table."""
        self._rows = [row(job) for job in jobs]

    def show(self, title: str, text: str) -> None:
        """Printed after the picture, as it is: what commands print has columns of its own."""
        self._console.print(Text(f"\n{title}", style="bold"))
        print(text)

    def close(self) -> None:
        """The last picture stays on the screen."""
        if self._ended is None:
            self._what, self._ended = "", time.monotonic()
            self._live.stop()

    def _tell(self, line: Text) -> None:
        self._news.append((f"{time.monotonic() - self._start:4.0f}s", line))

    def _picture(self) -> RenderableType:
        parts: list[RenderableType] = [self._heading(), Text("")]
        if self._rows:
            parts += [_table(self._rows), Text("")]
        parts.append(self._latest(self._console.height - len(self._rows) - 7))
        if self._what:
            age = time.monotonic() - self._what_since
            clock = f"  {age:.0f} s" if age > 3 else ""
            self._spinner.update(text=Text(f" {self._what}{clock}", style="cyan"))
            parts += [Text(""), self._spinner]
        return Group(*parts)

    def _latest(self, room: int) -> Table:
        """As much of the news as fits, the newest last; long ones are broken, never cut."""
        width = self._console.width - STAMP - 2
        kept: list[tuple[str, Text]] = []
        for stamp, line in reversed(self._news):
            room -= -(-len(line) // (width - 10))
            if room < 0 and kept:
                break
            kept.append((stamp, line))
        shown = Table.grid(padding=(0, 2, 0, 0))
        shown.add_column(width=STAMP - 2, style="dim")
        shown.add_column(width=width)
        for stamp, line in reversed(kept):
            shown.add_row(stamp, line)
        return shown

    def _heading(self) -> Text:
        seconds = int((self._ended or time.monotonic()) - self._start)
        line = Text.assemble(("Overspill ", "bold"), (f"{seconds // 60}:{seconds % 60:02d}  ", ""))
        for title in self._acts:
            is_done = title in self._begun and (title != self._begun[-1] or self._ended)
            is_now = bool(self._begun) and title == self._begun[-1] and not is_done
            mark = "✓" if is_done else "▶" if is_now else "·"
            style = "green" if is_done else "bold cyan" if is_now else "dim"
            line.append(f" {mark} {title} ", style=style)
        return line


_STYLES = {"Running": "cyan", "Complete": "green", "Failed": "red", "Refused": "yellow"}
_TITLES = ("JOB", "STATUS", "PLACE", "GPUS", "USD/H", "SPENT", "DONE", "ATTEMPT")


def row(job: Mapping[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    status = job.get("status") or {}
    placed, cost = status.get("placement") or {}, status.get("cost") or {}
    percent = (status.get("progress") or {}).get("percentage")
    return (
        job["metadata"]["name"],
        status.get("phase") or "",
        placed.get("place", ""),
        placed.get("gpus", ""),
        placed.get("pricePerHourUSD", ""),
        usd(cost.get("spentUSD")),
        "" if percent is None else f"{'━' * (percent * BAR // 100):<{BAR}} {percent:3} %",
        str(placed.get("attempt") or len(status.get("attempts") or []) or ""),
    )


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in _TITLES:
        right = title in ("USD/H", "SPENT", "ATTEMPT")
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for line in rows:
        table.add_row(line[0], Text(line[1], style=_STYLES.get(line[1], "")), *line[2:])
    return table
