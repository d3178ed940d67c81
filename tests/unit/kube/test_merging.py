"""A status patch says the difference, with explicit nulls, and nothing when nothing changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.kube.mapping.merging import difference, says_same
from overspill.testing.fakeapi_parts import merged


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
        ({"p": {"seq": 1, "x": 1}}, {"p": {"seq": 2}}, {"p": {"seq": 2, "x": None}}),
        ({"p": {"seq": 1}}, {}, {"p": None}),
        ({}, {"p": {"seq": 1, "gone": None}}, {"p": {"seq": 1}}),
        ({"l": [1, 2]}, {"l": [2]}, {"l": [2]}),
        ({"m": "", "l": [], "d": {}}, {}, {}),
        ({}, {"m": "", "l": [], "d": {}, "n": None}, {}),
        ({"n": 0}, {}, {"n": None}),
        ({"n": 0}, {"n": False}, {"n": False}),
        ({"l": [{"t": "A", "message": ""}]}, {"l": [{"t": "A"}]}, {}),
    ],
    ids=[
        "equal documents need no write",
        "a changed value is sent",
        "a vanished value is nulled",
        "inside an object only the difference is sent",
        "a vanished object is nulled",
        "a null inside a new object is not sent",
        "lists are whole",
        "empty defaults of the server are no difference",
        "empty values say nothing",
        "zero is a value",
        "false is not zero",
        "defaults inside lists are no difference",
    ],
)
def test_difference(old: dict, new: dict, patch: dict):
    assert difference(old, new) == patch


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from("abcd"), json_values)


@given(documents, documents)
def test_a_merge_patch_makes_the_old_document_say_what_the_new_one_says(old: dict, new: dict):
    assert says_same(merged(old, difference(old, new)), new)


@given(documents)
def test_a_document_never_differs_from_itself(document: dict):
    assert difference(document, document) == {}
