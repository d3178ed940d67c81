"""What is kept of a place's past: changes only, whole weeks, and nothing twice."""

from datetime import timedelta
from decimal import Decimal

from overspill.core.policy_past import KEPT, SPARE, STEP, Gang, Past, place_of, rooms_of
from overspill.core.vocabulary import CapacityType
from overspill.testing.placing import HOUR, NOW, node, rent, usd

ONE = Gang(1, 1)
HOME = frozenset({"home"})
SPOT = rent("s1", "2", capacity_type=CapacityType.SPOT)
PLACE = place_of(SPOT, is_home=False)


def looked(*shown: bool, past: Past | None = None, price: str = "2") -> Past:
    """One look a step; True: the offer is there."""
    past = Past() if past is None else past
    begin = NOW if past.since is None else past.moment(past.until) + STEP
    for index, is_there in enumerate(shown):
        offers = [rent("s1", price, capacity_type=CapacityType.SPOT)] if is_there else []
        past = past.looked(begin + index * STEP, rooms_of(offers, HOME))
    return past


def test_only_changes_are_kept() -> None:
    past = looked(True, True, True, False, False, True)
    assert [c.room for c in past.tracks[PLACE].changes] == [((1, 1),), (), ((1, 1),)]


def test_a_step_is_looked_at_once() -> None:
    past = looked(True)
    assert past.looked(NOW + STEP / 2, {}) is past


def test_looks_are_what_was_seen_at_every_step() -> None:
    past = looked(False, True, True, False, True)
    first = past.at(NOW)
    ups, price = past.tracks[PLACE].looks(first, first + 4, ONE)
    assert ups == (False, True, True, False, True)
    assert price == 2.0


def test_a_window_begins_in_the_middle_of_a_run() -> None:
    past = looked(True, True, True, False)
    first = past.at(NOW)
    assert past.tracks[PLACE].looks(first + 1, first + 3, ONE)[0] == (True, True, False)


def test_the_state_lasts_since_it_last_turned() -> None:
    past = looked(True, False, True, True)
    assert past.tracks[PLACE].since(past.until, ONE) == past.at(NOW) + 2


def test_a_change_of_price_alone_does_not_end_a_run() -> None:
    past = looked(True, True, price="3", past=looked(True, True))
    assert past.tracks[PLACE].since(past.until, ONE) == past.at(NOW)


def test_home_holds_a_gang_only_with_enough_nodes() -> None:
    offers = [node("n1", 8), node("n2", 4), node("n3", 4)]
    past = Past().looked(NOW, rooms_of(offers, HOME))
    (track,) = past.tracks.values()
    seen = track.changes[0]
    assert seen.room == ((8, 1), (4, 2))
    assert track.holds(seen, Gang(4, 3))
    assert not track.holds(seen, Gang(8, 2))


def test_a_whole_offer_is_paid_whole() -> None:
    past = Past().looked(NOW, rooms_of([rent("a1", "16", gpus=8)], HOME))
    (track,) = past.tracks.values()
    assert track.price(track.changes[0], ONE) == 16.0


def test_what_is_marked_unavailable_has_a_price_but_no_room() -> None:
    rooms = rooms_of([rent("a1", "2", unavailable_reason="sold")], HOME)
    assert list(rooms.values()) == [((), Decimal(2))]


def test_old_changes_go_and_the_state_at_the_window_stays() -> None:
    past = looked(*[True, False] * 3)
    past = past.looked(NOW + KEPT + SPARE + HOUR, rooms_of([SPOT], HOME))
    assert [c.room for c in past.tracks[PLACE].changes] == [(), ((1, 1),)]


def test_a_place_that_is_gone_for_long_is_forgotten() -> None:
    past = looked(True, False)
    assert PLACE in past.tracks
    assert past.looked(NOW + 2 * KEPT, {}).tracks == {}


def test_the_same_past_has_the_same_marks_and_another_one_others() -> None:
    one, same, other = looked(True, False), looked(True, False), looked(True, True)
    assert one.tracks[PLACE].marks == same.tracks[PLACE].marks
    assert one.tracks[PLACE].marks != other.tracks[PLACE].marks


def test_regions_and_sizes_are_places_of_their_own() -> None:
    offers = [rent("a1"), rent("a2", region="eu"), rent("a3", gpus=8), rent("a4")]
    assert len(rooms_of(offers, HOME)) == 3


def test_a_clock_that_jumps_back_changes_nothing() -> None:
    past = looked(True, True)
    assert past.looked(NOW - timedelta(days=1), {}) is past


def test_prices_are_of_the_cheapest_that_can_be_had() -> None:
    offers = [rent("a1", "3"), rent("a2", "1", unavailable_reason="sold"), rent("a3", "2")]
    assert [price for _, price in rooms_of(offers, HOME).values()] == [usd(2)]
