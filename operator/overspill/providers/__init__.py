"""Markets and home: one adapter per file, found by looking, never registered by hand.

`app` asks `adapters()` once. A module is an adapter when it has `PROVIDER_TYPE` and `create`;
helpers (`akash_sdl`) and the home adapter, which takes other arguments, have neither.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Protocol, cast

from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.ports import Clock, Provider


class Factory(Protocol):
    """Makes the adapter of one account. Raises AuthRejected when credentials are missing."""

    def __call__(
        self, account: ProviderAccount, credentials: Mapping[str, str], clock: Clock
    ) -> Provider:
        """One instance per GPUProvider and event loop; opens no connection yet."""


def adapters() -> dict[ProviderType, Factory]:
    """Every market that this build can speak to, by the `type` of its GPUProvider."""
    found: dict[ProviderType, Factory] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        adapter = importlib.import_module(f"{__name__}.{module.name}")
        kind, create = getattr(adapter, "PROVIDER_TYPE", None), getattr(adapter, "create", None)
        if isinstance(kind, ProviderType) and callable(create):
            found[kind] = cast(Factory, create)
    return found
