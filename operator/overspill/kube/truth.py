"""Lists our five kinds in full, at start and every minute, and lets the lists overrule the ears.

Bounds any missed event to one period. What it had to heal is counted: without faults the count
stays 0, which is how tests know that nothing is missed.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import aclosing

from overspill.core.errors import Gone, OverspillError
from overspill.kube.resources import Kind, collection
from overspill.kube.store import Merge, Store
from overspill.kube.wire import Wire
from overspill.ports import Clock
from overspill.telemetry import TRUTH_FINDS

RETRY_S = 2.0

log = logging.getLogger(__name__)


class Truth:
    """Feeds the store. An ear gets `grace_s` after each LIST to bring the same change itself."""

    def __init__(
        self,
        wire: Wire,
        store: Store,
        clock: Clock,
        period_s: float = 60.0,
        grace_s: float = 5.0,
        *,
        on_return: Callable[[Kind], None] = lambda _kind: None,
    ) -> None:
        """`on_return` is told of a kind that the API server did not know, and knows now: its CRD
        was made anew, and an ear that gave up on it must be opened again.
        """
        self._on_return = on_return
        self._absent: set[Kind] = set()
        self._wire = wire
        self._store = store
        self._clock = clock
        self._period_s = period_s
        self._grace_s = min(grace_s, period_s / 2)
        self._turns: defaultdict[Kind, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.finds: Counter[Kind] = Counter()

    async def run(self) -> None:
        """Lists until cancelled; quickly again until everything was listed once."""
        while True:
            complete = await self._list_what_answers()
            if not self._store.synced:
                await self._clock.sleep(RETRY_S)
                continue
            await self._clock.sleep(self._grace_s)
            self._settle()
            rest = self._period_s - self._grace_s
            await self._clock.sleep(rest if complete else min(RETRY_S, rest))

    async def list_once(self) -> None:
        """Lists every kind, or raises the first error."""
        for kind in Kind:
            await self.list_kind(kind)

    async def list_kind(self, kind: Kind) -> None:
        """Lists one kind, or raises. One at a time: an older LIST that ends later would look like
        an etcd that was restored."""
        async with self._turns[kind]:
            await self._list(kind)

    async def _list_what_answers(self) -> bool:
        """One kind that cannot be listed does not keep the others waiting."""
        complete = True
        for kind in Kind:
            try:
                await self.list_kind(kind)
            except OverspillError as error:
                log.warning("listing %s: %s", kind.plural, error)
                complete = False
        return complete

    async def _list(self, kind: Kind) -> None:
        """Page by page; a list that breaks off deletes nothing."""
        merge: Merge | None = None
        try:
            async with aclosing(self._wire.list_pages(collection(kind))) as pages:
                async for page in pages:
                    merge = merge or self._store.merge(kind, page.resource_version)
                    merge.take(page.items)
        except Gone:
            if merge is None:  # not even a first page: there is no such kind
                self._absent.add(kind)
            raise
        if merge is not None:
            merge.finish()
        if kind in self._absent:
            self._absent.discard(kind)
            self._on_return(kind)

    def _settle(self) -> None:
        for kind in Kind:
            missed = self._store.settle(kind)
            if missed:
                log.warning("the full list of %s showed %d missed changes", kind.plural, missed)
                self.finds[kind] += missed
                TRUTH_FINDS.labels(kind.value).inc(missed)
