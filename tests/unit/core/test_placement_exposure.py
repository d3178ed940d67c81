"""`limits.maxExposureUSD`: what all open leases of an account may still cost, kept in one plan."""

from dataclasses import replace
from decimal import Decimal

from overspill.core.decision import Action, Decision
from overspill.core.placement import plan
from overspill.core.reasons import Reason
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import LeaseState
from overspill.testing.placing import (
    ACCOUNTS,
    AKASH,
    HOUR,
    NOW,
    make_job,
    make_lease,
    rent,
    usd,
    world,
)

HERE = rent("a1", "2")


def limited(exposure: str) -> dict[str, ProviderAccount]:
    return {**ACCOUNTS, "akash": replace(AKASH, max_exposure_usd=usd(exposure))}


def decided(exposure: str, jobs: int = 1, running: Decimal | None = None) -> list[Decision]:
    """Jobs of two hours at 2 USD, with 100 USD each; `running`: a lease that may cost so much."""
    wanting = [make_job(name=f"job{i}", work=2 * HOUR) for i in range(jobs)]
    busy = make_job(name="busy")
    offers = [rent(f"a{i}", "2") for i in range(jobs)]
    leases = ()
    if running is not None:
        held = make_lease(busy, rent("held", "2"), LeaseState.ACTIVE)
        leases = (replace(held, max_total_usd=running),)
    return plan(world(wanting, offers, accounts=limited(exposure), leases=leases), NOW)


def test_a_lease_gets_a_ceiling_that_fits_in() -> None:
    (found,) = decided("30")
    assert (found.action, found.max_total_usd) == (Action.PLACE, usd(30))


def test_what_open_leases_may_still_cost_is_taken() -> None:
    (found,) = decided("30", running=Decimal(22))
    assert found.max_total_usd == usd(10), "of 22 dollars 2 are spent already"


def test_where_too_little_is_left_the_job_waits() -> None:
    (found,) = decided("30", running=Decimal(31))
    assert found.action is Action.WAIT
    (loser,) = [r for r in found.rejected if r.provider == "akash"]
    assert loser.reason is Reason.PROVIDER_LIMIT
    assert "may still cost 29.00 USD, limits.maxExposureUSD is 30.00" in loser.message


def test_leases_of_one_plan_count_together() -> None:
    one, two, three = decided("105", jobs=3)
    assert [d.max_total_usd for d in (one, two)] == [usd(100), usd(5)]
    assert three.action is Action.WAIT


def test_without_the_limit_nothing_changes() -> None:
    (found,) = plan(world([make_job(work=2 * HOUR)], [HERE]), NOW)
    assert found.max_total_usd == usd(100)
