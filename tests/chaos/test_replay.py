"""One seed is one history, also where the API server in memory shares what it shows.

It copies nothing for the engine, because neither the engine nor a person changes what was read; a
history over copies, which nobody could spoil for another, must be the same to the last byte.
"""

import json
from typing import Any

import pytest

from overspill.testing import simulation
from overspill.testing.fakeapi_parts import copied
from overspill.testing.simfaults import SimApi

from .history import run_seed


class CopyingApi(SimApi):
    """Shows copies."""

    def _shown(self, obj: dict[str, Any]) -> dict[str, Any]:
        return copied(obj)


def written(seed: int, kind: type[SimApi], monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything that was ever written in the history of a seed."""
    made: list[SimApi] = []

    def make() -> SimApi:
        made.append(kind())
        return made[-1]

    monkeypatch.setattr(simulation, "SimApi", make)
    run_seed(seed)
    return json.dumps(made[0]._history)


@pytest.mark.parametrize("seed", [2, 8, 12, 13, 29])
def test_a_seed_gives_the_same_history_over_copies_and_over_what_is_shared(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    over_copies = written(seed, CopyingApi, monkeypatch)
    assert written(seed, SimApi, monkeypatch) == over_copies
