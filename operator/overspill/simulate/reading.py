"""Reads a job history and what surrounds it from CSV files (plain or `.gz`).

The columns are those of docs/simulate.md; names that other systems use for the same thing are
understood. A file that cannot be understood is a `ReadingError` that names file, line and column.
Called by `overspill simulate` and by the benchmark.
"""

import csv
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from overspill.core.gpus import canonical_model
from overspill.simulate.history import (
    UNLIMITED,
    Fault,
    Kind,
    OwnNode,
    PastJob,
    Place,
    Series,
    constant,
)

_SAME: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "job_id", "jobid", "name", "job"),
    "submit": ("submit_s", "submit_time", "submit", "timestamp", "created"),
    "work": ("work_s", "duration", "run_s", "run_time", "elapsed_s", "duration_s"),
    "gpus": ("gpus", "num_gpus", "num_gpu", "gpu_count"),
    "nodes": ("nodes", "num_nodes"),
    "model": ("gpu_model", "model", "gpu_type"),
    "deadline": ("deadline_s", "deadline", "finish_by"),
    "sla": ("sla", "sla_class"),
    "interval": ("ckpt_interval_s",),
    "gib": ("ckpt_gb", "ckpt_gib"),
    "cap": ("max_total_usd",),
}
"""Our name of a column: what files call it, lower case."""

GPUS_PER_NODE = 8


class ReadingError(ValueError):
    """A file cannot be understood; the message names it and says what was expected."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What stands where a history is silent."""

    sla: str = "standard"
    model: str = ""
    interval_s: float | None = 1800.0
    slack: float | None = None
    """Finish-by as a multiple of the work, for jobs without one of their own; None: none."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Second zero of a history; None: its times are seconds already."""

    origin: datetime | None = None

    def second(self, text: str) -> float:
        """A time as seconds of this clock."""
        if _is_number(text):
            return float(text)
        moment = _moment(text)
        return (moment - (self.origin or moment)).total_seconds()


def clock_of(path: Path) -> Clock:
    """The clock of a job file: its first submission, or the seconds it is written in."""
    times = [row.text("submit") for row in _rows(path)]
    if not times:
        raise ReadingError(f"{path}: there is no job in it")
    if all(_is_number(text) for text in times):
        return Clock()
    return Clock(min(_moment(text) for text in times))


def jobs(path: Path, clock: Clock, defaults: Defaults) -> list[PastJob]:
    """The jobs of a file; those that computed nothing or used no GPU are left out."""
    found = [_job(row, clock, defaults) for row in _rows(path)]
    kept = [job for job in found if job.gpus > 0 and job.work_s > 0]
    names: dict[str, int] = {}
    for job in kept:
        names[job.name] = names.get(job.name, 0) + 1
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise ReadingError(f"{path}: two jobs are called {twice!r}")
    return kept


def own_nodes(path: Path) -> list[OwnNode]:
    """Columns id, gpus, gpu_model."""
    return [
        OwnNode(row.text("id"), int(row.number("gpus")), canonical_model(row.text("model", "gpu")))
        for row in _rows(path)
    ]


def own_faults(path: Path, clock: Clock) -> list[Fault]:
    """Columns node, begin_s, end_s."""
    return [
        Fault(r.text("node"), clock.second(r.text("begin_s")), clock.second(r.text("end_s")))
        for r in _rows(path)
    ]


def places(folder: Path, clock: Clock) -> list[Place]:
    """`places.csv`, with `price.csv` and `capacity.csv` beside it where there are any."""
    prices = _series(folder / "price.csv", clock)
    gpus = _series(folder / "capacity.csv", clock)
    return [_place(row, prices, gpus) for row in _rows(folder / "places.csv")]


def _place(row: "_Row", prices: Mapping[str, Series], gpus: Mapping[str, Series]) -> Place:
    name = row.text("id")
    kind = row.text("kind")
    kinds: dict[str, Kind] = {"p2p": "p2p", "spot": "spot", "ondemand": "ondemand"}
    if kind not in kinds:
        raise row.wrong("kind", f"one of {', '.join(kinds)} (own nodes stand in own_nodes.csv)")
    price = prices.get(name) or constant(row.number("usd_per_gpu_h"))
    return Place(
        name=name,
        kind=kinds[kind],
        model=canonical_model(row.text("model", "gpu")),
        price=price,
        gpus=gpus.get(name) or constant(row.number("gpus", UNLIMITED)),
        gpus_per_node=int(row.number("gpus_per_node", GPUS_PER_NODE)),
        cold_start_s=row.number("cold_start_s", 180.0),
        egress_usd_per_gib=row.number("egress_usd_gb", 0.0),
        boot_fail_share=row.number("boot_fail_p", 0.0),
        mtbf_h=row.number("mtbf_h", 0.0) or None,
        region=row.text("region", ""),
    )


