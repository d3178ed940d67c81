"""Guards the shape of the house."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_source_root_is_no_package() -> None:
    """`operator/__init__.py` would shadow the standard library's module."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_module_bears_a_name_of_the_standard_library_at_the_top() -> None:
    names = {p.stem for p in (ROOT / "operator").glob("*.py")}
    assert not names & sys.stdlib_module_names


def test_the_required_top_level_is_there() -> None:
    wanted = "pyproject.toml README.md operator crds helm manifests tests Makefile"
    assert all((ROOT / name).exists() for name in wanted.split())


def test_files_stay_small_rooms() -> None:
    """Median about 110 lines, 95 % under 400."""
    sizes = sorted(len(p.read_text().splitlines()) for p in (ROOT / "operator").rglob("*.py"))
    assert sizes[len(sizes) // 2] <= 130
    assert sizes[int(len(sizes) * 0.95)] < 400
