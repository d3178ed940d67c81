"""Where one job runs, and why not elsewhere: one row per rule."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.reasons import Reason
from overspill.core.sla import Budget
from overspill.core.snapshot import JobFacts, ProviderHealth
from overspill.core.vocabulary import (
    Burst,
    CapacityType,
    DataClass,
    InterconnectClass,
    InterconnectMode,
    LeaseState,
    TrustTier,
    Workload,
)
from overspill.testing.placing import (
    ACCOUNTS,
    AKASH,
    HOUR,
    NOW,
    STANDARD,
    decide,
    make_checkpoint,
    make_job,
    make_lease,
    node,
    rent,
    usd,
)

BUSY = node("n1", free=0)
FREE = node("n1", free=8)
SPOT = rent("s1", "0.5", provider="spots", capacity_type=CapacityType.SPOT)


def facts(job: Job, **changes: Any) -> dict[str, JobFacts]:
    return {job.ref.uid: JobFacts(**changes)}


@dataclass
class Row:
    """One situation and its answer: action, reason, and the place when there is one."""

    job: Job
    offers: list[Offer]
    action: Action
    reason: Reason
    place: str = ""
    world: dict[str, Any] = field(default_factory=dict)
    loser: Reason | None = None


LONG_AGO = replace(make_job(), created_at=NOW - HOUR)
ONLY = make_job(burst=Burst.ONLY)

PLACING = {
    "home is taken when it fits, though a market is cheaper": Row(
        make_job(), [FREE, rent(price="0.1")], Action.PLACE, Reason.HOME_FITS, "home/n1",
        loser=Reason.LESS_PREFERRED,
    ),
    "after burstAfter the job leaves": Row(
        LONG_AGO, [BUSY, rent()], Action.PLACE, Reason.BURST_TO_PROVIDER_SELECTED, "akash/a1",
        loser=Reason.NO_CAPACITY_NOW,
    ),
    "the job's own burstAfter wins over the class's": Row(
        make_job(burst_after=timedelta(0)), [BUSY, rent()], Action.PLACE,
        Reason.BURST_TO_PROVIDER_SELECTED, "akash/a1",
    ),
    "home that never has the GPU is not waited for": Row(
        make_job(models=("l4",)), [FREE, rent(gpu_model="l4")], Action.PLACE,
        Reason.BURST_TO_PROVIDER_SELECTED, "akash/a1", loser=Reason.WRONG_MODEL,
    ),
    "a finish-by that waiting would miss beats the patience": Row(
        make_job(work=HOUR, finish_by=NOW + timedelta(minutes=68)), [BUSY, rent()], Action.PLACE,
        Reason.BURST_TO_PROVIDER_SELECTED, "akash/a1",
    ),
    "a job that must leave takes the cheapest of equal rank": Row(
        ONLY, [FREE, rent("a1", "3"), rent("a2", "2")], Action.PLACE, Reason.CHEAPEST_FITTING,
        "akash/a2", loser=Reason.HOME_NOT_ALLOWED,
    ),
    "the class's order of capacity types goes before the price": Row(
        ONLY, [rent(), SPOT], Action.PLACE, Reason.CHEAPEST_FITTING, "akash/a1",
        loser=Reason.LESS_PREFERRED,
    ),
    "the job may narrow and reorder the capacity types": Row(
        make_job(burst=Burst.ONLY, capacity_types=(CapacityType.SPOT, CapacityType.ON_DEMAND)),
        [rent(), SPOT], Action.PLACE, Reason.CHEAPEST_FITTING, "spots/s1",
    ),
    "the order of models goes before the price": Row(
        make_job(burst=Burst.ONLY, models=("h200", "h100")),
        [rent("a1", "1"), rent("a2", "9", gpu_model="h200")], Action.PLACE,
        Reason.CHEAPEST_FITTING, "akash/a2",
    ),
    "a wished fabric goes before the price": Row(
        make_job(
            burst=Burst.ONLY,
            gpu=GpuRequirements(1, interconnect=InterconnectClass.NVLINK),
        ),
        [rent("a1", "1"), rent("a2", "3", interconnect=InterconnectClass.NVLINK)],
        Action.PLACE, Reason.CHEAPEST_FITTING, "akash/a2",
    ),
    "losses make a cheap place dear": Row(
        make_job(burst=Burst.ONLY, work=20 * HOUR),
        [rent("a1", "1.9", mtbf=10 * HOUR), rent("a2", "2", mtbf=1000 * HOUR)],
        Action.PLACE, Reason.CHEAPEST_FITTING, "akash/a2", loser=Reason.COSTS_MORE,
    ),
    "egress makes a cheap place dear": Row(
        make_job(burst=Burst.ONLY, work=HOUR, data_gib=usd(100)),
        [rent("a1", "1.9", egress_usd_per_gib=usd("0.1")), rent("a2", "2")],
        Action.PLACE, Reason.CHEAPEST_FITTING, "akash/a2",
    ),
    "a long minimum makes a cheap place dear": Row(
        make_job(burst=Burst.ONLY, work=HOUR),
        [rent("a1", "1.9", min_billable=10 * HOUR), rent("a2", "2")],
        Action.PLACE, Reason.CHEAPEST_FITTING, "akash/a2",
    ),
    "a service on the same market needs no report URL": Row(
        make_job(burst=Burst.ONLY, workload=Workload.INFERENCE), [rent()], Action.PLACE,
        Reason.CHEAPEST_FITTING, "akash/a1",
        world={"report_url_missing": frozenset({"akash"})},
    ),
    "a silent market does not stop the others": Row(
        ONLY, [rent(), SPOT], Action.PLACE, Reason.CHEAPEST_FITTING, "spots/s1",
        world={"health": {"akash": ProviderHealth(False, "Down", "it does not answer")}},
        loser=Reason.PROVIDER_UNUSABLE,
    ),
}  # fmt: skip

REFUSING = {
    "nobody has the model": Row(
        make_job(models=("b300",)), [FREE, rent(), SPOT], Action.REFUSE, Reason.NO_SUCH_GPU,
        loser=Reason.WRONG_MODEL,
    ),
    "there is no offer at all": Row(
        make_job(), [], Action.REFUSE, Reason.NO_SUCH_GPU, world={"accounts": {}}
    ),
    "nobody has the memory": Row(
        make_job(gpu=GpuRequirements(1, memory_min_gib=usd(141))), [FREE, rent(), SPOT],
        Action.REFUSE, Reason.NO_SUCH_GPU, loser=Reason.MEMORY_TOO_SMALL,
    ),
    "every price is above the hourly cap": Row(
        make_job(max_hourly_usd=usd("0.2")), [FREE, rent(), SPOT], Action.REFUSE,
        Reason.PRICE_ABOVE_CAP, loser=Reason.PRICE_ABOVE_CAP,
    ),
    "the whole work costs more than the budget": Row(
        make_job(max_total_usd=usd(5), work=10 * HOUR, burst=Burst.ONLY), [rent(), SPOT],
        Action.REFUSE, Reason.BUDGET_TOO_SMALL,
    ),
    "the budget does not buy one useful hour": Row(
        make_job(max_total_usd=usd("0.4"), burst=Burst.ONLY), [rent(), SPOT], Action.REFUSE,
        Reason.BUDGET_TOO_SMALL,
    ),
    "the minimum to be paid is above the budget": Row(
        make_job(max_total_usd=usd(10), work=HOUR, burst=Burst.ONLY),
        [rent(min_billable=24 * HOUR)], Action.REFUSE, Reason.BUDGET_TOO_SMALL,
        world={"accounts": {"akash": AKASH}},
    ),
    "the finish-by is in the past": Row(
        make_job(finish_by=NOW - HOUR), [FREE], Action.REFUSE, Reason.DEADLINE_PASSED
    ),
    "no place can meet the finish-by": Row(
        make_job(finish_by=NOW + HOUR, work=2 * HOUR), [FREE, rent(), SPOT], Action.REFUSE,
        Reason.DEADLINE_UNREACHABLE,
    ),
    "the class does not exist": Row(
        make_job(sla_class="gold"), [FREE], Action.REFUSE, Reason.UNKNOWN_SLA_CLASS
    ),
    "the template has a shape that no pod has": Row(
        make_job(), [FREE], Action.REFUSE, Reason.TEMPLATE_INVALID,
        world={"facts": {"uid-train": JobFacts(template_invalid="env must be a list")}},
    ),
    "no class is named and none is default": Row(
        make_job(), [FREE], Action.REFUSE, Reason.UNKNOWN_SLA_CLASS, world={"classes": {}}
    ),
    "a tied template may not burst and must": Row(
        ONLY, [FREE, rent(), SPOT], Action.REFUSE, Reason.TEMPLATE_NOT_PORTABLE,
        world={"facts": facts(ONLY, not_portable=("spec.template.spec.volumes[0] is set",))},
    ),
    "an unknown entrypoint is named as such": Row(
        ONLY, [rent(), SPOT], Action.REFUSE, Reason.ENTRYPOINT_UNKNOWN,
        world={"facts": facts(ONLY, not_portable=("x",), not_portable_reason="EntrypointUnknown")},
    ),
    "without a budget nothing is rented": Row(
        make_job(burst=Burst.ONLY, max_total_usd=None), [rent(), SPOT], Action.REFUSE,
        Reason.BUDGET_MISSING,
    ),
    "a Secret may not reach the tier": Row(
        ONLY, [rent()], Action.REFUSE, Reason.SECRET_NOT_ALLOWED,
        world={
            "facts": facts(ONLY, secret_tiers=frozenset({TrustTier.CLOUD})),
            "accounts": {"akash": AKASH},
        },
    ),
    "a batch job on a restarting market without report URL": Row(
        ONLY, [rent()], Action.REFUSE, Reason.REPORT_URL_MISSING,
        world={"report_url_missing": frozenset({"akash"}), "accounts": {"akash": AKASH}},
    ),
    "a gang larger than every place": Row(
        make_job(gpus=8, num_nodes=2, burst=Burst.NEVER), [FREE], Action.REFUSE,
        Reason.GANG_WOULD_SPLIT,
    ),
    "more GPUs than any node has": Row(
        make_job(gpus=16, burst=Burst.NEVER), [FREE], Action.REFUSE, Reason.NO_OFFER_FITS,
        loser=Reason.TOO_FEW_GPUS,
    ),
}  # fmt: skip

WAITING = {
    "a busy home is waited for while the patience lasts": Row(
        make_job(), [BUSY, rent()], Action.WAIT, Reason.WAITING_FOR_HOME,
        loser=Reason.BURST_NOT_YET,
    ),
    "every market is away": Row(
        ONLY, [rent()], Action.WAIT, Reason.PROVIDER_UNUSABLE,
        world={
            "health": {"akash": ProviderHealth(False, "Down", "no answer")},
            "accounts": {"akash": AKASH},
        },
    ),
    "a market that lists nothing may list it later": Row(
        make_job(burst=Burst.ONLY), [], Action.WAIT, Reason.NO_CAPACITY_NOW,
        loser=Reason.UNAVAILABLE,
    ),
    "the only offer is taken": Row(
        ONLY, [rent(unavailable_reason="rented")], Action.WAIT, Reason.NO_CAPACITY_NOW,
        world={"accounts": {"akash": AKASH}}, loser=Reason.UNAVAILABLE,
    ),
    "the offer was refused a moment ago": Row(
        ONLY, [rent()], Action.WAIT, Reason.RECENTLY_REFUSED,
        world={
            "facts": facts(ONLY, excluded_offers=frozenset({("akash", "a1")})),
            "accounts": {"akash": AKASH},
        },
    ),
    "the account is at its own limit": Row(
        ONLY, [rent()], Action.WAIT, Reason.PROVIDER_LIMIT,
        world={"accounts": {"akash": replace(AKASH, max_hourly_usd=usd(1))}},
    ),
    "the namespace has spent its budget": Row(
        ONLY, [rent()], Action.WAIT, Reason.NAMESPACE_BUDGET_EXHAUSTED,
        world={
            "budgets": (Budget("team", "month", usd(50), spent_usd=usd(49)),),
            "accounts": {"akash": AKASH},
        },
    ),
    "confidential data waits for home for ever": Row(
        replace(LONG_AGO, data_class=DataClass.CONFIDENTIAL), [BUSY, rent()], Action.WAIT,
        Reason.WAITING_FOR_HOME, loser=Reason.TRUST_TIER_TOO_LOW,
    ),
    "burst Never waits for home for ever": Row(
        replace(LONG_AGO, burst=Burst.NEVER), [BUSY, rent()], Action.WAIT,
        Reason.WAITING_FOR_HOME, loser=Reason.BURST_NOT_ALLOWED,
    ),
    "a missing Secret is waited for": Row(
        make_job(), [FREE], Action.WAIT, Reason.SECRET_MISSING,
        world={"facts": facts(make_job(), missing="Secret team/s3 does not exist")},
    ),
    "a suspended job waits": Row(
        make_job(suspend=True), [FREE], Action.WAIT, Reason.SUSPENDED_BY_USER
    ),
    "a gang waits until enough nodes are free together": Row(
        make_job(gpus=8, num_nodes=2, burst=Burst.NEVER), [FREE, node("n2", 4)], Action.WAIT,
        Reason.WAITING_FOR_HOME, loser=Reason.GANG_WOULD_SPLIT,
    ),
}  # fmt: skip

LOSERS = {
    "a market that cannot hold a whole gang": Row(
        make_job(gpus=4, num_nodes=2), [rent(gpus=8)], Action.REFUSE, Reason.GANG_WOULD_SPLIT,
        loser=Reason.GANG_WOULD_SPLIT, world={"accounts": {"akash": AKASH}},
    ),
    "too few GPUs on one node of a market": Row(
        make_job(gpus=8), [rent(gpus=8, node_count=2)], Action.REFUSE, Reason.NO_OFFER_FITS,
        loser=Reason.TOO_FEW_GPUS, world={"accounts": {"akash": AKASH}},
    ),
    "a compute capability that is too low": Row(
        make_job(gpu=GpuRequirements(1, compute_capability_min=(10, 0))), [rent()],
        Action.REFUSE, Reason.NO_SUCH_GPU, loser=Reason.COMPUTE_CAPABILITY_TOO_LOW,
        world={"accounts": {"akash": AKASH}},
    ),
    "a required fabric": Row(
        make_job(
            gpu=GpuRequirements(
                1,
                interconnect=InterconnectClass.NVLINK,
                interconnect_mode=InterconnectMode.REQUIRED,
            )
        ),
        [rent()], Action.REFUSE, Reason.NO_OFFER_FITS, loser=Reason.INTERCONNECT_TOO_WEAK,
        world={"accounts": {"akash": AKASH}},
    ),
    "a provider that is not allowed": Row(
        make_job(providers=("home",)), [rent()], Action.REFUSE, Reason.NO_OFFER_FITS,
        loser=Reason.PROVIDER_NOT_ALLOWED, world={"accounts": {"akash": AKASH}},
    ),
    "a region that is not allowed": Row(
        make_job(regions=("eu",)), [rent()], Action.REFUSE, Reason.NO_OFFER_FITS,
        loser=Reason.REGION_NOT_ALLOWED, world={"accounts": {"akash": AKASH}},
    ),
    "a capacity type that the class does not allow": Row(
        make_job(), [rent(capacity_type=CapacityType.COMMUNITY)], Action.REFUSE,
        Reason.NO_OFFER_FITS, loser=Reason.CAPACITY_TYPE_NOT_ALLOWED,
        world={"accounts": {"akash": AKASH}},
    ),
    "a reliability below the class's": Row(
        make_job(), [rent(reliability=usd("0.9"))], Action.REFUSE, Reason.NO_OFFER_FITS,
        loser=Reason.RELIABILITY_TOO_LOW,
        world={
            "accounts": {"akash": AKASH},
            "classes": {"standard": replace(STANDARD, min_reliability=usd("0.95"))},
        },
    ),
    "more expected loss than the class bears": Row(
        make_job(work=10 * HOUR), [rent(mtbf=10 * HOUR)], Action.REFUSE, Reason.NO_OFFER_FITS,
        loser=Reason.LOSS_TOO_HIGH,
        world={
            "accounts": {"akash": AKASH},
            "classes": {"standard": replace(STANDARD, max_loss_usd=usd(1))},
        },
    ),
    "a place that ends before the work": Row(
        make_job(work=2 * HOUR), [rent(available_until=NOW + HOUR)], Action.REFUSE,
        Reason.NO_OFFER_FITS, loser=Reason.ENDS_TOO_SOON, world={"accounts": {"akash": AKASH}},
    ),
    "an offer of an account that is gone": Row(
        make_job(), [rent()], Action.REFUSE, Reason.PROVIDER_UNUSABLE,
        loser=Reason.PROVIDER_UNUSABLE, world={"accounts": {}},
    ),
}  # fmt: skip


def check(row: Row) -> Decision:
    found = decide(row.job, *row.offers, **row.world)
    assert (found.action, found.reason) == (row.action, row.reason), found.message
    assert (found.offer.place if found.offer else "") == row.place
    if row.loser is not None:
        assert row.loser in [r.reason for r in found.rejected]
    assert found.message
    assert all(r.message for r in found.rejected)
    return found


@pytest.mark.parametrize("row", PLACING.values(), ids=PLACING.keys())
def test_it_is_placed(row: Row) -> None:
    found = check(row)
    assert found.price_usd_per_hour == found.offer.price_usd_per_hour if found.offer else False
    assert found.expected_useful_usd_per_hour is not None
    assert found.max_total_usd is not None
    assert found.hard_deadline is not None
    assert found.hard_deadline > NOW


@pytest.mark.parametrize("row", REFUSING.values(), ids=REFUSING.keys())
def test_it_is_refused_because(row: Row) -> None:
    check(row)


@pytest.mark.parametrize("row", WAITING.values(), ids=WAITING.keys())
def test_it_waits_because(row: Row) -> None:
    check(row)


@pytest.mark.parametrize("row", LOSERS.values(), ids=LOSERS.keys())
def test_an_offer_loses_for(row: Row) -> None:
    check(row)


def test_a_wait_for_home_tells_when_it_ends() -> None:
    assert decide(make_job(), BUSY, rent()).wait_until == NOW + STANDARD.burst_after


def test_the_price_is_told_line_by_line() -> None:
    job = make_job(burst=Burst.ONLY, work=10 * HOUR, data_gib=usd(50), checkpoint=make_checkpoint())
    found = decide(job, rent(mtbf=100 * HOUR, egress_usd_per_gib=usd("0.02")))
    lines = {line.name: line.usd for line in found.cost_lines}
    assert (lines["rate"], lines["coldStart"], lines["egress"]) == (usd(20), usd("0.1"), usd(1))
    # λ(d + τ/2) = (0.05 + 0.25)/100 of the work, and a little more for the exact exponential
    assert usd("0.06") <= lines["rework"] < usd("0.0605")
    assert found.total_usd == sum(lines.values())
    assert found.expected_useful_usd_per_hour == (sum(lines.values()) / 10).quantize(usd("1e-6"))


def test_unknown_work_is_not_given_a_total() -> None:
    assert decide(ONLY, rent()).total_usd is None


def test_a_divisible_offer_is_cut_to_the_job() -> None:
    found = decide(make_job(gpus=2, burst=Burst.ONLY), rent(price="16", gpus=8, is_divisible=True))
    assert found.offer is not None
    assert (found.offer.gpu_count, found.price_usd_per_hour) == (2, usd(4))
    assert not found.offer.is_divisible


def test_a_whole_offer_is_paid_whole() -> None:
    found = decide(make_job(gpus=2, burst=Burst.ONLY), rent(price="16", gpus=8))
    assert found.price_usd_per_hour == usd(16)


def test_a_single_job_names_its_node_and_a_gang_does_not() -> None:
    assert decide(make_job(gpus=2), FREE).home_node == "n1"
    gang = decide(make_job(gpus=8, num_nodes=2), FREE, node("n2", 8))
    assert gang.home_node == ""
    assert gang.offer is not None
    assert (gang.offer.gpu_count, gang.offer.node_count) == (16, 2)
    assert gang.offer.attribute("nodes") == "n1,n2"
    assert gang.price_usd_per_hour == usd(16)


def test_the_hard_deadline_is_the_earlier_of_money_and_active_deadline() -> None:
    assert decide(make_job(active_deadline=HOUR), FREE).hard_deadline == NOW + HOUR
    assert decide(make_job(max_total_usd=None), FREE).hard_deadline is None


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (LeaseState.PLANNED, Reason.LEASE_PLANNED),
        (LeaseState.OPENING, Reason.LEASE_OPENING),
        (LeaseState.UNCERTAIN, Reason.LEASE_UNCERTAIN),
        (LeaseState.ACTIVE, Reason.RUNNING_WELL),
    ],
    ids=str,
)
def test_a_job_with_an_attempt_gets_no_second_one(state: LeaseState, reason: Reason) -> None:
    job = make_job()
    lease = make_lease(job, FREE, state)
    found = decide(job, FREE, rent(), leases=(lease,))
    assert (found.action, found.reason) == (Action.STAY, reason)


def test_a_job_of_another_controller_is_left_alone() -> None:
    found = decide(make_job(managed_by="kueue.x-k8s.io/multikueue"), FREE)
    assert (found.action, found.reason) == (Action.STAY, Reason.MANAGED_ELSEWHERE)


def test_an_offer_at_an_unknown_account_says_so() -> None:
    found = decide(make_job(), rent(provider="gone"), accounts=ACCOUNTS)
    assert Reason.PROVIDER_UNUSABLE in [r.reason for r in found.rejected]
