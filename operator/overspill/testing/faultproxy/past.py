"""An API server that lags: for a while it lists, and watches, from a moment that was remembered.

A snapshot is taken of the collections that the client lists, with the client's own credentials.
While `serve` holds, lists of the whole cluster come from it and watches bring nothing; after
`catch_up` every watch goes on from the version it was asked for, so all that was missed comes.
Single objects and writes are always the real ones: a lagging cache has no power over etcd.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from overspill.testing.faultproxy.naming import Asked
from overspill.testing.faultproxy.upstream import Answer, Upstream

Snapshot = Mapping[str, Answer]
NEVER_OLD = ("leases", "secrets")
"""Heartbeats and the election are not part of the world that is remembered."""


class Past:
    """Remembers, and pretends."""

    def __init__(self) -> None:
        self._questions: dict[str, Asked] = {}
        self._served: Snapshot = {}
        self._current = asyncio.Event()
        self._current.set()

    def learn(self, asked: Asked) -> None:
        """Another list that a client makes of the whole cluster."""
        if self._is_listed(asked):
            self._questions[_question(asked)] = asked

    async def snapshot(self, upstream: Upstream) -> Snapshot:
        """Every such list as it is now, whole."""
        found: dict[str, Answer] = {}
        for question, asked in list(self._questions.items()):
            whole = {k: v for k, v in asked.query.items() if k != "limit"}
            answer = await upstream.send(replace(asked, query=whole))
            if answer.is_good:
                found[question] = answer
        return found

    def serve(self, snapshot: Snapshot) -> None:
        """From now on lists are these, and watches are silent."""
        self._served = snapshot
        self._current.clear()

    def catch_up(self) -> None:
        """The present again."""
        self._served = {}
        self._current.set()

    def answer(self, asked: Asked) -> Answer | None:
        """The remembered list, if this is one and the past is being served."""
        return self._served.get(_question(asked)) if self._is_listed(asked) else None

    async def current(self) -> None:
        """Returns when watches may go on."""
        await self._current.wait()

    @property
    def is_served(self) -> bool:
        """Whether the past is being served."""
        return not self._current.is_set()

    def _is_listed(self, asked: Asked) -> bool:
        listed = asked.name.startswith("api list ") and not asked.namespace
        return listed and asked.resource not in NEVER_OLD


def _question(asked: Asked) -> str:
    """The path and what selects; paging and versions do not make another question."""
    selects = {k: v for k, v in asked.query.items() if k.endswith("Selector")}
    return f"{asked.path}?{sorted(selects.items())}"
