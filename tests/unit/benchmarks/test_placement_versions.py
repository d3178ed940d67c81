"""A kept result outlives whatever does not decide it, and nothing else."""

from pathlib import Path

import pytest
from benchmarks.placement import versions
from benchmarks.placement.kept import Kept


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of three modules, of which `entry` reaches two."""
    package = tmp_path / "benchmarks"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "entry.py").write_text("from benchmarks import rule\n")
    (package / "rule.py").write_text('"""A rule."""\nLIMIT = 1\n')
    (package / "market.py").write_text("PRICE = 1\n")
    monkeypatch.setattr(versions, "_ROOTS", {"benchmarks": tmp_path})
    return package


def found() -> str:
    versions.version.cache_clear()
    return versions.version("benchmarks.entry")


def test_words_and_modules_that_are_not_imported_change_nothing(house: Path) -> None:
    before = found()
    (house / "rule.py").write_text('"""Told otherwise."""\n\nLIMIT = 1  # as ever\n"""Of it."""\n')
    (house / "market.py").write_text("PRICE = 2\n")
    assert found() == before


def test_what_an_import_brings_counts(house: Path) -> None:
    before = found()
    (house / "rule.py").write_text('"""A rule."""\nLIMIT = 2\n')
    assert found() != before


def test_ours_hangs_on_the_policy_and_on_no_market() -> None:
    reached = versions._reached(("benchmarks.placement.ours",))
    assert {"overspill.core.policy", "overspill.core.pricing"} <= reached
    assert not [name for name in reached if name.startswith("overspill.providers")]


def test_a_document_of_other_code_is_not_read(house: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    versions.version.cache_clear()
    Kept(file, ("benchmarks.entry",)).put("a", 1)
    assert Kept(file, ("benchmarks.entry",)).has("a")
    (house / "rule.py").write_text("LIMIT = 2\n")
    versions.version.cache_clear()
    assert not Kept(file, ("benchmarks.entry",)).has("a")
