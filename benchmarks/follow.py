"""Follows the storm from outside, by watches: when each job's lease, and its pod's binding, came.

All moments are of this process's monotonic clock, so they compare with `load.Created.at`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from overspill.core.errors import Gone, OverspillError
from overspill.kube.resources import Kind, collection
from overspill.kube.verbs import Verbs
from overspill.kube.wire import WatchLimits

JOB_LABEL = "overspill.dev/job"
ENDED = ("Complete", "Failed", "Refused")
LIMITS = WatchLimits(timeout_s=900, inactivity_s=120)


@dataclass
class Moments:
    """First time that something was seen of each job, by its name."""

    leased: dict[str, float] = field(default_factory=dict)
    bound: dict[str, float] = field(default_factory=dict)
    succeeded: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    """Its first status of any kind."""
    phases: dict[str, str] = field(default_factory=dict)


class Follower:
    """Watches pods, GPULeases and GPUJobs of one namespace from an empty beginning."""

    def __init__(self, verbs: Verbs, namespace: str) -> None:
        self.seen = Moments()
        self._verbs = verbs
        self._namespace = namespace
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to follow; whatever comes after the return of this is seen."""
        pods = f"/api/v1/namespaces/{self._namespace}/pods"
        for path, take in (
            (pods, self._pod),
            (collection(Kind.LEASE, self._namespace), self._lease),
            (collection(Kind.JOB, self._namespace), self._job),
        ):
            version = (await self._verbs.list_consistent(path)).resource_version
            self._tasks.append(asyncio.create_task(self._follow(path, version, take)))

    async def stop(self) -> None:
        """Ends all watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(
        self, path: str, version: str, take: Callable[[Mapping[str, Any]], None]
    ) -> None:
        while True:
            try:
                watch = self._verbs.watch(path, {"resourceVersion": version}, LIMITS)
                async with aclosing(watch) as events:
                    async for kind, obj in events:
                        version = obj["metadata"]["resourceVersion"]
                        if kind in ("ADDED", "MODIFIED"):
                            take(obj)
            except Gone:
                listing = await self._verbs.list_consistent(path)
                version = listing.resource_version
                for obj in listing.items:
                    take(obj)
            except OverspillError:
                await asyncio.sleep(0.2)

    def _pod(self, pod: Mapping[str, Any]) -> None:
        job = (pod["metadata"].get("labels") or {}).get(JOB_LABEL)
        if job and pod["spec"].get("nodeName"):
            self.seen.bound.setdefault(job, time.monotonic())
        if job and (pod.get("status") or {}).get("phase") == "Succeeded":
            self.seen.succeeded.setdefault(job, time.monotonic())

    def _lease(self, lease: Mapping[str, Any]) -> None:
        self.seen.leased.setdefault(lease["spec"]["jobRef"]["name"], time.monotonic())

    def _job(self, job: Mapping[str, Any]) -> None:
        name, phase = job["metadata"]["name"], (job.get("status") or {}).get("phase", "")
        self.seen.phases[name] = phase
        if phase:
            self.seen.told.setdefault(name, time.monotonic())
        if phase in ENDED:
            self.seen.ended.setdefault(name, time.monotonic())
