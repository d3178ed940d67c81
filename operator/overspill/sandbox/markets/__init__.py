"""One package per market over the shared supply, ledger, executor and faults; found by looking.

`app.py` makes those that were asked for. A package is a market when its `market.py` has `create`
and `FAULTS`.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import cast

from overspill.sandbox.markets.market import Market
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.world import World

Create = Callable[[World, SandboxOptions], Market]


def known() -> list[str]:
    """The names of every market there is."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def create(name: str) -> Create:
    """How to make the market of a name. Raises ValueError for one that there is not."""
    if name not in known():
        raise ValueError(f"There is no market {name!r}; there are {', '.join(known())}")
    module = importlib.import_module(f"{__name__}.{name}.market")
    return cast(Create, module.create)


def faults() -> dict[str, str]:
    """The fault actions that single markets bring along, in words."""
    found: dict[str, str] = {}
    for name in known():
        module = importlib.import_module(f"{__name__}.{name}.market")
        found.update(module.FAULTS)
    return found
