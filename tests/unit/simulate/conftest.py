"""Small histories in a few words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from overspill.simulate.history import History, OwnNode, PastJob, Place, constant

Maker = Callable[..., History]


def job(name: str = "a", submit_s: float = 0.0, **changes: Any) -> PastJob:
    """One GPU for an hour, checkpoints every ten minutes."""
    told: dict[str, Any] = {"gpus": 1, "work_s": 3600.0, "sla": "standard", "interval_s": 600.0}
    return PastJob(name, submit_s, **{**told, **changes})


def cloud(**changes: Any) -> Place:
    """On demand at 4 USD, a start of three minutes."""
    told: dict[str, Any] = {"name": "cloud", "price": constant(4.0), "gpus": constant(64)}
    return Place(**{"kind": "ondemand", "model": "h100", **told, **changes})


@pytest.fixture
def past() -> Maker:
    """A history of jobs on `nodes` nodes of eight GPUs, and places."""

    def make(jobs: Sequence[PastJob], nodes: int = 1, *places: Place, **more: Any) -> History:
        own = [OwnNode(f"n{i}", 8, "h100") for i in range(nodes)]
        return History(jobs, own, places, **more)

    return make
