"""The shelf of decisions: the latest of each job, bounded, and only what was news."""

from overspill.core.decision import Decision
from overspill.core.placement import plan
from overspill.core.placement_record import parsed
from overspill.core.placement_whatif import decided
from overspill.core.snapshot import Snapshot
from overspill.engine import record
from overspill.engine.record import BATCHES, Shelf
from overspill.testing.placing import HOUR, NOW, make_job, node, world

SEEN = world([make_job("a"), make_job("b", 8)], [node("n1", 4), node("n2", 8)])


def decisions(seen: Snapshot) -> tuple[Decision, ...]:
    return plan(seen, NOW)


def test_a_kept_decision_can_be_made_again() -> None:
    shelf = Shelf()
    shelf.keep(NOW, SEEN, decisions(SEEN))
    found = shelf.find("team", "b")
    assert found is not None
    assert decided(parsed(found)) == decisions(SEEN)[1]
    assert found["decision"]["provider"] == "home"


def test_the_latest_one_is_found() -> None:
    shelf = Shelf()
    shelf.keep(NOW, SEEN, decisions(SEEN))
    shelf.keep(NOW + HOUR, SEEN, decisions(SEEN)[:1])
    for name, moment in (("a", NOW + HOUR), ("b", NOW)):
        found = shelf.find("team", name)
        assert found is not None
        assert parsed(found).now == moment


def test_without_news_nothing_is_kept() -> None:
    shelf = Shelf()
    shelf.keep(NOW, SEEN, ())
    assert not shelf.batches
    assert shelf.find("team", "a") is None


def test_it_is_bounded_in_batches_and_in_values(monkeypatch) -> None:  # type: ignore[no-untyped-def]  # a fixture
    shelf = Shelf()
    for _ in range(2 * BATCHES):
        shelf.keep(NOW, SEEN, decisions(SEEN))
    assert len(shelf.batches) == BATCHES
    monkeypatch.setattr(record, "MOST_VALUES", 9)
    shelf.keep(NOW, SEEN, decisions(SEEN))
    assert len(shelf.batches) == 2
    monkeypatch.setattr(record, "MOST_VALUES", 1)
    shelf.keep(NOW, SEEN, decisions(SEEN))
    assert len(shelf.batches) == 1, "the latest is kept whatever it weighs"
