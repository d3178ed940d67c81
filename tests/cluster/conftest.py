"""Tests against a real control plane share one bed, with a namespace for each test."""

from collections.abc import Generator

import pytest

from overspill.testing.pytest_bed import (
    bed,
    cluster,
    free_real_node,
    namespace,
    nothing_left,
    real_bed,
    real_namespace,
    standing,
)

__all__ = [
    "bed",
    "cluster",
    "free_real_node",
    "namespace",
    "nothing_left",
    "real_bed",
    "real_namespace",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure is told with what stood in the cluster: nobody can look there afterwards."""
    report = yield
    if report.failed and call.when == "call":
        report.sections.append(("in the cluster", standing(item.config)))
    return report
