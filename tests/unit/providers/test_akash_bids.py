"""Which bid is taken, and what is said when none would do."""

from decimal import Decimal
from typing import Any

import pytest

from overspill.providers.akash_bids import Wanted, ranked, why_none
from overspill.providers.akash_prices import Rates
from overspill.providers.akash_wire import Bid
from overspill.providers.akash_wire_market import Host

H100 = {"model": "h100", "ram": "80Gi", "interface": "sxm"}
WANTED = Wanted(gpu_count=1, max_usd_per_hour=Decimal(3), gpu=H100)
KEY = "vendor/nvidia/model/h100/ram/80Gi/interface/sxm5"


def bid(provider: str = "a", amount: str = "2000", **changes: Any) -> Bid:
    gpu = {
        "units": {"val": changes.pop("units", "1")},
        "attributes": [{"key": changes.pop("key", KEY), "value": "true"}],
    }
    document = {
        "id": {"dseq": "1", "gseq": 1, "oseq": 1, "provider": provider},
        "state": "open",
        "price": {"denom": "uact", "amount": amount},
        "resources_offer": [{"resources": {"gpu": gpu}}],
    }
    return Bid.model_validate(document | changes)


def host(owner: str, uptime: str | None, **changes: Any) -> Host:
    return Host.model_validate(
        {"owner": owner, "uptime7d": uptime, "isOnline": True, "isAudited": True} | changes
    )


def best(*bids: Bid, wanted: Wanted = WANTED, hosts: tuple[Host, ...] = ()) -> list[str]:
    return [quote.bid.id.provider for quote in ranked(bids, wanted, Rates(), hosts)]


def test_the_cheapest_comes_first_and_names_break_ties() -> None:
    assert best(bid("c", "2000"), bid("b", "1500"), bid("a", "2000")) == ["b", "a", "c"]


def test_an_unreliable_host_must_be_cheaper_by_as_much() -> None:
    hosts = (host("shaky", "0.5"), host("good", "1"))
    assert best(bid("shaky", "1200"), bid("good", "2000"), hosts=hosts) == ["good", "shaky"]
    assert best(bid("shaky", "900"), bid("good", "2000"), hosts=hosts) == ["shaky", "good"]


def test_a_host_that_nobody_knows_counts_as_a_middling_one() -> None:
    assert best(bid("new", "1900"), bid("good", "2000"), hosts=(host("good", "1"),)) == [
        "good",
        "new",
    ]


@pytest.mark.parametrize(
    "refused",
    [
        bid(amount="5001"),
        bid(state="closed"),
        bid(state="lost"),
        bid(state="active"),
        bid(units="2"),
        bid(key="vendor/nvidia/model/a100/ram/80Gi/interface/sxm"),
        bid(key="vendor/nvidia/model/h100/ram/40Gi/interface/sxm"),
        bid(key="vendor/nvidia/model/h100/ram/80Gi/interface/pcie"),
        bid(key="vendor/amd/model/mi300x"),
        bid(price={"denom": "ibc/unknown", "amount": "1"}),
    ],
    ids=[
        "over the cap",
        "closed",
        "lost",
        "taken",
        "other count",
        "other model",
        "less memory",
        "other interface",
        "other vendor",
        "a coin without a rate",
    ],
)
def test_a_bid_that_would_not_do_is_left_out(refused: Bid) -> None:
    assert best(refused) == []


@pytest.mark.parametrize(
    "taken",
    [bid(amount="5000"), bid(key="vendor/nvidia/model/*"), bid(resources_offer=[]), bid(key="x/y")],
    ids=["exactly the cap", "a wildcard", "without resources", "another kind of attribute"],
)
def test_a_bid_that_would_do_is_kept(taken: Bid) -> None:
    assert best(taken) == ["a"]


def test_hosts_that_are_offline_refused_or_too_unreliable_are_left_out() -> None:
    assert best(bid("a"), hosts=(host("a", "1", isOnline=False),)) == []
    assert best(bid("a"), wanted=Wanted(1, Decimal(3), refused=frozenset({"a"}))) == []
    strict = Wanted(1, Decimal(3), min_reliability=Decimal("0.99"))
    assert best(bid("a"), bid("b"), wanted=strict, hosts=(host("a", "0.98"), host("b", "1"))) == [
        "b"
    ]


@pytest.mark.parametrize(
    ("bids", "words"),
    [
        ((), "no provider made a bid"),
        ((bid(amount="9000"), bid(amount="8000")), "the cheapest at 4.8000 USD"),
        ((bid(state="closed"),), "none of 1 bids fits"),
    ],
    ids=["none came", "all too dear", "none fits"],
)
def test_it_says_why_none_would_do(bids: tuple[Bid, ...], words: str) -> None:
    assert words in why_none(bids, WANTED, Rates())
