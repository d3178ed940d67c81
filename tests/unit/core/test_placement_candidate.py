"""Estimates rank, exact dollars decide: both must agree wherever it matters."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.core.filters import Market, needs_of
from overspill.core.placement_candidate import Candidate, Kind, Work, stand_of
from overspill.core.placement_capacity import Rented
from overspill.core.pricing import terms_of
from overspill.core.snapshot import JobFacts
from overspill.testing.placing import AKASH, HOUR, MINUTE, STANDARD, make_checkpoint, make_job, rent

prices = st.integers(1, 100_000).map(lambda n: Decimal(n) / 1000)
hours = st.sampled_from((0, 1, 3, 50, 400))


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    offer = rent(
        "a1",
        str(draw(prices)),
        mtbf=draw(st.sampled_from((None, HOUR, 20 * HOUR, 5000 * HOUR))),
        min_billable=draw(st.sampled_from((0 * HOUR, HOUR, 30 * HOUR))),
        egress_usd_per_gib=draw(st.sampled_from((Decimal(0), Decimal("0.12")))),
        cold_start=draw(st.integers(0, 40)) * MINUTE,
    )
    job = make_job(
        work=draw(st.one_of(st.none(), hours.map(lambda n: n * HOUR))),
        checkpoint=draw(st.sampled_from((None, make_checkpoint()))),
        durable_checkpoint_uri=draw(st.sampled_from(("", "s3://team/1"))),
        data_gib=Decimal(draw(st.integers(0, 500))),
    )
    needs, terms = needs_of(job, STANDARD, JobFacts()), terms_of(job, restarts=False)
    stand = stand_of(Rented(offer, 1), Market(AKASH), needs)
    return Kind(needs, terms, Work.of(terms)).candidate(stand)


@settings(deadline=None, max_examples=200)
@given(candidates())
def test_the_estimate_is_the_exact_price_but_for_its_last_digits(candidate: Candidate) -> None:
    exact = float(candidate.quote.useful)
    # Every line of the exact one is rounded to a millionth, and 0.01 h may divide their sum.
    assert abs(candidate.useful - exact) <= 1e-3 + 1e-9 * exact


@settings(deadline=None, max_examples=200)
@given(candidates(), st.sampled_from((0.5, 0.999, 1.0, 1.0000001, 1.1, 2.0)))
def test_whether_it_exceeds_a_limit_is_always_exact(candidate: Candidate, share: float) -> None:
    needed, _ = candidate.bought
    limit = (needed * Decimal(str(share))).quantize(Decimal("0.000001"))
    assert candidate.exceeds(limit) == (needed > limit)
    assert not candidate.exceeds(None)
