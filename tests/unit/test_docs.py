"""What users and operators can meet stands in docs/: every reason, setting, metric and verb."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr

from overspill import telemetry
from overspill.cli.main import VERBS
from overspill.core.reasons import Condition, Reason
from overspill.core.vocabulary import ClosingReason, JobPhase
from overspill.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONDITIONS = (DOCS / "conditions.md").read_text(encoding="utf-8")
SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
FROM_ADAPTER = {"request_s", "permit_s", "quarantine_s"}


def rows(page: str, word: str) -> list[list[str]]:
    """The table rows whose first cell is that word in code."""
    lines = [line for line in page.splitlines() if line.startswith(f"| `{word}`")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_says_what_it_means_and_who_acts(reason: Reason) -> None:
    found = rows(CONDITIONS, reason.value)
    assert found, f"{reason} is missing in docs/conditions.md"
    for row in found:
        assert len(row) >= 4
        assert all(len(cell) > 1 for cell in row)


@pytest.mark.parametrize("condition", Condition)
def test_every_condition_is_explained(condition: Condition) -> None:
    (row,) = rows(CONDITIONS, condition.value)
    assert len(row[1]) > 10


def test_no_word_is_explained_that_does_not_exist() -> None:
    known = {*Condition, *Reason, *PROVIDER_REASONS}
    told = set(re.findall(r"^\| `(\w+)` \|", CONDITIONS, re.MULTILINE))
    assert told - {str(word) for word in known} == set()


PROVIDER_REASONS = (
    "Usable",
    "NotConfigured",
    "AuthRejected",
    "InsufficientFunds",
    "SweepStopped",
    "RateLimited",
    "Unavailable",
    "RunwayShort",
    "BalanceEmpty",
    "LeasesOpen",
)


@pytest.mark.parametrize("word", [*ClosingReason, *JobPhase, *PROVIDER_REASONS])
def test_other_words_of_a_status_are_mentioned(word: str) -> None:
    assert f"`{word}`" in CONDITIONS


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained_with_its_default(name: str) -> None:
    found = rows(SETTINGS, f"OVERSPILL_{name.upper()}")
    assert len(found) == 1, f"OVERSPILL_{name.upper()} must stand once in docs/settings.md"
    assert found[0][1] == shown(name)
    assert len(found[0][2]) > 5


def shown(name: str) -> str:
    """The default as the page writes it."""
    default: Any = Settings.model_fields[name].get_default(call_default_factory=True)
    if name in FROM_ADAPTER:
        seconds = {"request_s": 10, "permit_s": 20, "quarantine_s": 60}[name]
        return f"the adapter's ({seconds})"
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default in (None, ""):
        return "empty"
    return f"`{json.dumps(default) if isinstance(default, dict) else default}`"


def test_no_setting_is_explained_that_does_not_exist() -> None:
    known = {f"OVERSPILL_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"OVERSPILL_[A-Z_]+", SETTINGS)) <= known
    assert set(re.findall(r"OVERSPILL_[A-Z_]+", OPERATIONS)) <= known


def metric_names() -> list[str]:
    """The names of all metrics as an exporter shows them."""
    found = []
    for metric in vars(telemetry).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            found.append(f"{family.name}_total" if family.type == "counter" else family.name)
    return found


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_stands_in_the_handbook(name: str) -> None:
    assert f"`{name}`" in OPERATIONS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_the_command_line_has_its_section(verb: str) -> None:
    assert re.search(rf"^## {verb}\b", CLI, re.MULTILINE)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [t for t in targets if not (page.parent / t).exists()] == []
