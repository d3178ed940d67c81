"""What `kube/` itself needs of the API server beside the public verbs: lists with their version,
and watches. `verbs.Verbs` speaks it over the network, `testing.fakeapi.FakeApi` in memory.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from overspill.ports import KubeVerbs


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete, consistent LIST. `resource_version` is where a watch goes on from."""

    items: list[dict[str, Any]]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """How long one watch may last (the server ends it) and be silent (we end it)."""

    timeout_s: float = 60.0
    inactivity_s: float = 70.0


DEFAULT_LIMITS = WatchLimits()


class Wire(KubeVerbs, Protocol):
    """The verbs, and reading whole collections with their version."""

    async def list_consistent(self, path: str, params: Mapping[str, str] | None = None) -> Listing:
        """Every page of a quorum LIST, all at one resourceVersion, or an error."""

    def list_pages(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Listing, None]:
        """The same page by page; each page carries the version of the whole."""

    def watch(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        limits: WatchLimits = DEFAULT_LIMITS,
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Events as (type, object), bookmarks too, until the server ends the watch.

        Raises Gone when the version is too old (as a status or inside the stream).
        """
