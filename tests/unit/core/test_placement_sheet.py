"""Places priced together get the very floats that they get one by one."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.core.filters import Market, needs_of
from overspill.core.placement_candidate import Stand, Work, stand_of
from overspill.core.placement_capacity import Rented
from overspill.core.placement_sheet import Sheet
from overspill.core.pricing import terms_of
from overspill.core.snapshot import JobFacts
from overspill.testing.placing import AKASH, HOUR, MINUTE, STANDARD, make_checkpoint, make_job, rent

prices = st.integers(1, 100_000).map(lambda n: Decimal(n) / 1000)
NEEDS = needs_of(make_job(), STANDARD, JobFacts())


@st.composite
def stands(draw: st.DrawFn) -> Stand:
    offer = rent(
        "a1",
        str(draw(prices)),
        mtbf=draw(st.sampled_from((None, HOUR / 60, HOUR, 20 * HOUR, 5000 * HOUR))),
        min_billable=draw(st.sampled_from((0 * HOUR, HOUR, 30 * HOUR))),
        egress_usd_per_gib=draw(st.sampled_from((Decimal(0), Decimal("0.12")))),
        cold_start=draw(st.integers(0, 40)) * MINUTE,
    )
    return stand_of(Rented(offer, 1), Market(AKASH), NEEDS)


@st.composite
def works(draw: st.DrawFn) -> Work:
    job = make_job(
        work=draw(st.one_of(st.none(), st.integers(0, 400 * 60).map(lambda n: n * MINUTE))),
        checkpoint=draw(st.sampled_from((None, make_checkpoint(restore=7 * MINUTE)))),
        durable_checkpoint_uri=draw(st.sampled_from(("", "s3://team/1"))),
        data_gib=Decimal(draw(st.integers(0, 500))),
    )
    return Work.of(terms_of(job, restarts=False))


@settings(deadline=None, max_examples=200)
@given(st.lists(stands(), min_size=1, max_size=4), st.lists(works(), min_size=1, max_size=4))
def test_a_sheet_says_what_its_stands_say(listed: list[Stand], jobs: list[Work]) -> None:
    sheet = Sheet(listed)
    for work in jobs:
        assert sheet.about(work) == [stand.about(work) for stand in listed]
        assert sheet.needed(work) == [stand.needed(work, None) for stand in listed]
