"""The content cache fills each entry once, also for builders that race, and never half."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from overspill.testing.bed import cache


def test_racing_builders_fill_once(tmp_path: Path) -> None:
    fills: list[Path] = []

    def fill(folder: Path) -> None:
        fills.append(folder)
        time.sleep(0.05)
        (folder / "program").write_text("built")

    place = tmp_path / "bin" / "thing-1"
    builders = [threading.Thread(target=cache.filled, args=(place, fill)) for _ in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(fills) == 1
    assert (place / "program").read_text() == "built"


def test_failed_build_leaves_no_entry(tmp_path: Path) -> None:
    place = tmp_path / "bin" / "thing-2"

    def fill(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ValueError("compiler said no")

    with pytest.raises(ValueError, match="compiler"):
        cache.filled(place, fill)
    assert not place.exists()
    assert [path for path in place.parent.iterdir() if path.is_dir()] == []


def test_digest_keeps_borders_between_parts() -> None:
    assert cache.digest("ab", "c") != cache.digest("a", "bc")
