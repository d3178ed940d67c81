"""What a lease cost in the end, where its market tells no final bill."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.bill import Meter, final_usd
from overspill.core.lease import Lease
from overspill.core.vocabulary import LeaseState
from overspill.testing.placing import NOW, make_job, make_lease, rent

HOUR = timedelta(hours=1)


def lease(**changes: Any) -> Lease:
    """Two USD per hour, from NOW on."""
    known = {"active_since": NOW, "price_usd_per_hour": Decimal(2), **changes}
    return make_lease(make_job(), rent("a1", "2"), LeaseState.CLOSING, **known)


def sold_for(least: timedelta, **changes: Any) -> Lease:
    found = lease(**changes)
    return replace(found, offer=replace(found.offer, min_billable=least))


@pytest.mark.parametrize(
    ("of", "end", "meter", "usd"),
    [
        pytest.param(lease(), NOW + HOUR, None, "2", id="by our books without a meter"),
        pytest.param(
            lease(), NOW + 3 * HOUR, Meter(Decimal("1.9"), NOW + HOUR), "5.9",
            id="the meter's figure and the time since",
        ),
        pytest.param(
            lease(), NOW + HOUR, Meter(Decimal("2.1"), NOW + 2 * HOUR), "2.1",
            id="a meter read after the end stands",
        ),
        pytest.param(
            lease(price_usd_per_hour=None), NOW + HOUR, None, "2", id="the offer's price"
        ),
        pytest.param(lease(active_since=None), NOW + HOUR, None, "0", id="what was never made"),
        pytest.param(sold_for(HOUR), NOW + HOUR / 4, None, "2", id="a least time is paid in full"),
        pytest.param(sold_for(HOUR), NOW + 2 * HOUR, None, "4", id="a least time that is over"),
        pytest.param(
            sold_for(HOUR), NOW + HOUR / 2, Meter(Decimal(2), NOW + HOUR / 4), "2",
            id="a meter that is ahead of the clock counts nothing twice",
        ),
        pytest.param(
            sold_for(HOUR), NOW + 3 * HOUR, Meter(Decimal(2), NOW + HOUR / 4), "6",
            id="an old meter of a least time gives way to our books",
        ),
        pytest.param(
            sold_for(HOUR, is_home=True), NOW + HOUR / 4, None, "0.5", id="home sells no least time"
        ),
    ],
)  # fmt: skip
def test_the_final_cost(of: Lease, end: datetime, meter: Meter | None, usd: str) -> None:
    assert final_usd(of, end, meter) == Decimal(usd)
