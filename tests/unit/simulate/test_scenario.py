"""Scenarios: the shipped classes, words that change them, and the plain policies."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from overspill.core.vocabulary import Burst, CapacityType
from overspill.kube.mapping import read_class
from overspill.simulate.scenario import POLICIES, SHIPPED, ScenarioError, scenario

MANIFEST = Path(__file__).resolve().parents[3] / "manifests" / "slaclasses.yaml"
READ = (
    *("name", "is_default", "capacity_types", "availability_target", "burst_after"),
    *("failover_within", "spare_replicas", "max_loss_usd", "min_reliability", "failback_policy"),
    *("failback_min_saving_percent", "failback_cooldown", "priority"),
)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_classes_are_those_of_the_chart(name: str) -> None:
    documents = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    (found,) = [
        d for d in documents if d and d["kind"] == "SLAClass" and d["metadata"]["name"] == name
    ]
    found["metadata"] |= {"resourceVersion": "1", "uid": "u"}
    told = read_class(found)
    assert {f: getattr(SHIPPED[name], f) for f in READ} == {f: getattr(told, f) for f in READ}
    assert set(READ) <= {f.name for f in fields(told)}


def test_a_word_changes_one_class() -> None:
    found = scenario("standard.burstAfterSeconds=0")
    assert found.classes["standard"].burst_after == timedelta(0)
    assert found.classes["guaranteed"] == SHIPPED["guaranteed"]


def test_a_star_changes_all_and_words_add_up() -> None:
    found = scenario("*.capacityTypes=Own+Spot, standard.minSavingPercent=50")
    assert {c.capacity_types for c in found.classes.values()} == {
        (CapacityType.OWN, CapacityType.SPOT)
    }
    assert found.classes["standard"].failback_min_saving_percent == 50


def test_the_plain_policies_are_settings() -> None:
    assert scenario("always-wait").changes == {"burst": Burst.NEVER}
    assert scenario("burst-at-once").changes == {"burst_after": timedelta(0)}
    assert scenario("overspill").classes == SHIPPED


@pytest.mark.parametrize(
    "words", ["never", "standard.burstAfterSeconds", "gold.priority=1", "standard.priority=high"]
)
def test_other_words_are_refused_with_what_would_do(words: str) -> None:
    with pytest.raises(ScenarioError, match=r"standard|priority"):
        scenario(words)
    assert words not in POLICIES
