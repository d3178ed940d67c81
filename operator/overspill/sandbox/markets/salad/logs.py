"""Answers a query of SaladCloud's log store: one group's container output, by time.

Only queries that are equalities joined by `and` are understood, as far as its documentation shows.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from overspill.sandbox.clock import iso
from overspill.sandbox.markets.salad import wire
from overspill.sandbox.markets.salad.errors import ProblemError
from overspill.sandbox.rentals import Rentals

_TERM = re.compile(r'\s*([a-z_.]+)\s*=\s*"([^"]*)"\s*')


def answer_query(rentals: Rentals, organization: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """One page, newest first unless asked otherwise."""
    since, until = _time(query, "start_time"), _time(query, "end_time")
    wanted = _terms(str(query.get("query") or ""))
    is_oldest_first = query.get("sort_order") == "asc"
    found = sorted(
        (
            (at, entry)
            for rental in rentals.all.values()
            for at, entry in wire.log_lines(rentals, rental)
            if since <= at <= until and _matches(entry, wanted)
        ),
        key=lambda pair: pair[0],
        reverse=not is_oldest_first,
    )[: int(query.get("page_size") or 100)]
    times = [at for at, _ in found] or [since]
    return {
        "items": [entry for _, entry in found],
        "organization_name": organization,
        "page_min_time": iso(min(times)),
        "page_max_time": iso(max(times)),
    }


def _terms(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(" and ")):
        term = _TERM.fullmatch(part)
        if term is None:
            raise ProblemError(400, f"The sandbox does not understand the query near {part!r}.")
        found[term[1]] = term[2]
    return found


def _matches(entry: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    resource = entry["resource"]
    known = {"resource.type": resource["type"]}
    known |= {f"resource.labels.{name}": text for name, text in resource["labels"].items()}
    return all(known.get(name) == text for name, text in wanted.items())


def _time(query: Mapping[str, Any], name: str) -> float:
    try:
        return datetime.fromisoformat(str(query[name])).timestamp()
    except (KeyError, ValueError) as error:
        raise ProblemError(400, f"{name} is not a time.") from error
