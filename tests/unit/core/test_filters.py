"""The filter chain by itself: the order of its questions, and the edges of single ones."""

import pytest

from overspill.core.filters import Market, Needs, is_in_region, needs_of, refusal
from overspill.core.offer import GpuRequirements
from overspill.core.reasons import Reason
from overspill.core.snapshot import JobFacts, ProviderHealth
from overspill.core.vocabulary import Burst, CapacityType, DataClass
from overspill.testing.placing import AKASH, HOME, STANDARD, make_job, node, rent, usd

OUTSIDE, INSIDE = Market(AKASH), Market(HOME)
ALL = tuple(CapacityType)


@pytest.mark.parametrize(
    ("region", "wanted", "is_in"),
    [
        ("eu-west-1", "eu", True),
        ("EU-RO-1", "eu", True),
        ("eu", "eu", True),
        ("us-west", "us-west", True),
        ("europe", "eu", False),
        ("us-east", "us-west", False),
        ("", "eu", False),
    ],
)
def test_a_region_takes_its_parts(region: str, wanted: str, is_in: bool) -> None:
    assert is_in_region(region, wanted) is is_in


def test_hardware_is_told_before_policy_and_policy_before_the_account() -> None:
    needs = Needs(GpuRequirements(1, ("l4",)), 1, (), regions=("eu",))
    down = Market(AKASH, ProviderHealth(is_usable=False))
    steps = [
        (needs, Reason.WRONG_MODEL),
        (needs._replace(gpu=GpuRequirements()), Reason.REGION_NOT_ALLOWED),
        (needs._replace(gpu=GpuRequirements(), regions=()), Reason.CAPACITY_TYPE_NOT_ALLOWED),
        (Needs(GpuRequirements(), 1, ALL), Reason.PROVIDER_UNUSABLE),
    ]
    for asked, reason in steps:
        found = refusal(asked, rent(), down)
        assert found is not None
        assert found.reason is reason


def test_an_offer_that_passes_everything_has_no_refusal() -> None:
    assert refusal(Needs(GpuRequirements(), 1, ALL), rent(), OUTSIDE) is None


def test_memory_is_compared_as_sold() -> None:
    needs = Needs(GpuRequirements(1, memory_min_gib=usd(80)), 1, ALL)
    assert refusal(needs, rent(gpu_memory_gib=usd("79.6")), OUTSIDE) is None
    assert refusal(needs, rent(gpu_memory_gib=usd(40)), OUTSIDE) is not None
    assert refusal(needs, rent(gpu_memory_gib=None), OUTSIDE) is not None


def test_home_is_not_asked_for_reliability_secrets_or_region_labels() -> None:
    needs = Needs(
        GpuRequirements(), 1, ALL, min_reliability=usd("0.99"), regions=("eu",),
        secret_tiers=frozenset(),
    )  # fmt: skip
    assert refusal(needs, node("n1", 8), INSIDE) is None
    assert refusal(needs, node("n1", 8, region="us"), INSIDE) is not None


def test_an_unknown_reliability_is_not_good_enough() -> None:
    needs = Needs(GpuRequirements(), 1, ALL, min_reliability=usd("0.9"))
    found = refusal(needs, rent(reliability=None), OUTSIDE)
    assert found is not None
    assert found.reason is Reason.RELIABILITY_TOO_LOW


def test_the_job_narrows_the_class_and_never_widens_it() -> None:
    wanted = (CapacityType.SPOT, CapacityType.COMMUNITY, CapacityType.OWN)
    needs = needs_of(make_job(capacity_types=wanted), STANDARD, JobFacts())
    assert needs.capacity_types == (CapacityType.SPOT, CapacityType.OWN)


@pytest.mark.parametrize(
    ("job", "facts", "reason"),
    [
        pytest.param(make_job(burst=Burst.NEVER), JobFacts(), Reason.BURST_NOT_ALLOWED),
        pytest.param(
            make_job(data_class=DataClass.CONFIDENTIAL), JobFacts(), Reason.TRUST_TIER_TOO_LOW
        ),
        pytest.param(make_job(), JobFacts(not_portable=("x",)), Reason.TEMPLATE_NOT_PORTABLE),
        pytest.param(make_job(max_total_usd=None), JobFacts(), Reason.BUDGET_MISSING),
    ],
    ids=lambda v: v.value if isinstance(v, Reason) else "",
)
def test_a_tied_job_says_what_ties_it(job: object, facts: JobFacts, reason: Reason) -> None:
    needs = needs_of(job, STANDARD, facts)  # type: ignore[arg-type]  # a Job of the table
    assert needs.tied_home is not None
    assert needs.tied_home.reason is reason
    assert refusal(needs, node("n1", 8), INSIDE) is None


@pytest.mark.parametrize(
    ("market", "is_refused"),
    [
        pytest.param(Market(AKASH, rtt_ms={"us-west": 84.4}), True, id="farther than allowed"),
        pytest.param(Market(AKASH, rtt_ms={"us-west": 50.0}), False, id="just as far"),
        pytest.param(Market(AKASH, rtt_ms={"eu": 84.4}), False, id="never measured there"),
        pytest.param(Market(HOME, rtt_ms={"us-west": 84.4}), False, id="home"),
    ],
)
def test_what_is_measured_to_be_too_far_away_is_refused(market: Market, is_refused: bool) -> None:
    needs = needs_of(make_job(max_rtt_ms=50), STANDARD, JobFacts())
    found = refusal(needs, rent(), market)
    assert (found is not None) is is_refused
    if found is not None:
        assert found.reason is Reason.TOO_FAR
        assert "84 ms away by its measured round trip, the job allows 50 ms" in found.message
