"""The kept past: the same after a restart, never too large, and refused when it is not sound."""

import json
import random
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.policy_keep import MOST_BYTES, UnreadableError, packed, unpacked
from overspill.core.policy_learn import seen_enough
from overspill.core.policy_past import STEP, Past, Place, Seen, place_of, rooms_of, track_of
from overspill.core.vocabulary import CapacityType
from overspill.testing.placing import HOUR, NOW, node, rent, usd

DAY = timedelta(days=1)
SPOT = rent("s1", "1.23", capacity_type=CapacityType.SPOT)


def looked(steps: int) -> Past:
    """A spot that comes and goes, beside home, looked at until `NOW`."""
    past = Past()
    for index in range(steps):
        offers = [node("n1", index % 8), *([SPOT] if index % 7 else [])]
        past = past.looked(NOW - (steps - 1 - index) * STEP, rooms_of(offers, frozenset({"home"})))
    return past


def document(**changes: Any) -> bytes:
    """What would be kept, with some of it changed."""
    found = json.loads(zlib.decompress(packed(looked(50))))
    return zlib.compress(json.dumps(found | changes).encode())


def test_what_is_read_is_what_was_kept() -> None:
    past = looked(400)
    again = unpacked(packed(past), STEP, NOW)
    assert again == past
    track = again.tracks[place_of(SPOT, is_home=False)]
    assert track.marks == past.tracks[track.place].marks, "memos go on where they were"
    assert seen_enough(again, again.until)


def test_a_past_of_nothing_is_a_past() -> None:
    assert unpacked(packed(Past()), STEP, Past().moment(0)) == Past()


def test_looks_go_on_after_a_restart() -> None:
    again = unpacked(packed(looked(50)), STEP, NOW + 3 * STEP)
    later = again.looked(NOW + 3 * STEP, rooms_of([SPOT], frozenset({"home"})))
    assert later.since == looked(50).since
    assert later.until == again.until + 3


def test_a_week_of_very_many_restless_places_stays_small_and_keeps_the_newest_days() -> None:
    dice = random.Random(6)  # noqa: S311  (seeded on purpose)
    last = Past().at(NOW)
    tracks = {}
    for index in range(256):
        place = Place("market", f"region-{index}", "h100", "Spot")
        changes = [
            Seen(last - 1100 + step, ((dice.randrange(9), dice.randrange(99)),),
                 usd(str(dice.randrange(10**6)))) for step in range(1100)
        ]  # fmt: skip
        tracks[place] = track_of(place, changes)
    past = Past(since=last - 1100, until=last - 1, tracks=tracks)
    content = packed(past)
    assert len(content) <= MOST_BYTES
    again = unpacked(content, STEP, NOW)
    for place, track in again.tracks.items():
        assert past.tracks[place].changes[-len(track.changes) :] == track.changes
    assert again.since is not None
    assert again.since > last - 1100
    assert again.until == past.until


RUBBISH = {
    "empty": b"",
    "no pack": b"{}",
    "torn": packed(looked(50))[:-9],
    "no JSON": zlib.compress(b"past"),
    "no object": zlib.compress(b"[1]"),
    "a bomb": zlib.compress(b" " * (40 * 1024 * 1024)),
    "another version": document(version=2),
    "no version": zlib.compress(b"{}"),
    "another step": document(step=60),
    "a step that is none": document(step=0),
    "a step of words": document(step="ten"),
    "begins after its end": document(since=10**9),
    "no places": document(places=None),
    "a place without a name": document(places=[[1, "", "h100", "Spot", 0, False, []]]),
    "a place never seen": document(places=[["m", "", "h100", "Spot", 0, False, []]]),
    "looks that go back": document(
        places=[["m", "", "h100", "Spot", 0, False, [[9, [], "1"], [0, [], "2"]]]]
    ),
    "a price that is none": document(
        places=[["m", "", "h100", "Spot", 0, False, [[9, [], "NaN"]]]]
    ),
    "too many places": document(
        places=[[f"m{i}", "", "h", "Spot", 0, False, [[9, [], "1"]]] for i in range(257)]
    ),
}


@pytest.mark.parametrize("what", RUBBISH, ids=str)
def test_what_is_not_sound_is_refused_with_a_sentence(what: str) -> None:
    with pytest.raises(UnreadableError, match="it"):
        unpacked(RUBBISH[what], STEP, NOW)


@pytest.mark.parametrize("later", [-HOUR, DAY + HOUR], ids=["from the future", "too old"])
def test_a_past_that_does_not_reach_until_now_is_not_used(later: timedelta) -> None:
    with pytest.raises(UnreadableError):
        unpacked(packed(looked(50)), STEP, NOW + later)


def test_lives_are_left_to_the_ledger() -> None:
    past = replace(looked(10), lives={})
    assert b"lives" not in zlib.decompress(packed(past))
