"""The page about the sandbox names everything that can be switched, asked or found in it."""

from pathlib import Path

import pytest

from overspill.sandbox.faults import HTTP_ACTIONS, MARKET_ACTIONS
from overspill.sandbox.ledger import Event
from overspill.sandbox.supply import Host

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*HTTP_ACTIONS, *MARKET_ACTIONS, *(e.value for e in Event)])
def test_actions_and_events_are_explained(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("name", sorted(set(Host.__dataclass_fields__) - {"rented", "name"}))
def test_fields_of_a_host_are_shown(name: str) -> None:
    assert name in PAGE
