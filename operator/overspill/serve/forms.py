"""Reads the form of a report and bounds everything in it. Called by `reports`."""

import re
from urllib.parse import parse_qsl

from overspill.core.observation import GpuEvidence
from overspill.serve.book import Event, Told

MAX_FIELDS = 96
MAX_GPUS = 64
MAX_TEXT = 2048
MAX_NUMBER = 2**63 - 1
MAX_TRIP_MS = 60_000
_TRIP = re.compile(r"([0-9]{1,3}\.[0-9]{1,9}),([0-9]{1,3}\.[0-9]{1,9})")


class BadForm(ValueError):  # noqa: N818  (says what it is, like the others of this house)
    """The body is not a report; the message names the field."""


def read_form(body: bytes) -> Told:
    """The report in a form-encoded body. Raises BadForm."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BadForm("the body is not a form") from error
    fields = dict(pairs)
    return Told(
        lease=_text(fields, "lease", required=True),
        attempt=_number(fields, "attempt", 0, MAX_NUMBER) or 0,
        event=_event(fields),
        exit_code=_number(fields, "exit_code", 0, 255),
        checkpoint_uri=_text(fields, "checkpoint_uri"),
        checkpoint_step=_number(fields, "checkpoint_step", 0, MAX_NUMBER),
        progress_percent=_number(fields, "progress", 0, 100),
        rtt_ms=_trip(fields.get("trip", "")),
        gpus=tuple(_gpu(text) for name, text in pairs if name == "gpu")[:MAX_GPUS],
    )


def _event(fields: dict[str, str]) -> Event:
    try:
        event = Event(fields.get("event", ""))
    except ValueError as error:
        raise BadForm("event is none of " + ", ".join(Event)) from error
    if event is Event.EXITED and not fields.get("exit_code"):
        raise BadForm("exited needs exit_code")
    return event


def _text(fields: dict[str, str], name: str, *, required: bool = False) -> str:
    text = fields.get(name, "")
    if len(text) > MAX_TEXT or not text.isprintable() or (required and not text):
        raise BadForm(f"{name} is missing, too long or not printable")
    return text


def _number(fields: dict[str, str], name: str, low: int, high: int) -> int | None:
    """A whole number in bounds, None when the field is absent or empty."""
    text = fields.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise BadForm(f"{name} is not a whole number from {low} to {high}")
    return int(text)


def _trip(text: str) -> float | None:
    """Milliseconds of a round trip, from curl's seconds until the name was found and until it was
    connected. None: not told, or nothing one could use."""
    found = _TRIP.fullmatch(text)
    if found is None:
        return None
    lookup, connect = (float(part) for part in found.groups())
    taken = (connect - lookup) * 1000
    return round(taken, 3) if 0 < taken <= MAX_TRIP_MS else None


def _gpu(text: str) -> GpuEvidence:
    """One CSV line of nvidia-smi: name, memory in MiB, uuid."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not parts[1].isdigit() or len(text) > 256 or not text.isprintable():
        raise BadForm("gpu is not a line of name, MiB, uuid")
    return GpuEvidence(parts[0], int(parts[1]), parts[2])
