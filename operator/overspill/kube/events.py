"""Tells users what happened to their GPUJob, and admins what their GPUProvider, as events.

Events of events.k8s.io, called by `cluster`. Those of a GPUProvider, which has no namespace, stand
in `default`, where kubectl looks for them.

Best effort: an event that cannot be written is dropped, never raised. The same thing said again
within the series window raises the count of the first event, as kubectl shows it.
"""

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from overspill.api import API_VERSION
from overspill.core.errors import Gone, OverspillError
from overspill.kube.mapping.writing import instant
from overspill.kube.resources import Kind
from overspill.ports import AccountEvent, Clock, Event, KubeVerbs

CONTROLLER = "overspill.dev/operator"
SERIES_WINDOW_S = 360.0
MAX_SERIES = 5000
MAX_NOTE = 1024
CLUSTER_SCOPED = "default"

log = logging.getLogger(__name__)


def micro_time(moment: datetime) -> str:
    """MicroTime: the API wants exactly six digits of fraction."""
    written = instant(moment.replace(microsecond=0)) or ""
    return f"{written.removesuffix('Z')}.{moment.microsecond:06d}Z"


Said = Event | AccountEvent


@dataclass(frozen=True, slots=True)
class _About:
    """The object that an event regards; `namespace` is where the event stands."""

    kind: Kind
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, event: Said) -> "_About":
        """What the event is about."""
        if isinstance(event, AccountEvent):
            account = event.account
            return cls(Kind.PROVIDER, CLUSTER_SCOPED, account.name, account.uid)
        ref = event.job.ref
        return cls(Kind.JOB, ref.namespace, ref.name, ref.uid)

    def document(self) -> dict[str, str]:
        """The reference as the API wants it."""
        found = {"apiVersion": API_VERSION, "kind": self.kind.value, "name": self.name}
        inside = {"namespace": self.namespace} if self.kind.is_namespaced else {}
        return found | inside | {"uid": self.uid}


@dataclass(slots=True)
class _Series:
    path: str
    last_s: float
    count: int = 1


class Events:
    """Posts events and counts repeats."""

    def __init__(self, verbs: KubeVerbs, clock: Clock, instance: str) -> None:
        self._verbs = verbs
        self._clock = clock
        self._instance = instance[:128] or "overspill"
        self._series: OrderedDict[str, _Series] = OrderedDict()

    async def post(self, event: Said) -> None:
        """Writes the event, or one more count on the same one; never raises."""
        about = _About.of(event)
        fingerprint = _fingerprint(event, about)
        try:
            known = self._current(fingerprint)
            if known is None or not await self._again(known):
                await self._first(event, about, fingerprint)
        except OverspillError as error:
            log.info("dropped event %s for %s: %s", event.reason, about.name, error)

    def _current(self, fingerprint: str) -> _Series | None:
        known = self._series.get(fingerprint)
        is_over = known is None or self._clock.monotonic() - known.last_s > SERIES_WINDOW_S
        return None if is_over else known

    async def _again(self, known: _Series) -> bool:
        """Raises the count; False when the first event has expired on the server."""
        series = {"count": known.count + 1, "lastObservedTime": micro_time(self._clock.now())}
        try:
            await self._verbs.patch(known.path, {"series": series})
        except Gone:
            return False
        known.count += 1
        known.last_s = self._clock.monotonic()
        return True

    async def _first(self, event: Said, about: _About, fingerprint: str) -> None:
        now = self._clock.now()
        path = f"/apis/events.k8s.io/v1/namespaces/{about.namespace}/events"
        suffix = hashlib.sha256(f"{fingerprint}{now.isoformat()}".encode()).hexdigest()[:16]
        name = f"{about.name[:200]}.{suffix}"
        body = {
            **_body(event, now, self._instance),
            "metadata": {"name": name, "namespace": about.namespace},
            "regarding": about.document(),
        }
        await self._verbs.create(path, body)
        self._series[fingerprint] = _Series(f"{path}/{name}", self._clock.monotonic())
        self._series.move_to_end(fingerprint)
        if len(self._series) > MAX_SERIES:
            self._series.popitem(last=False)


def _body(event: Said, now: datetime, instance: str) -> dict[str, Any]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": micro_time(now),
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "action": event.reason,
        "reason": event.reason,
        "type": "Warning" if event.is_warning else "Normal",
        "note": event.message[:MAX_NOTE],
    }


def _fingerprint(event: Said, about: _About) -> str:
    said = (about.uid, event.reason, event.message, str(event.is_warning))
    return hashlib.sha256("\0".join(said).encode()).hexdigest()
