"""Markets and home: one adapter per file, found by looking, never registered by hand.

`app` asks `adapters()` once. A module is an adapter when it has `PROVIDER_TYPE` (the word that a
GPUProvider's `type` says) and `create`; helpers (`akash_sdl`) and the home adapter, which takes
other arguments, have neither. Another package brings markets by the entry point group
`overspill.providers`, each entry naming such a module.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import Protocol, cast

from overspill.core.snapshot import ProviderAccount
from overspill.ports import Clock, Provider

PLUGINS = "overspill.providers"


class Factory(Protocol):
    """Makes the adapter of one account. Raises AuthRejected when credentials are missing."""

    def __call__(
        self, account: ProviderAccount, credentials: Mapping[str, str], clock: Clock
    ) -> Provider:
        """One instance per GPUProvider and event loop; opens no connection yet."""


def adapters() -> dict[str, Factory]:
    """Every market that this build can speak to, by the `type` of its GPUProvider."""
    found: dict[str, Factory] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            found |= _adapter(importlib.import_module(f"{__name__}.{module.name}"))
    for point in entry_points(group=PLUGINS):
        found |= _adapter(point.load())
    return found


def _adapter(module: ModuleType) -> dict[str, Factory]:
    """The module's market, empty when it is none."""
    kind, create = getattr(module, "PROVIDER_TYPE", None), getattr(module, "create", None)
    return {str(kind): cast(Factory, create)} if isinstance(kind, str) and callable(create) else {}
