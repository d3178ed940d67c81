"""Of a long queue only those are asked whose answer could change."""

from __future__ import annotations

from overspill.simulate.attempts import Running, running
from overspill.simulate.history import History
from overspill.simulate.waiting import AT_MARKETS, Waiting

from .conftest import job

PRIORITIES = {"standard": 0, "guaranteed": 100}
NOTHING = History([], [], [])


def queue(*runs: Running) -> Waiting:
    waiting = Waiting(PRIORITIES)
    for run in runs:
        waiting.add(run)
    return waiting


def of(name: str, submit_s: float = 0.0, **changes: object) -> Running:
    return running(job(name, submit_s, **changes), NOTHING, {})


def names(asked: list[Running]) -> list[str]:
    return sorted(run.past.name for run in asked)


def test_who_is_new_is_asked_once() -> None:
    waiting = queue(of("a"))
    assert names(waiting.to_ask(0.0, 0, markets_changed=False)) == ["a"]
    assert waiting.to_ask(60.0, 0, markets_changed=False) == []


def test_whose_time_has_come_is_asked() -> None:
    run = of("a")
    waiting = queue(run)
    waiting.to_ask(0.0, 0, markets_changed=False)
    waiting.wake(run, 300.0)
    assert waiting.next_wake == 300.0
    assert waiting.to_ask(299.0, 0, markets_changed=False) == []
    assert names(waiting.to_ask(300.0, 0, markets_changed=False)) == ["a"]
    assert waiting.next_wake is None


def test_as_many_are_asked_as_the_room_could_hold_and_one_more() -> None:
    waiting = queue(*(of(f"j{i:02}", float(i), gpus=4) for i in range(30)))
    waiting.to_ask(0.0, 0, markets_changed=False)
    assert names(waiting.to_ask(60.0, 8, markets_changed=False)) == ["j00", "j01", "j02"]
    assert waiting.to_ask(60.0, 3, markets_changed=False) == []


def test_the_urgent_and_the_oldest_are_both_among_them() -> None:
    urgent = of("urgent", 500.0, deadline_s=6000.0)
    waiting = queue(urgent, *(of(f"j{i:02}", float(i)) for i in range(30)))
    waiting.to_ask(0.0, 0, markets_changed=False)
    asked = names(waiting.to_ask(60.0, 1, markets_changed=False))
    assert "urgent" in asked
    assert "j00" in asked


def test_who_has_a_place_is_not_asked() -> None:
    run = of("a")
    waiting = queue(run)
    waiting.wake(run, 10.0)
    waiting.remove(run)
    assert waiting.to_ask(60.0, 8, markets_changed=True) == []
    assert waiting.next_wake is None
    assert len(waiting) == 0


def test_a_change_at_a_market_asks_some_of_every_size() -> None:
    many = [of(f"j{i:02}", float(i)) for i in range(3 * AT_MARKETS)]
    waiting = queue(*many)
    waiting.to_ask(0.0, 0, markets_changed=False)
    assert len(waiting.to_ask(60.0, 0, markets_changed=True)) == AT_MARKETS
