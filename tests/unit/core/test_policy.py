"""The decision: what is cheap, when to wait, when to move, and the net's last word."""

from dataclasses import replace

from overspill.core.policy import Option, Question, choose
from overspill.core.policy_knowledge import Setting, Tuning, Watched, know, refresh, runs_of

STEP = 0.5
SETTING = Setting(step=STEP, cold=0.25, reliable_price=10.0, work=8.0, slack=8.0)
STEADY = [True] * 300
FLAPPING = ([True] * 8 + [False] * 4) * 25
AWAY = [False] * 300

CLOUD = Option("cloud", 10.0, 0.0, is_reliable=True, is_up=True, age=0.0)
OWN = Option("own", 0.5, 0.0, is_reliable=False, is_up=True, age=3.0)
SELLER = Option("seller", 2.0, 0.0, is_reliable=False, is_up=True, age=30.0)


def _known(**pasts: tuple[list[bool], float]):  # type: ignore[no-untyped-def]  # a test's helper
    watched = {name: Watched(ups, price) for name, (ups, price) in pasts.items()}
    return know(watched, SETTING, Tuning())


TIERS = _known(own=(FLAPPING, 0.5), seller=(STEADY, 2.0))


def _question(*options: Option, work: float = 8.0, time: float = 16.0, held: str | None = None):  # type: ignore[no-untyped-def]  # a test's helper
    return Question(options, work, time, until_next=STEP, held=held)


def test_the_steady_seller_is_what_an_hour_costs_and_own_is_cheap() -> None:
    assert TIERS.cheap == {"own"}
    assert 2.0 <= TIERS.dependable < 2.5


def test_nothing_dependable_leaves_the_reliable_price() -> None:
    known = _known(own=(AWAY, 0.5))
    assert known.dependable == SETTING.reliable_price


def test_a_cheap_place_that_is_up_is_used() -> None:
    assert choose(_question(CLOUD, OWN, SELLER), TIERS).place == "own"


def test_with_slack_it_waits_for_a_cheap_place() -> None:
    away = replace(OWN, is_up=False, age=0.5)
    answer = choose(_question(CLOUD, away, SELLER, time=16.0), TIERS)
    assert answer.place is None
    assert answer.costs is not None
    assert answer.costs.idle < answer.costs.reliable


def test_without_slack_to_wait_it_takes_the_seller() -> None:
    away = replace(OWN, is_up=False, age=0.5)
    assert choose(_question(CLOUD, away, SELLER, time=8.6), TIERS).place == "seller"


def test_a_seller_that_is_safe_goes_before_the_reliable_place() -> None:
    answer = choose(_question(CLOUD, SELLER, time=8.55), TIERS)
    assert answer.place == "seller"


def test_when_luck_would_decide_the_reliable_place_is_taken() -> None:
    answer = choose(_question(CLOUD, OWN, SELLER, time=8.3), TIERS)
    assert answer.place == "cloud"
    assert answer.why == "too little slack for luck"


def test_what_runs_is_kept_where_moving_would_eat_the_last_slack() -> None:
    answer = choose(_question(CLOUD, OWN, SELLER, time=8.3, held="seller"), TIERS)
    assert answer.place == "seller"


def test_a_marginally_cheaper_place_is_not_moved_to() -> None:
    known = _known(seller=(STEADY, 2.0), other=(STEADY, 1.98))
    other = replace(SELLER, name="other", price=1.98)
    assert choose(_question(CLOUD, SELLER, other, held="seller"), known).place == "seller"
    assert choose(_question(CLOUD, SELLER, other), known).place == "other"


def test_a_clearly_cheaper_place_is_moved_to() -> None:
    known = _known(seller=(STEADY, 2.0), other=(STEADY, 1.6))
    other = replace(SELLER, name="other", price=1.6)
    assert choose(_question(CLOUD, SELLER, other, held="seller"), known).place == "other"


def test_a_place_that_still_starts_is_not_left() -> None:
    question = replace(_question(CLOUD, OWN, SELLER, held="seller"), start_left=0.2)
    assert choose(question, TIERS).place == "seller"


def test_the_same_question_gets_the_same_answer() -> None:
    question = _question(CLOUD, OWN, SELLER)
    assert choose(question, TIERS) == choose(question, TIERS)


def test_runs_of_a_past_end_but_the_last() -> None:
    up, down = runs_of([True, True, False, True], 0.5)
    assert [(r.hours, r.ended) for r in up] == [(1.0, True), (0.5, False)]
    assert [(r.hours, r.ended) for r in down] == [(0.5, True)]


def test_a_place_that_began_to_blink_is_no_longer_moved_to() -> None:
    blinking = STEADY[:-24] + [True, False, False, False] * 6
    seller = replace(SELLER, age=20.0)
    other = replace(SELLER, name="other", price=1.6, age=0.0)
    before = _known(seller=(STEADY, 2.0), other=(STEADY, 1.6))
    watched = {"seller": Watched(STEADY, 2.0), "other": Watched(blinking, 1.6)}
    question = _question(CLOUD, seller, other, held="seller")
    assert choose(question, before).place == "other"
    assert choose(question, refresh(before, watched)).place == "seller"


def test_refreshed_knowledge_keeps_the_table() -> None:
    fresh = refresh(TIERS, {"own": Watched(AWAY, 0.5), "seller": Watched(STEADY, 2.0)})
    assert fresh.table is TIERS.table
    assert fresh.cheap == TIERS.cheap
