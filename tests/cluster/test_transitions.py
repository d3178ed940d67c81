"""L5, a small walk: edits drawn from the CRD's schema, on the real control plane.

`make chaos` walks farther (`benchmarks/chaos_transitions.py`).
"""

from pathlib import Path

import pytest
from benchmarks.chaos_transitions import Walk, opened, transit

from overspill.testing.bed import Bed

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_no_edit_makes_a_status_lie_or_a_lease_leak(bed: Bed, tmp_path: Path) -> None:
    told: list[str] = []
    with opened(bed, tmp_path) as world:
        lines = transit(world, Walk(transitions=30, seed=2, lanes=4), told.append)
    size = ("transitions", "leaves")  # what this small walk does not reach
    wrong = [x for x in lines if not x.is_met and not any(word in x.goal for word in size)]
    assert wrong == [], "\n".join(told)
