"""Decides which replica acts: one coordination.k8s.io Lease, timed on monotonic clocks only.

`app.py` runs it; the engine asks `is_leader`, `epoch` and `remaining_s`. Election is for
efficiency: safety rests on versions and permits (lease protocol, R10). A leader that cannot
renew in time is ended by a thread of its own, so that a blocked event loop cannot keep acting.
"""

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overspill.core.errors import Conflict, Gone, OverspillError
from overspill.kube.events import micro_time
from overspill.kube.watchdog import Watchdog
from overspill.ports import Clock, KubeVerbs
from overspill.telemetry import IS_LEADER

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Term:
    """Who stands for election, where, and with which times.

    `identity` is unique to this process; it may end in `_<report address>`.
    """

    namespace: str
    identity: str
    name: str = "overspill"
    lease_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0

    @property
    def collection(self) -> str:
        """The path of Leases in our namespace."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"

    @property
    def path(self) -> str:
        """The path of our Lease."""
        return f"{self.collection}/{self.name}"


class Elector:
    """Stands for election until cancelled. Leadership once lost ends the process."""

    def __init__(
        self,
        verbs: KubeVerbs,
        clock: Clock,
        term: Term,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.identity = term.identity
        self._verbs = verbs
        self._clock = clock
        self._term = term
        self._watchdog = watchdog or Watchdog(clock.monotonic)
        self._leading = asyncio.Event()
        self._busy = asyncio.Lock()
        self._epoch = 0
        self._renewed_at = 0.0
        self._seen: Mapping[str, Any] = {}
        self._seen_at = 0.0
        self._over = False

    @property
    def is_leader(self) -> bool:
        """Whether we may act now."""
        return self._leading.is_set() and self.remaining_s() > 0

    @property
    def epoch(self) -> int:
        """Counts leaders (leaseTransitions); stamped in permits."""
        return self._epoch

    def remaining_s(self) -> float:
        """Seconds for which nobody else can lead: until others may take the Lease."""
        if not self._leading.is_set():
            return 0.0
        return max(0.0, self._renewed_at + self._term.lease_s - self._clock.monotonic())

    def holder(self) -> str:
        """The identity that holds the Lease as last seen; "" when nobody does."""
        return str(self._seen.get("spec", {}).get("holderIdentity") or "")

    async def wait_leader(self) -> None:
        """Returns once we lead."""
        await self._leading.wait()

    async def run(self) -> None:
        """Acquires, renews, and follows the Lease until leadership was lost or given up."""
        while not self._over:
            async with self._busy:
                await self._step()
            if not self._over:
                await self._clock.sleep(self._pause_s())

    async def release(self) -> None:
        """Gives the Lease up, so that a successor need not wait. Best effort, never raises."""
        was_leading = self._leading.is_set()
        self._stop()
        if not was_leading:
            return
        try:
            async with asyncio.timeout(self._call_limit_s()), self._busy:
                await self._give_up()
        except (OverspillError, TimeoutError) as error:
            log.info("releasing the election lease: %s", error)

    async def _give_up(self) -> None:
        """A renewal that was cancelled may still have been written: then look, and try again."""
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
        try:
            await self._patch(spec)
        except Conflict:
            self._note(await self._verbs.get(self._term.path))
            if self.holder() == self.identity:
                await self._patch(spec)

    async def _step(self) -> None:
        """One look at the Lease, or one renewal; every call ends before the deadline does."""
        try:
            async with asyncio.timeout(self._patience_s()):
                await (self._renew() if self._leading.is_set() else self._stand())
        except Conflict:
            self._seen = {}  # somebody else wrote: look before the next step
        except Gone:
            await self._create_again()
        except (OverspillError, TimeoutError) as error:
            log.warning("election: %s", str(error) or "no answer in time")
            if self._leading.is_set():
                self._seen = {}  # the write may have happened: look before the next one

    async def _renew(self) -> None:
        sent_at = self._clock.monotonic()
        if not self._seen:
            self._note(await self._verbs.get(self._term.path))
        if self.holder() != self.identity:
            self._lose(f"{self.holder() or 'nobody'} holds the election lease now")
            return
        self._note(await self._patch({"renewTime": self._now()}))
        self._extend(sent_at)

    async def _stand(self) -> None:
        found = await self._verbs.get(self._term.path)
        self._note(found)
        if self.holder() not in ("", self.identity) and not self._has_expired(found):
            return
        sent_at = self._clock.monotonic()
        transitions = int(found.get("spec", {}).get("leaseTransitions") or 0) + 1
        self._note(await self._patch(self._claim(transitions)))
        self._win(sent_at, transitions)

    async def _create_again(self) -> None:
        """The Lease does not exist (yet, or any more). AlreadyExists: somebody was faster."""
        sent_at = self._clock.monotonic()
        meta = {"name": self._term.name, "namespace": self._term.namespace}
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": meta,
            "spec": self._claim(self._epoch + 1),
        }
        try:
            async with asyncio.timeout(self._patience_s()):
                self._note(await self._verbs.create(self._term.collection, body))
        except (OverspillError, TimeoutError) as error:
            self._seen = {}
            log.info("creating the election lease: %s", error)
        else:
            self._win(sent_at, self._epoch + 1)

    def _claim(self, transitions: int) -> dict[str, Any]:
        now = self._now()
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._term.lease_s)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    async def _patch(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        meta = self._seen.get("metadata", {})
        lock = {"resourceVersion": meta.get("resourceVersion"), "uid": meta.get("uid")}
        return await self._verbs.patch(self._term.path, {"metadata": lock, "spec": spec})

    def _note(self, found: Mapping[str, Any]) -> None:
        """A version that differs from the last one is a sign of life of its writer."""
        old = self._seen.get("metadata", {}).get("resourceVersion")
        if found["metadata"]["resourceVersion"] != old:
            self._seen_at = self._clock.monotonic()
        self._seen = found

    def _has_expired(self, found: Mapping[str, Any]) -> bool:
        promised = float(found.get("spec", {}).get("leaseDurationSeconds") or self._term.lease_s)
        return self._clock.monotonic() - self._seen_at >= promised

    def _win(self, sent_at: float, transitions: int) -> None:
        if self._over:
            return  # given up while the claim was under way; it runs out by itself
        self._epoch = transitions
        self._extend(sent_at)
        self._watchdog.start()
        self._leading.set()
        IS_LEADER.set(1)
        log.info("%s leads, term %d", self.identity, transitions)

    def _extend(self, sent_at: float) -> None:
        """Counted from before the send: others count from when they saw the write, later."""
        self._renewed_at = sent_at
        self._watchdog.allow_until(sent_at + self._term.renew_deadline_s)

    def _lose(self, why: str) -> None:
        self._stop()
        self._watchdog.end(why)

    def _stop(self) -> None:
        self._over = True
        self._leading.clear()
        self._watchdog.stop()
        IS_LEADER.set(0)

    def _patience_s(self) -> float:
        """How long a step may take: a leader's ends before its deadline does."""
        if not self._leading.is_set():
            return self._call_limit_s()
        until = self._renewed_at + self._term.renew_deadline_s
        return max(0.01, min(self._call_limit_s(), until - self._clock.monotonic()))

    def _call_limit_s(self) -> float:
        """Half the deadline: one call that hangs leaves time for another."""
        return self._term.renew_deadline_s / 2

    def _pause_s(self) -> float:
        """Leaders are punctual; the others spread their looks."""
        if self._leading.is_set():
            return self._term.retry_s
        return self._term.retry_s * (1 + 0.2 * random.random())  # noqa: S311  (not a secret)

    def _now(self) -> str:
        return micro_time(self._clock.now())
