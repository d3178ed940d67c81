"""Which tests may run side by side (`pytest -n 2 --dist loadgroup`), and which come first.

A module stays in one process, for its tests share what they started; so do all modules that need
the machine's one real node. Whatever takes minutes starts first.

Generated examples are the same in every run, so that a submission never fails by luck; with
`HYPOTHESIS=random` they are new ones each time (`make chaos` looks for new ones by seed, too).
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None)
if os.environ.get("HYPOTHESIS") != "random":
    settings.load_profile("repeatable")

REAL_NODE = "real-node"


@pytest.hookimpl(wrapper=True)  # xdist reads the groups in a hook that comes first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    needs = {item.path for item in items if item.get_closest_marker("real_node")}
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    for item in items:
        group = REAL_NODE if item.path in needs else f"{item.path.parent.name}-{item.path.stem}"
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (item.path not in needs, item.path not in slow))
    return (yield)
