"""What the benchmark of offers counts: every market, lists repeated, the best round judged."""

import json

import pytest
from benchmarks import offers
from benchmarks.offers import LISTINGS, Cost, Listing, Repeated, table, total

from overspill.testing.markets import ready


def test_every_market_with_an_adapter_has_its_list() -> None:
    assert set(LISTINGS) == set(ready())


@pytest.mark.parametrize(
    ("listing", "body", "expected"),
    [
        (Listing("", "", "id"), [{"id": "a"}], [{"id": "a"}, {"id": "a-1"}]),
        (Listing("", "of", "id"), {"of": [{"id": 4}]}, {"of": [{"id": 4}, {"id": 10_000_004}]}),
        (Listing("", "of"), {"of": [{"id": 4}], "n": 1}, {"of": [{"id": 4}] * 2, "n": 1}),
        (Listing("", "data"), {"data": {"all": [{}]}}, {"data": {"all": [{}, {}]}}),
    ],
    ids=["a bare list", "a named list", "entries nobody tells apart", "a list in an envelope"],
)
def test_a_list_is_told_several_times(listing: Listing, body: object, expected: object) -> None:
    assert json.loads(offers._many(json.dumps(body).encode(), listing, 2)) == expected


def test_an_answer_is_asked_for_once_and_then_told() -> None:
    answers = Repeated("http://nobody.invalid", Listing("/x", ""))
    answers._told[("GET", "/x")] = (200, b"[]")
    assert answers.answer("GET", "/x", {}, b"") == (200, b"[]")
    answers.again(3)
    assert (answers.times, answers._told) == (3, {})


@pytest.mark.parametrize(
    ("best_ms", "word"), [(150.0, "holds"), (151.0, "MISSED")], ids=["in time", "too slow"]
)
def test_the_best_rounds_together_are_judged(best_ms: float, word: str) -> None:
    costs = [Cost("one", 5000, 150.0, 400.0, 900.0), Cost("two", 5000, best_ms, 400.0, 900.0)]
    assert total(costs).offers == 10_000
    assert table(costs).endswith(f"goal, 10,000 offers in 300 ms: {word}")
