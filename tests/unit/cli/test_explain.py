"""`explain` tells the whole story in 100 columns."""

import json

import pytest

from overspill.cli.errors import CliError
from overspill.cli.explain import explain
from overspill.kube.resources import Kind
from overspill.testing.cli_samples import NOW, FakeCluster

EXPECTED = """\
team-a/finetune-7b  Running  at akash/us-west (2xh100)  3.10 USD/h  since 2h  attempt 2
41 % done  durable checkpoint at step 4100  15m ago  finish by 2026-11-26 09:00Z
spent 10.88 USD of at most 120.00 (reference 23.70, saved 12.82)

Place: BurstToProviderSelected  2026-11-25 09:58Z (2h2m ago)
home has no free h100 before finish-by; akash keeps the promise for 37.66 USD of at most 116.00 left
Chosen: akash, offer h100/us-west, h100 at 3.10 USD/h

WHAT IT COSTS         USD
rate for 11h20m     35.13
cold start           0.31
expected lost work   1.66
egress of 14 GiB     0.56
all in              37.66
per useful hour      3.31

Rejected, the cheapest first
PROVIDER  GPU      OFFERS  FROM USD/H  REASON            WHY
akash     rtx4090      31        0.62  WrongModel        models are h100, a100-80gb
home      h100          4        2.40  NoCapacityNow     4 nodes have 0 or 1 free h100 of the 2 that
                                                         one node must give
vast      any           0              ProviderUnusable  credentials were refused: an administrator
                                                         must mend Secret overspill/vast [key]

Attempts
#  PLACE          STARTED            ENDED              REASON  STEP   USD
1  home/node-7    2026-11-25 08:00Z  2026-11-25 09:57Z  Lost    2900  4.68
2  akash/us-west  2026-11-25 10:00Z                                   6.20

Needs attention
CONDITION  REASON              MESSAGE
Degraded   ReportsUnreachable  no report of the runner for 6 minutes; the market shows it running
"""


def shown(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> str:
    assert explain(cluster, "finetune-7b", as_json=False, now=NOW) == 0
    return capsys.readouterr().out


def test_the_whole_story(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(cluster, capsys) == EXPECTED


def test_no_line_is_wider_than_the_window(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert max(map(len, shown(cluster, capsys).splitlines())) <= 100


def test_a_job_that_the_operator_has_not_seen_says_so(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[Kind.JOB][0]["status"] = {}
    cluster.objects[Kind.LEASE] = []
    out = shown(cluster, capsys)
    assert "Not seen yet" in out
    assert "is it running?" in out


def test_a_waiting_job_says_until_when(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[Kind.LEASE] = []
    cluster.objects[Kind.JOB][0]["status"] = {
        "phase": "Waiting",
        "decision": {
            "action": "Wait",
            "reason": "WaitingForHome",
            "message": "home is busy; bursting is allowed after 300 s",
            "time": "2026-11-25T11:59:00Z",
            "waitUntilTime": "2026-11-25T12:04:00Z",
        },
    }
    out = shown(cluster, capsys)
    assert "Wait: WaitingForHome" in out
    assert "Decides again at 2026-11-25 12:04Z at the latest." in out
    assert "Chosen" not in out


def test_a_finished_job_ran_somewhere(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[Kind.JOB][0]["status"]["phase"] = "Complete"
    headline = shown(cluster, capsys).splitlines()[0]
    assert "ran at akash/us-west (2xh100)" in headline
    assert "since" not in headline


def test_what_users_wrote_is_not_read_as_markup(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[Kind.JOB][0]["status"]["decision"]["message"] = "[red]not[/red] \x1b[31mred"
    out = shown(cluster, capsys)
    assert "[red]not[/red]" in out
    assert "\x1b" not in out


def test_json_is_the_status(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(cluster, "finetune-7b", as_json=True, now=NOW) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["decision"]["rejected"][0]["reason"] == "NoCapacityNow"
    assert said["phase"] == "Running"


def test_a_missing_job_is_a_sentence(cluster: FakeCluster) -> None:
    with pytest.raises(CliError, match="not found"):
        explain(cluster, "nobody", as_json=False, now=NOW)


@pytest.mark.parametrize(
    ("sla", "expected"),
    [
        (
            {"promised": "standard: finish-by", "outcome": "Open",
             "budgetRemaining": "3h20m of slack"},
            "promised standard: finish-by  attained open\nleft 3h20m of slack",
        ),
        (
            {"promised": "standard: finish-by", "outcome": "Kept",
             "attained": "kept, 2h13m early"},
            "promised standard: finish-by  attained kept, 2h13m early",
        ),
        (
            {"promised": "guaranteed: 99.9 % available", "asOfTime": "2026-11-25T11:56:00Z",
             "attained": "99.953 % since 2026-11-01T09:00:00Z",
             "budgetRemaining": "31.2 min of 43.2 min in 30 days",
             "service": {"breaks": [{"standing": "Down", "startTime": "2026-11-25T11:50:00Z"}]}},
            "promised guaranteed: 99.9 % available  attained 99.953 % since 2026-11-01T09:00:00Z\n"
            "down for 10m  left 31.2 min of 43.2 min in 30 days  as of 4m ago",
        ),
    ],
    ids=["open", "kept", "a service that is down"],
)  # fmt: skip
def test_attained_against_promised(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], sla: dict[str, object], expected: str
) -> None:
    cluster.objects[Kind.JOB][0]["status"]["sla"] = sla
    assert f"\n{expected}\n" in shown(cluster, capsys)


def test_where_nothing_is_promised_nothing_is_said_of_it(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    sla = {"promised": "standard", "className": "standard"}
    cluster.objects[Kind.JOB][0]["status"]["sla"] = sla
    assert "promised" not in shown(cluster, capsys)
