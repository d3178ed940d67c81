"""The CRDs in the repository: what the models say, what the design says, and nothing else."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from overspill.api.check import complaints
from overspill.api.crd import openapi
from overspill.api.generate import file_name, main, render
from overspill.api.kinds import KINDS
from overspill.api.reference import reference
from overspill.core.decision import Action
from overspill.core.offer import Offer
from overspill.core.reasons import Condition
from overspill.core.vocabulary import ClosingReason, LeaseState, ProviderType
from overspill.core.workload import LeaseRequest, PortableWorkload

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = {kind.name: openapi(kind) for kind in KINDS}
KIND_IDS = [kind.name for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_the_file_in_crds_is_what_the_models_say(kind):
    assert (ROOT / "crds" / file_name(kind)).read_text() == render(kind), "run `make crds`"


def test_crds_holds_nothing_else():
    assert {p.name for p in (ROOT / "crds").iterdir()} == {file_name(kind) for kind in KINDS}


def test_the_reference_page_is_what_the_models_say():
    assert (ROOT / "docs" / "api.md").read_text() == reference(), "run `make crds`"


def test_the_generator_writes_the_files_and_the_page_beside_them(tmp_path):
    (tmp_path / "docs").mkdir()
    assert main([str(tmp_path / "crds")]) == 0
    assert {p.name for p in (tmp_path / "crds").iterdir()} == {file_name(kind) for kind in KINDS}
    assert (tmp_path / "docs" / "api.md").read_text() == reference()


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_every_field_is_structural_described_and_bounded(kind):
    assert list(complaints(SCHEMAS[kind.name])) == []


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_names_columns_and_subresources(kind):
    crd = yaml.safe_load(render(kind))
    version = crd["spec"]["versions"][0]
    assert crd["spec"]["names"]["categories"] == ["overspill"]
    assert version["subresources"]["status"] == {}
    for column in version["additionalPrinterColumns"]:
        assert resolves(SCHEMAS[kind.name], column["jsonPath"]), column


def resolves(schema, path):
    """Whether a column shows a field that exists."""
    if path.startswith(".metadata"):
        return True
    for step in path.lstrip(".").replace('[?(@.type=="Ready")]', ".*").split("."):
        schema = schema["items"] if step == "*" else schema["properties"].get(step)
        if schema is None:
            return False
    return True


def test_the_columns_of_a_job_are_those_of_the_design():
    job = yaml.safe_load(render(KINDS[0]))["spec"]["versions"][0]
    shown = [c["name"].upper() for c in job["additionalPrinterColumns"] if not c.get("priority")]
    assert shown == ["STATUS", "SLA", "PLACE", "GPUS", "USD/H", "SPENT", "FINISH-BY", "AGE"]
    assert job["subresources"]["scale"]["specReplicasPath"] == ".spec.replicas"


def at(kind, path):
    schema = SCHEMAS[kind]
    for step in path.split("."):
        schema = schema["items"] if step == "[]" else schema["properties"][step]
    return schema


@pytest.mark.parametrize(
    ("kind", "path", "words"),
    [
        ("GPUJob", "status.conditions.[].type", Condition),
        ("GPUJob", "status.decision.action", Action),
        ("GPULease", "status.state", LeaseState),
        ("GPULease", "status.closing.reason", ClosingReason),
    ],
)
def test_closed_words_are_those_of_the_core(kind, path, words):
    assert at(kind, path)["enum"] == [word.value for word in words]


RENAMED = {
    "price_usd_per_hour": "pricePerHourUSD",
    "as_of": "asOfTime",
    "available_until": "availableUntilTime",
    "cold_start": "coldStartSeconds",
    "mtbf": "mtbfSeconds",
    "min_billable": "minBillableSeconds",
    "report_url": "reportURL",
    "cpu_units": "cpuUnits",
}
"""Fields of the core whose name on the wire carries a unit or an acronym."""


def wire(name):
    plain = name.split("_")[0] + "".join(w.capitalize() for w in name.split("_")[1:])
    plain = RENAMED.get(name, plain)
    for small, big in (("Usd", "USD"), ("Gib", "GiB"), ("Id", "ID")):
        plain = plain.replace(small, big)
    return plain


BEFORE_TAKEN = {"beside_rates", "beside_free", "beside_total", "least_gpus"}
"""What an offer says to those who have not taken it; the price of a lease holds it all."""


def test_a_lease_has_every_field_of_the_offer():
    fields = {wire(f.name) for f in dataclasses.fields(Offer) if f.name not in BEFORE_TAKEN}
    assert fields == set(at("GPULease", "spec.offer")["properties"])


def test_a_lease_has_every_field_of_the_request():
    fields = {wire(f.name) for f in dataclasses.fields(LeaseRequest) if f.name != "workload"}
    fields |= {wire(f.name) for f in dataclasses.fields(PortableWorkload)}
    assert fields == set(at("GPULease", "spec.request")["properties"])


def test_status_is_never_filled_in_by_the_api_server():
    for kind in KINDS:
        assert "'default':" not in str(SCHEMAS[kind.name]["properties"]["status"])


@pytest.mark.parametrize("word", list(ProviderType))
def test_every_shipped_market_has_a_word_that_the_crd_takes(word):
    assert re.fullmatch(at("GPUProvider", "spec.type")["pattern"], word)
