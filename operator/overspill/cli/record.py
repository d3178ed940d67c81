"""Decision records: fetched from the operator, kept in a file, decided again here.

The operator hands them out on loopback alone, so they are read through a port forwarded to its
pod; a file serves anybody it is given to. Called by `explain`.
"""

import argparse
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from overspill.cli import render
from overspill.cli.errors import CliError
from overspill.cli.render import Column, usd
from overspill.core.placement_record import Record, parsed
from overspill.core.placement_whatif import WhatIf, decided, what_if
from overspill.core.statusparts import decision_document

OPERATOR = "http://127.0.0.1:8081"
FORWARD = "kubectl -n overspill-system port-forward deploy/overspill 8081"
_TIMEOUT_S = 30

_CHANGES = (
    Column("IF YOU", folds=True),
    Column("IT GOES TO"),
    Column("USD/H", "right"),
    Column("ALL IN", "right"),
    Column("SAVES", "right"),
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What `explain` takes beyond the job."""
    parser.add_argument(
        "--what-if",
        action="store_true",
        help="also what would have to change: the decision made again with one wish relaxed",
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="save what it was decided from")
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="decide again from a saved record; no cluster"
    )
    parser.add_argument(
        "--operator",
        default=OPERATOR,
        metavar="URL",
        help=f"where the operator's records are read (default {OPERATOR}, after: {FORWARD})",
    )


def fetch(operator: str, namespace: str, job: str) -> dict[str, Any]:
    """The record of the job's latest decision. Raises CliError."""
    import httpx  # noqa: PLC0415  (slow to import, and no other way of explain needs it)

    url = f"{operator.rstrip('/')}/decisions/{namespace}/{job}"
    try:
        answer = httpx.get(url, timeout=_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise CliError(
            f"The operator's records are not reached at {operator} ({error}); forward its port "
            f"first: {FORWARD}"
        ) from error
    if answer.status_code == 404:
        raise CliError(
            f"The operator remembers no decision about {namespace}/{job}: it keeps the latest "
            "batches only, a restart forgets them, and a replica that does not lead has none."
        )
    if answer.status_code != 200:
        raise CliError(f"Reading {url} was refused ({answer.status_code}).")
    found: dict[str, Any] = answer.json()
    return found


def save(found: Mapping[str, Any], path: Path) -> Path:
    """Writes a record, compressed when the name ends so."""
    text = json.dumps(found, separators=(",", ":")) + "\n"
    try:
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    except OSError as error:
        raise CliError(f"Writing the record failed: {error}") from error
    return path


def load(path: Path) -> dict[str, Any]:
    """Reads what `save` wrote."""
    try:
        raw = path.read_bytes()
        found = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (OSError, ValueError, EOFError) as error:
        raise CliError(f"Reading the record {path} failed: {error}") from error
    if not isinstance(found, dict):
        raise CliError(f"{path} is no decision record.")
    return found


def read(found: Mapping[str, Any]) -> Record:
    """The record as values."""
    try:
        return parsed(found)
    except ValueError as error:
        raise CliError(f"Reading the record failed: {error}") from error


def again(record: Record) -> Mapping[str, Any]:
    """The decision as the status spells it, made now."""
    try:
        return decision_document(decided(record)) or {}
    except LookupError as error:
        raise CliError(str(error)) from error


def print_changes(out: Console, record: Record) -> None:
    """What would have to change, the most useful first."""
    out.print("\nWhat would change it", style="bold")
    found = what_if(record)
    if not found:
        out.print("No single wish: what else there is costs as much or more.")
        return
    render.table(out, _CHANGES, [_row(one) for one in found])


def _row(one: WhatIf) -> tuple[str, ...]:
    decision = one.decision
    place = decision.offer.place if decision.offer else ""
    return (
        one.change,
        place,
        usd(decision.price_usd_per_hour),
        usd(decision.total_usd),
        usd(one.saved_usd),
    )
