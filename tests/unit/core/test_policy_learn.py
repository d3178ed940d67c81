"""Places that are lost together: counted look by look, and not believed after one coincidence."""

from collections.abc import Sequence

import pytest

from overspill.core.policy_learn import TOGETHER, Learner, Studied
from overspill.core.policy_past import STEP, Gang, Past, rooms_of
from overspill.core.vocabulary import CapacityType
from overspill.testing.placing import NOW, rent

ONE = Gang(1, 1)
HOME = frozenset({"home"})
EAST, WEST = (
    rent(name, "2", provider=name, capacity_type=CapacityType.SPOT) for name in ("east", "west")
)
UP, LOST = "11111", "11100"


def share(east: str, west: str) -> float:
    """Of so many looks (1: it was there) at both places."""
    found = Past()
    for index, (first, second) in enumerate(zip(east, west, strict=True)):
        offers = [o for o, there in ((EAST, first), (WEST, second)) if there == "1"]
        found = found.looked(NOW + index * STEP, rooms_of(offers, HOME))
    one, other = _studied(found)
    return Learner(found).lost_together(one, other, ONE)


def _studied(found: Past) -> Sequence[Studied]:
    tracks = {place.provider: track for place, track in found.tracks.items()}
    return [Studied(tracks[name]) for name in ("east", "west")]


def test_where_nothing_was_lost_it_is_what_is_usual() -> None:
    assert share(UP * 20, UP * 20) == pytest.approx(TOGETHER)


@pytest.mark.parametrize("times", [1, 4, 12])
def test_the_more_often_it_was_seen_the_more_it_is_believed(times: int) -> None:
    looks = LOST * times + UP * 20
    assert share(looks, looks) == pytest.approx((times + 3 * TOGETHER) / (times + 3))


def test_losses_at_other_looks_speak_against_it() -> None:
    east, west = (LOST + UP) * 6 + UP * 8, (UP + LOST) * 6 + UP * 8
    assert share(east, west) == pytest.approx(3 * TOGETHER / 9)


def test_the_place_that_is_lost_less_often_counts() -> None:
    east, west = LOST * 8 + UP * 12, LOST * 2 + UP * 18
    assert share(east, west) == pytest.approx((2 + 3 * TOGETHER) / 5)
    assert share(west, east) == share(east, west)
