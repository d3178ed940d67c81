"""`make demo` as a user starts it: it exits with 0 and has verified everything it claims."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.real_node, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 1500


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, free_real_node: Callable[[], None]
) -> dict[str, Any]:
    """The demo's own summary, with what it printed."""
    free_real_node()
    summary = tmp_path_factory.mktemp("demo") / "summary.json"
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--summary", str(summary)],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    found: dict[str, Any] = json.loads(summary.read_text())
    return {**found, "printed": done.stdout}


def test_everything_claimed_was_verified(played: dict[str, Any]) -> None:
    assert played["ok"]
    assert played["error"] == ""
    acts = {check["act"] for check in played["checks"]}
    assert acts == {"home", "overspill", "node loss", "refusals", "same bytes", "the bill"}


def test_the_whole_story_is_shown_where_a_real_node_can_run(played: dict[str, Any]) -> None:
    if played["skipped"]:
        pytest.skip("; ".join(played["skipped"]))
    claims = " ".join(check["claim"] for check in played["checks"])
    for part in ("declared lost", "old process still trains", "failback", "byte for byte"):
        assert part in claims


def test_the_market_was_paid_what_the_books_say(played: dict[str, Any]) -> None:
    figures = played["figures"]
    assert (figures["orphans"], figures["doubles"]) == (0, 0)
    assert Decimal(figures["rented_usd"]) > 0
    assert Decimal(figures["rented_usd"]) == Decimal(figures["billed_usd"])
    assert Decimal(figures["reference_usd"]) > Decimal(figures["spent_usd"])


def test_it_ends_with_the_tables(played: dict[str, Any]) -> None:
    printed = played["printed"]
    for title in ("$ kubectl get gpj", "$ kubectl overspill explain finetune", "The bill"):
        assert title in printed
    assert max(len(line) for line in printed[printed.index("The bill") :].splitlines()) <= 100
