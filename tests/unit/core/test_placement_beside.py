"""What a job needs beside its GPUs is in its price, where a market charges for it, and in its cap.

Beside them, the fewest GPUs that may be taken: what cannot be taken in part is not tried in part.
"""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.offer import Beside, BesideRates, Offer
from overspill.core.placement import plan
from overspill.core.reasons import Reason
from overspill.core.snapshot import JobFacts
from overspill.testing.placing import NOW, decide, make_job, node, rent, usd, world

RATES = BesideRates(usd("0.01"), usd("0.005"), usd("0.001"))
LIST = rent("t4", "8", gpus=8, is_divisible=True, is_firm=False, beside_rates=RATES)
"""One USD per GPU, and what stands beside it."""
BIG = Beside(usd(16), usd(64), usd(40))
"""0.52 USD per hour and node at these rates."""
BUSY = node("n1", free=0)


def chosen(job: Job, beside: Beside, *offers: Offer) -> Decision:
    return decide(job, *offers, facts={job.ref.uid: JobFacts(beside=beside)})


def burst(gpus: int = 1, **changes: object) -> Job:
    return make_job(gpus=gpus, burst_after=NOW - NOW, **changes)


def test_it_is_in_the_quote_the_lease_and_the_cap() -> None:
    found = chosen(burst(2), BIG, BUSY, LIST)
    assert found.action is Action.PLACE
    assert found.offer is not None
    assert found.offer.price_usd_per_hour == found.price_usd_per_hour == usd("2.52")
    assert found.offer.beside_rates is None, "paid once"
    assert found.max_usd_per_hour == usd("2.772"), "a tenth above, as for every auction"


def test_who_needs_nothing_beside_pays_for_gpus_alone() -> None:
    found = chosen(burst(2), Beside(), BUSY, LIST)
    assert found.price_usd_per_hour == usd(2)


def test_a_gang_pays_for_each_node() -> None:
    found = chosen(burst(2, num_nodes=2), BIG, BUSY, replace(LIST, node_count=2, gpu_count=16))
    assert found.price_usd_per_hour == usd(2) + 2 * usd("0.52")


def test_the_cheaper_one_is_the_cheaper_one_with_everything() -> None:
    """An ask that has it in its price beats a list price that has not."""
    whole = rent("whole", "1.40")
    assert _where(chosen(burst(), BIG, BUSY, LIST, whole)) == "whole"
    assert _where(chosen(burst(), Beside(usd(1)), BUSY, LIST, whole)) == "t4"


def test_jobs_of_one_plan_are_priced_by_their_own_needs() -> None:
    jobs = [burst(), replace(burst(), ref=replace(make_job().ref, uid="uid-b", name="b"))]
    facts = {"uid-train": JobFacts(beside=BIG), "uid-b": JobFacts(beside=Beside(usd(1)))}
    found = plan(world(jobs, [BUSY, LIST], facts=facts), NOW)
    assert [d.price_usd_per_hour for d in found] == [usd("1.52"), usd("1.01")]


def test_what_is_dear_only_with_everything_is_refused_before_it_is_tried() -> None:
    found = chosen(burst(max_hourly_usd=usd("1.5")), BIG, LIST)
    (why,) = [r for r in found.rejected if r.reason is Reason.PRICE_ABOVE_CAP]
    assert why.message == "1.52 USD/h is above spec.budget.maxHourlyUSD 1.50"


AMOUNTS = st.decimals(0, 512, places=2)


@given(
    beside=st.builds(Beside, AMOUNTS, AMOUNTS, AMOUNTS),
    hourly=st.decimals("0.5", 10, places=2),
    total=st.decimals("0.5", 50, places=2),
)
def test_no_cap_is_ever_above_the_users(beside: Beside, hourly: Decimal, total: Decimal) -> None:
    job = burst(max_hourly_usd=hourly, max_total_usd=total)
    found = chosen(job, beside, BUSY, LIST)
    if found.action is not Action.PLACE:
        return
    assert found.offer is not None
    assert found.max_usd_per_hour is not None
    assert found.max_total_usd is not None
    assert found.offer.price_usd_per_hour <= found.max_usd_per_hour <= hourly
    assert found.max_total_usd <= total


def test_a_machine_that_is_taken_whole_is_not_tried_for_less() -> None:
    eight = rent("eight", "1", gpus=8, least_gpus=8)
    found = chosen(burst(2), Beside(), BUSY, eight, rent("two", "4", gpus=2, least_gpus=2))
    assert _where(found) == "two"
    (why,) = [r for r in found.rejected if r.reason is Reason.TOO_MANY_GPUS]
    assert why.message == "at least 8 GPUs are taken, the job asks for 2"
    alone = chosen(burst(2), Beside(), eight)
    assert (alone.action, alone.reason) == (Action.WAIT, Reason.NO_CAPACITY_NOW)


def test_a_divisible_one_may_have_a_least_number_too() -> None:
    shared = rent("shared", "8", gpus=8, is_divisible=True, least_gpus=4)
    assert _where(chosen(burst(4), Beside(), BUSY, shared)) == "shared"
    assert chosen(burst(3), Beside(), shared).action is Action.WAIT


def _where(found: Decision) -> str:
    assert found.offer is not None
    return found.offer.offer_id
