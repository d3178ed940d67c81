"""The figures of a simulation on a terminal of 100 columns, and as JSON. Called by `simulate`."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from overspill.cli import render
from overspill.cli.render import Column
from overspill.simulate.summary import WAITS, Summary
from overspill.simulate.supply import HOME
from overspill.simulate.words import amount, percent, span, usd

_LONGEST = 22
_PLACES = 12
"""Places that are listed by name; the rest are summed."""


def show(out: Console, found: Sequence[Summary], notes: Iterable[str]) -> None:
    """The scenarios side by side, then the classes and places of each."""
    names = _names(out, found)
    columns = [Column(""), *(Column(name, "right") for name in names)]
    render.table(out, columns, _figures(found))
    for name, one in zip(names, found, strict=True):
        out.print()
        render.table(out, _CLASSES, _classes(name, one))
        out.print()
        render.table(out, _WHERE, _where(name, one))
    out.print()
    for note in notes:
        for line in textwrap.wrap(f"- {note}", 99, subsequent_indent="  "):
            out.print(line)


def documents(found: Sequence[Summary]) -> list[dict[str, Any]]:
    """The same for machines: USD, seconds, GPU-hours as numbers."""
    derived = ("usd", "saved_usd", "rework_share", "rented_share")
    return [{**asdict(one), **{name: getattr(one, name) for name in derived}} for one in found]


def _names(out: Console, found: Sequence[Summary]) -> list[str]:
    """Long names stand above the table; letters stand in it."""
    if all(len(one.name) <= _LONGEST for one in found):
        return [one.name for one in found]
    letters = [chr(ord("A") + i) for i in range(len(found))]
    for letter, one in zip(letters, found, strict=True):
        out.print(f"{letter}: {one.name}")
    out.print()
    return letters


def _figures(found: Sequence[Summary]) -> list[list[str]]:
    lines = [
        ("jobs", [amount(s.jobs) for s in found]),
        ("finished", [amount(s.finished) for s in found]),
        ("never placed", [amount(s.refused) if s.refused else "" for s in found]),
        ("finish-by missed", [_missed(s) for s in found]),
        ("cost", [usd(s.usd) for s in found]),
        ("  own nodes", [usd(s.own_usd) for s in found]),
        ("  rented", [usd(s.rented_usd) for s in found]),
        ("  egress", [usd(s.egress_usd) for s in found]),
        ("of which starts", [usd(s.start_usd) for s in found]),
        ("of which work done twice", [_share(s.rework_usd, s) for s in found]),
        ("of which two places at once", [usd(s.double_usd) for s in found]),
        ("reference", [usd(s.reference_usd) for s in found]),
        ("saved", [_saved(s) for s in found]),
        ("rented GPU-hours", [percent(s.rented_share) for s in found]),
        ("wasted GPU-hours", [amount(s.wasted_gpu_h) for s in found]),
        ("moves, losses", [f"{amount(s.moves)}, {amount(s.losses)}" for s in found]),
        ("wait, median", [span(s.median_wait_s) for s in found]),
        ("wait, 95 of 100", [span(s.p95_wait_s) for s in found]),
    ]
    lines += [
        (f"started within {name}", [percent(s.started_within[i]) for s in found])
        for i, (_, name) in enumerate(WAITS)
    ]
    return [[name, *cells] for name, cells in lines if any(cells)]


def _missed(found: Summary) -> str:
    return f"{amount(found.missed)} of {amount(found.promised)}" if found.promised else ""


def _share(part: float, found: Summary) -> str:
    return f"{usd(part)} ({percent(found.rework_share)})"


def _saved(found: Summary) -> str:
    if found.saved_usd is None or not found.reference_usd:
        return "unknown"
    return f"{usd(found.saved_usd)} ({percent(found.saved_usd / found.reference_usd)})"


_CLASSES = (
    Column("SCENARIO"),
    Column("CLASS"),
    Column("JOBS", "right"),
    Column("FINISHED", "right"),
    Column("FINISH-BY", "right"),
    Column("KEPT", "right"),
    Column("ATTAINED", "right"),
    Column("COST", "right"),
)


def _classes(name: str, found: Summary) -> list[list[str]]:
    return [
        [
            *(name, c.name, amount(c.jobs), amount(c.finished), amount(c.promised)),
            *(amount(c.kept), "" if c.attained is None else percent(c.attained), usd(c.usd)),
        ]
        for c in found.classes
    ]


_WHERE = (
    Column("SCENARIO"),
    Column("PLACE"),
    Column("STAYS", "right"),
    Column("LOST", "right"),
    Column("GPU-HOURS", "right"),
    Column("COST", "right"),
    Column("USD/GPU/H", "right"),
)


def _where(name: str, found: Summary) -> list[list[str]]:
    rows = [
        [
            *(name, "own nodes" if p.name == HOME else p.name, amount(p.stays)),
            *(amount(p.losses), amount(p.gpu_h), usd(p.usd)),
            f"{p.usd / p.gpu_h:.2f}" if p.gpu_h else "",
        ]
        for p in found.places[:_PLACES]
    ]
    rest = found.places[_PLACES:]
    if rest:
        hours, paid = sum(p.gpu_h for p in rest), sum(p.usd for p in rest)
        counts = [amount(sum(p.stays for p in rest)), amount(sum(p.losses for p in rest))]
        rows.append([name, f"{len(rest)} others", *counts, amount(hours), usd(paid), ""])
    return rows
