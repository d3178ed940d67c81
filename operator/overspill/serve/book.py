"""Keeps what runners told us, and what they are to be told. In memory, of one event loop.

`reports` writes what arrives; the engine reads it (`ports.Reports`) and steers the answers. A
restart forgets everything and loses nothing: runners repeat their last word until they are
closed, and no command starts before the engine has said again that it may.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from overspill.core.observation import GpuEvidence, Report
from overspill.ports import Clock

MAX_TOMBSTONES = 20_000


class Event(StrEnum):
    """Why a runner reports."""

    HELLO = "hello"
    HEARTBEAT = "heartbeat"
    EXITED = "exited"
    STOPPED = "stopped"


class Leave(StrEnum):
    """What the engine said of an attempt."""

    UNKNOWN = "Unknown"
    GRANTED = "Granted"
    WAIT = "Wait"
    OVER = "Over"


class AttemptOver(Exception):  # noqa: N818  (named by what the runner has to do)
    """The attempt is fenced: its word counts no more."""


class NotToldYet(Exception):  # noqa: N818  (as above)
    """The engine has not said whether the attempt may start."""


@dataclass(frozen=True, slots=True)
class Told:
    """One report as it arrived, checked."""

    lease: str
    attempt: int
    event: Event
    exit_code: int | None = None
    checkpoint_uri: str = ""
    checkpoint_step: int | None = None
    progress_percent: int | None = None
    gpus: tuple[GpuEvidence, ...] = ()
    rtt_ms: float | None = None


@dataclass(slots=True)
class _Entry:
    leave: Leave = Leave.UNKNOWN
    resume_uri: str = ""
    command: str = ""
    report: Report | None = None


@dataclass(slots=True)
class ReportBook:
    """`ports.Reports`, and the desk at which the engine decides who may start."""

    secret: bytes = field(repr=False)
    clock: Clock
    public_url: str = ""
    on_report: Callable[[str], None] = lambda lease: None
    """Called with the lease's name after each report that was taken in."""
    _entries: dict[str, _Entry] = field(default_factory=dict, init=False)
    _closed: OrderedDict[str, None] = field(default_factory=OrderedDict, init=False)

    def latest(self, lease: str) -> Report | None:
        """The newest report of a lease, by lease name."""
        entry = self._entries.get(lease)
        return entry.report if entry else None

    def command(self, lease: str, verb: str) -> None:
        """Queues `checkpoint` or `stop` as the reply to the lease's next report."""
        entry = self._entry(lease)
        if entry.command != "stop":  # whoever is to stop is not asked for less
            entry.command = verb

    def report_url(self) -> str:
        """Public base URL of reports for rented leases; "" when none is configured."""
        return self.public_url

    def token(self, lease: str) -> str:
        """The lease's report token: HMAC(cluster secret, lease name)."""
        if not self.secret:
            raise ValueError("reports need OVERSPILL_CLUSTER_SECRET, which is empty")
        return hmac.new(self.secret, lease.encode(), hashlib.sha256).hexdigest()

    def is_token(self, lease: str, token: str) -> bool:
        """Whether that is the lease's token; takes the same time for every wrong one."""
        return bool(self.secret) and hmac.compare_digest(
            self.token(lease).encode(), token.encode("utf-8", "replace")
        )

    def permit_start(self, lease: str, resume_uri: str) -> None:
        """The attempt may start its command, from that checkpoint; a fence stays a fence."""
        self._decide(lease, Leave.GRANTED, resume_uri)

    def make_wait(self, lease: str) -> None:
        """The attempt must not start yet: its predecessor is still being drained."""
        self._decide(lease, Leave.WAIT)

    def fence(self, lease: str) -> None:
        """The attempt is over: its reports are refused, its command must not start (again)."""
        if lease not in self._closed:
            self._entry(lease).leave = Leave.OVER

    def forget(self, lease: str) -> None:
        """The lease is closed; only its fence is kept, for a zombie that still reports."""
        self._entries.pop(lease, None)
        self._closed[lease] = None
        if len(self._closed) > MAX_TOMBSTONES:
            self._closed.popitem(last=False)

    def receive(self, told: Told) -> str:
        """Takes a report in and gives the answer. Raises AttemptOver, NotToldYet."""
        if told.lease in self._closed:
            return self._answer_over(told)
        entry = self._entry(told.lease)
        if entry.leave is Leave.OVER:
            return self._answer_over(told)
        entry.report = self._merged(entry.report, told)
        self.on_report(told.lease)
        return self._answer(entry, told)

    def _decide(self, lease: str, leave: Leave, resume_uri: str = "") -> None:
        if lease in self._closed:
            return
        entry = self._entry(lease)
        if entry.leave is not Leave.OVER:
            entry.leave, entry.resume_uri = leave, resume_uri

    def _entry(self, lease: str) -> _Entry:
        return self._entries.setdefault(lease, _Entry())

    def _answer_over(self, told: Told) -> str:
        if told.event is Event.HELLO:
            return "hold"
        raise AttemptOver

    def _answer(self, entry: _Entry, told: Told) -> str:
        if told.event is Event.HELLO:
            return self._answer_hello(entry)
        command, entry.command = entry.command, ""
        return command or "run"

    def _answer_hello(self, entry: _Entry) -> str:
        report = entry.report
        if report and report.exit_code is not None:
            return "hold"  # the market restarted a container whose command has ended
        if entry.leave is Leave.UNKNOWN:
            raise NotToldYet
        if entry.leave is Leave.WAIT:
            return "wait"
        # A container restarted half way goes on from its own newest checkpoint.
        resume = (report.checkpoint_uri if report else "") or entry.resume_uri
        return f"run {resume}".rstrip()

    def _merged(self, before: Report | None, told: Told) -> Report:
        """A report says all it knows, but a late or poor one never takes back what was said."""
        known = before or Report(told.lease, told.attempt, 0.0, self.clock.now())
        report = replace(
            known,
            attempt=told.attempt,
            seen_at_monotonic_s=self.clock.monotonic(),
            seen_at=self.clock.now(),
            has_started=known.has_started or told.event is not Event.HELLO,
            has_stopped=(known.has_stopped or told.event is Event.STOPPED)
            and told.event is not Event.HELLO,
            gpus=told.gpus or known.gpus,
            rtt_ms=_shorter(known.rtt_ms, told.rtt_ms),
        )
        if told.event is Event.EXITED and known.exit_code is None:
            report = replace(report, exit_code=told.exit_code)
        if told.progress_percent is not None:
            report = replace(report, progress_percent=told.progress_percent)
        return self._with_checkpoint(report, told)

    def _with_checkpoint(self, report: Report, told: Told) -> Report:
        is_new = (report.checkpoint_uri, report.checkpoint_step) != (
            told.checkpoint_uri,
            told.checkpoint_step,
        )
        # Two reports may overtake each other: a lower step is the older one.
        is_older = (told.checkpoint_step or 0) < (report.checkpoint_step or 0)
        if not told.checkpoint_uri or not is_new or is_older:
            return report
        return replace(
            report,
            checkpoint_uri=told.checkpoint_uri,
            checkpoint_step=told.checkpoint_step,
            checkpoint_at=self.clock.now(),
        )


def _shorter(known: float | None, told: float | None) -> float | None:
    """What is in the way now and then only ever makes a round trip longer."""
    both = [trip for trip in (known, told) if trip is not None]
    return min(both, default=None)
