"""`leases` shows what is held; `leases resolve` says a person's word about an Uncertain one."""

import json
from argparse import Namespace

import pytest

from overspill.cli import resolve as verb
from overspill.cli.errors import CliError
from overspill.cli.leases import leases
from overspill.cli.resolve import resolve
from overspill.core.lease import ABSENT, ADOPT
from overspill.kube.resources import RESOLVE_ANNOTATION, Kind
from overspill.testing.cli_samples import NOW, FakeCluster, lease_of

OPEN = "gl-1a2b3c4d-000000000000000002"


def shown(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], *, with_closed: bool = False
) -> str:
    assert leases(cluster, with_closed=with_closed, as_json=False, now=NOW) == 0
    return capsys.readouterr().out


def test_open_leases_with_what_they_cost_up_to_now(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    header, row, footer = shown(cluster, capsys).splitlines()
    assert header.split() == ["LEASE", "JOB", "#", "PLACE", "STATE", "AGE", "USD/H", "USD"]
    assert row.split() == [
        OPEN,
        "finetune-7b",
        "2",
        "akash/us-west",
        "Active",
        "4h",
        "3.10",
        "6.20",
    ]
    assert footer == "1 held at 3.10 USD/h; 1 closed for 4.68 USD (list them with --all)."


def test_closed_ones_say_why(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Closed (Lost)" in shown(cluster, capsys, with_closed=True)


def test_names_and_money_are_whole_in_every_namespace_at_100_columns(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.namespace = ""
    out = shown(cluster, capsys, with_closed=True)
    assert max(map(len, out.splitlines())) <= 100
    assert OPEN in out
    assert all(money in out for money in ("3.10", "6.20", "2.40", "4.68"))


def test_nothing_held_is_said(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.objects[Kind.LEASE] = []
    assert shown(cluster, capsys) == "Nothing is held.\n"


def test_an_uncertain_lease_says_what_to_do(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[Kind.LEASE] = [lease_of(3, status={"state": "Uncertain"})]
    said, command = shown(cluster, capsys).splitlines()[-2:]
    name = "gl-1a2b3c4d-000000000000000003"
    assert said.startswith(f"{name} is Uncertain: look for it at akash")
    assert command.strip() == (
        f"kubectl overspill leases resolve {name} -n team-a [--adopt ID | --absent]"
    )


def test_a_lease_without_status_is_planned(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[Kind.LEASE] = [lease_of(3, status={})]
    assert "Planned" in shown(cluster, capsys)


def test_json_has_cost_and_state(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    leases(cluster, with_closed=False, as_json=True, now=NOW)
    (lease,) = json.loads(capsys.readouterr().out)
    assert (lease["name"], lease["state"], lease["costUSD"]) == (OPEN, "Active", "6.200000")


@pytest.mark.parametrize("word", [ABSENT, f"{ADOPT}1764060000000"])
def test_resolve_annotates_an_uncertain_lease(cluster: FakeCluster, word: str) -> None:
    cluster.objects[Kind.LEASE] = [lease_of(3, status={"state": "Uncertain"})]
    name = "gl-1a2b3c4d-000000000000000003"
    assert resolve(cluster, name, word) == 0
    assert cluster.annotated == [(name, {RESOLVE_ANNOTATION: word})]


def test_only_an_uncertain_lease_is_resolved(cluster: FakeCluster) -> None:
    with pytest.raises(CliError, match="is Active, not Uncertain"):
        resolve(cluster, OPEN, ABSENT)
    assert cluster.annotated == []


def stranded(reason: str, state: str) -> dict[str, object]:
    told = "Create GPUProvider akash again"
    return {"state": state, "conditions": [{"type": "Stranded", "reason": reason, "message": told}]}


def test_a_stranded_one_says_what_to_do_while_it_is_open(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[Kind.LEASE] = [lease_of(3, status=stranded("ProviderMissing", "Closing"))]
    last = shown(cluster, capsys).splitlines()[-1]
    assert last == "gl-1a2b3c4d-000000000000000003 is Stranded: Create GPUProvider akash again"
    cluster.objects[Kind.LEASE] = [lease_of(3, status=stranded("ProviderMissing", "Closed"))]
    assert "Stranded" not in shown(cluster, capsys, with_closed=True)


def test_a_closing_one_without_its_account_can_be_said_to_be_absent(cluster: FakeCluster) -> None:
    cluster.objects[Kind.LEASE] = [lease_of(3, status=stranded("ProviderMissing", "Closing"))]
    name = "gl-1a2b3c4d-000000000000000003"
    assert resolve(cluster, name, ABSENT) == 0
    assert cluster.annotated == [(name, {RESOLVE_ANNOTATION: ABSENT})]
    with pytest.raises(CliError, match="not Uncertain"):
        resolve(cluster, name, f"{ADOPT}7")


@pytest.mark.parametrize(
    ("reason", "state"), [("ProviderMissing", "Active"), ("ProviderUnusable", "Closing")]
)
def test_what_runs_or_can_be_mended_is_not_said_to_be_absent(
    cluster: FakeCluster, reason: str, state: str
) -> None:
    cluster.objects[Kind.LEASE] = [lease_of(3, status=stranded(reason, state))]
    with pytest.raises(CliError, match="not Uncertain"):
        resolve(cluster, "gl-1a2b3c4d-000000000000000003", ABSENT)


def test_adopting_needs_an_id(cluster: FakeCluster) -> None:
    with pytest.raises(CliError, match="needs the id"):
        resolve(cluster, OPEN, ADOPT)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (Namespace(adopt="17", absent=False), "adopt=17"),
        (Namespace(adopt=None, absent=True), "absent"),
    ],
)
def test_the_flags_become_the_word(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, args: Namespace, word: str
) -> None:
    cluster.objects[Kind.LEASE] = [lease_of(3, status={"state": "Uncertain"})]
    monkeypatch.setattr(verb, "connect", lambda _: cluster)
    args.lease, args.kubeconfig, args.context = "gl-1a2b3c4d-000000000000000003", None, None
    assert verb.run(args) == 0
    assert cluster.annotated[0][1] == {RESOLVE_ANNOTATION: word}
