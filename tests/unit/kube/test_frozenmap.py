"""The mapping under the store's views: successors differ, what was handed out does not."""

from hypothesis import given
from hypothesis import strategies as st

from overspill.kube.frozenmap import BUCKETS, FrozenMap

KEYS = st.text(max_size=3)
STEPS = st.lists(st.tuples(KEYS, st.none() | st.integers()), max_size=40)


@given(STEPS)
def test_it_says_what_a_dict_would_say_after_the_same_steps(
    steps: list[tuple[str, int | None]],
) -> None:
    expected: dict[str, int] = {}
    found: FrozenMap[int] = FrozenMap()
    for key, value in steps:
        if value is None:
            expected.pop(key, None)
            found = found.lacking(key)
        else:
            expected[key] = value
            found = found.having(key, value)
        assert found == expected
        assert len(found) == len(expected)


def test_a_map_stays_as_it_was_when_a_successor_is_made() -> None:
    first: FrozenMap[int] = FrozenMap[int]().having("a", 1)
    first.having("a", 2).having("b", 3).lacking("a")
    assert dict(first) == {"a": 1}


def test_keys_spread_over_the_buckets() -> None:
    found: FrozenMap[int] = FrozenMap()
    for number in range(BUCKETS * 8):
        found = found.having(f"uid-{number}", number)
    assert max(len(bucket) for bucket in found._buckets) < 32
