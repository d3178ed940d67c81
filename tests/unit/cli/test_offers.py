"""`offers` lists what could be had, cheapest first, and says why nothing can."""

import json

import pytest

from overspill.cli.offers import Wish, offers
from overspill.kube.resources import Kind
from overspill.testing.cli_samples import FakeCluster, provider_of


def rows(cluster: FakeCluster, capsys: pytest.CaptureFixture[str], wish: Wish) -> list[list[str]]:
    assert offers(cluster, wish, as_json=False) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_cheapest_gpu_hour_comes_first_and_what_cannot_be_had_last(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    _, *found = rows(cluster, capsys, Wish())
    assert [r[1] for r in found] == ["home/node-2", "home/node-1", "akash/us-west", "home/node-7"]
    assert [r[-1] for r in found] == ["yes", "yes", "yes", "no"]


def test_the_price_is_for_the_wanted_count(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    _, *found = rows(cluster, capsys, Wish(model="h100", count=4, only_available=True))
    assert found == [["akash", "akash/us-west", "h100", "8", "1.55", "6.20", "Community", "yes"]]


@pytest.mark.parametrize("spelling", ["h100", "H100", "NVIDIA-H100-80GB-HBM3"])
def test_every_spelling_of_a_gpu_is_understood(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], spelling: str
) -> None:
    _, *found = rows(cluster, capsys, Wish(model=spelling))
    assert {r[2] for r in found} == {"h100"}


def test_json_carries_the_provider(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offers(cluster, Wish(model="a100-80gb"), as_json=True) == 0
    (offer,) = json.loads(capsys.readouterr().out)
    assert (offer["provider"], offer["pricePerGPUHourUSD"]) == ("home", "0.90")


@pytest.mark.parametrize(
    ("providers", "wish", "sentence"),
    [
        ([], Wish(), "There is no GPUProvider"),
        ([provider_of("akash", [])], Wish(), "None of akash has published an offer yet"),
    ],
)
def test_nothing_is_explained(
    cluster: FakeCluster,
    capsys: pytest.CaptureFixture[str],
    providers: list[dict[str, object]],
    wish: Wish,
    sentence: str,
) -> None:
    cluster.objects[Kind.PROVIDER] = providers
    offers(cluster, wish, as_json=False)
    assert sentence in capsys.readouterr().out


def test_a_gpu_that_nobody_has_names_those_that_somebody_has(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    offers(cluster, Wish(model="b200"), as_json=False)
    said = capsys.readouterr().out
    assert said == "Nobody offers 1 x b200; to be had are: a100-80gb, h100.\n"


def test_an_unusable_provider_is_named(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.objects[Kind.PROVIDER][1]["status"]["conditions"] = [
        {
            "type": "Ready",
            "status": "False",
            "reason": "AuthRejected",
            "message": "mend Secret overspill-system/akash",
        }
    ]
    offers(cluster, Wish(), as_json=False)
    assert "akash is not usable (AuthRejected): mend Secret" in capsys.readouterr().out
