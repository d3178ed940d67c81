"""S6's simulator: seconds without enough copies, dollars, and SpotHedge's rules, by hand."""

from __future__ import annotations

import pytest
from benchmarks.placement.serving_input import ON_DEMAND_USD, TICK_S, Window, Zone
from benchmarks.placement.serving_ours import Planned
from benchmarks.placement.serving_sim import (
    FIRM,
    START_S,
    OnDemand,
    SpotHedge,
    State,
    run,
)


def zone(name: str, pattern: str, usd: float = 1.0) -> Zone:
    return Zone(name, tuple(c == "#" for c in pattern), (usd,) * len(pattern))


def test_on_demand_is_always_there_and_paid() -> None:
    found = run(Window("app", 0, (4, 4, 4)), [zone("a", "###")], OnDemand())
    assert (found.missed_s, found.losses) == (0, 0)
    assert found.usd == pytest.approx(4 * ON_DEMAND_USD * 3 * TICK_S / 3600)


def test_a_copy_that_demand_adds_may_take_its_start() -> None:
    found = run(Window("app", 0, (4, 6, 6)), [], OnDemand())
    assert found.missed_s == 0


def test_a_lost_zone_is_short_until_its_copies_have_started_elsewhere() -> None:
    zones = [zone("a", "##.##"), zone("b", "#####")]
    found = run(Window("app", 0, (4,) * 5), zones, SpotHedge(0.0))
    # Five copies, three in a: two are left of four needed until a start has passed.
    assert found.losses == 3
    assert found.missed_s == START_S


def test_spothedge_covers_with_on_demand_what_is_not_ready() -> None:
    state = State([zone("a", "##"), zone("b", "##")], 0, 4)
    hedge = SpotHedge(0.0)
    first = hedge.wanted(state)
    assert sum(first.values()) - first[FIRM] == 5
    assert first[FIRM] == 4
    state.copies = {"a": [0, 0, 0], "b": [0, 0]}
    assert hedge.wanted(state)[FIRM] == 0


def test_spothedge_avoids_a_zone_that_was_lost_until_it_serves_again() -> None:
    zones = [zone("a", ".#"), zone("b", "##"), zone("c", "##")]
    hedge, state = SpotHedge(0.0), State(zones, 0, 4)
    assert hedge.wanted(state).get("a", 0) == 0
    state.tick = 1
    assert hedge.wanted(state)["a"] == 0


def test_ours_keeps_its_promise_where_a_zone_blinks() -> None:
    blinking = "#" * 300 + ("#" * 30 + "." * 5) * 12
    zones = [zone(n, "#" * len(blinking), 1.1) for n in "bc"] + [zone("a", blinking)]
    window = Window("app", 300, (6,) * 400)
    strict = run(window, zones, Planned(0.999))
    plain = run(window, zones, Planned(None))
    assert strict.missed_s <= 0.001 * strict.elapsed_s
    assert plain.usd < strict.usd < 6 * ON_DEMAND_USD * 400 * TICK_S / 3600


def test_who_moves_is_up_where_it_was_until_the_new_copy_serves() -> None:
    zones, ours = [zone("a", "#" * 200)], Planned(0.99)
    ours.fleet.where = dict.fromkeys(range(4), FIRM)
    state = State(zones, 120, 4)
    first = ours.wanted(state)
    assert (first["a"], first[FIRM]) == (1, 4), "one at a time, the old one stays"
    state.tick += 1
    second = ours.wanted(state)
    assert (second["a"], second[FIRM]) == (2, 3)


def test_a_zone_that_is_down_takes_its_copies_with_it() -> None:
    zones, ours = [zone("a", "##."), zone("b", "###")], Planned(None)
    ours.fleet.where = {0: "a", 1: "b"}
    assert ours.wanted(State(zones, 2, 2)) == {"b": 2}
