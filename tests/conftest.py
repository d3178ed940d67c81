"""Which tests may run side by side (`pytest -n 2 --no-loadscope-reorder`), and which come first.

A module stays in one process, for its tests share what they started; so do all modules that need
the machine's one real node. Whatever takes minutes starts first.

Generated examples are the same in every run, so that a submission never fails by luck; with
`HYPOTHESIS=random` they are new ones each time (`make chaos` looks for new ones by seed, too).
"""

import functools
import os
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("repeatable", derandomize=True, database=None)
if os.environ.get("HYPOTHESIS") != "random":
    settings.load_profile("repeatable")

REAL_NODE = "real_node"


class ByModule(LoadScopeScheduling):
    """A module to a process, and all modules with the marker `real_node` to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return REAL_NODE if _needs_real_node(self.config.rootpath / module) else module


@functools.cache
def _needs_real_node(module: Path) -> bool:
    return f"mark.{REAL_NODE}" in module.read_text()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return ByModule(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs = {item.path for item in items if item.get_closest_marker(REAL_NODE)}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in needs, item.path not in slow))