def _job(row: "_Row", clock: Clock, defaults: Defaults) -> PastJob:
    gpus, work = int(row.number("gpus")), row.number("work")
    submit = clock.second(row.text("submit"))
    by, interval = row.text("deadline", ""), row.text("interval", "")
    deadline = clock.second(by) if by else None
    if deadline is None and defaults.slack is not None:
        deadline = submit + work * defaults.slack
    model = row.text("model", defaults.model)
    return PastJob(
        name=row.text("id", f"row {row.line}"),
        submit_s=submit,
        gpus=gpus,
        work_s=work,
        nodes=int(row.number("nodes", _nodes(gpus))),
        model=canonical_model(model) if model else "",
        deadline_s=deadline,
        sla=row.text("sla", defaults.sla),
        interval_s=float(interval) if interval else defaults.interval_s,
        checkpoint_gib=row.number("gib", 0.0),
        max_total_usd=row.number("cap", 0.0) or None,
    )


def _nodes(gpus: int) -> int:
    """The fewest equal machines of eight GPUs at most."""
    least = max(1, -(-gpus // GPUS_PER_NODE))
    return next((n for n in range(least, gpus + 1) if gpus % n == 0), 1)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line; cells are asked for by our names or by the file's own."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        """A cell; without a default it must be there."""
        for spelled in _SAME.get(name, (name,)):
            if self.cells.get(spelled):
                return self.cells[spelled]
        if default is None:
            expected = " or ".join(_SAME.get(name, (name,)))
            raise ReadingError(f"{self.path}, line {self.line}: there is no {expected}")
        return default

    def number(self, name: str, default: float | None = None) -> float:
        """A cell as a number."""
        text = self.text(name, None if default is None else str(default))
        if not _is_number(text):
            raise self.wrong(name, "a number")
        return float(text)

    def wrong(self, name: str, expected: str) -> ReadingError:
        """What is wrong with a cell."""
        found = self.text(name, "")
        return ReadingError(f"{self.path}, line {self.line}: {name} is {found!r}, not {expected}")


def _rows(path: Path) -> Iterator[_Row]:
    try:
        with _open(path) as file:
            reader = csv.DictReader(file)
            for cells in reader:
                clean = {str(k).strip().lower(): (v or "").strip() for k, v in cells.items() if k}
                yield _Row(path, reader.line_num, clean)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReadingError(f"{path} cannot be read: {error}") from error


def _open(path: Path) -> TextIO:
    """A text file, packed or not."""
    # The caller closes what wraps it.
    raw = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115
    return TextIOWrapper(raw, encoding="utf-8", newline="")


def _series(path: Path, clock: Clock) -> dict[str, Series]:
    """A table of ticks (first column) by places; it repeats when it ends."""
    if not path.exists():
        return {}
    with _open(path) as file:
        header, *lines = csv.reader(file)
    if len(lines) < 2:
        raise ReadingError(f"{path}: two ticks at least must be there")
    times = [clock.second(line[0]) for line in lines]
    period = times[-1] - times[0] + (times[1] - times[0])
    found = {}
    for column, name in enumerate(header[1:], start=1):
        try:
            values = [float(line[column] or 0) for line in lines]
        except (ValueError, IndexError) as error:
            raise ReadingError(f"{path}: column {name} is not all numbers") from error
        found[name.strip()] = changes(times, values, period)
    return found


def changes(times: Sequence[float], values: Sequence[float], period_s: float | None) -> Series:
    """A series that keeps only the ticks at which its figure changes."""
    kept = [i for i in range(len(values)) if i == 0 or values[i] != values[i - 1]]
    return Series([times[i] for i in kept], [values[i] for i in kept], period_s)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReadingError(f"{text!r} is neither seconds nor a date (ISO 8601)") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
