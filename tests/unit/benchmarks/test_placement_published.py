"""Uniform Progress costs here what its authors' successors published."""

from __future__ import annotations

import pytest
from benchmarks.placement import published, traces

pytestmark = pytest.mark.skipif(
    not traces.present(), reason="the traces are not shipped; OVERSPILL_TRACES names them"
)


def test_published_windows_are_reproduced_within_one_percent() -> None:
    checks = published.checks()
    assert len(checks) == 270
    near = sum(check.error <= 0.01 for check in checks)
    assert near >= 0.97 * len(checks)
