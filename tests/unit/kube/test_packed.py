"""A packed document is the document: equal, readable, and a tenth of its size in memory."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.kube.packed import Packed, packed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
DOCUMENT = {"phase": "Running", "conditions": [{"type": "Placed", "status": "True"}], "moves": 0}


@given(st.dictionaries(st.text(max_size=4), JSON))
def test_it_is_the_document(document: dict[str, Any]) -> None:
    found = packed(document)
    assert found == document
    assert dict(found) == document
    assert list(found) == list(document)
    assert bool(found) == bool(document)
    assert json.dumps(dict(found)) == json.dumps(document)


def test_it_reads_like_any_mapping() -> None:
    found = packed(DOCUMENT)
    assert (found["phase"], found.get("moves"), found.get("nothing", 7)) == ("Running", 0, 7)
    assert ("phase" in found, "nothing" in found, len(found)) == (True, False, 3)
    assert dict(found.items()) == dict(zip(found.keys(), found.values(), strict=True))
    with pytest.raises(KeyError):
        _ = found["nothing"]


def test_equal_documents_are_one_object() -> None:
    assert packed(dict(DOCUMENT)) is packed(dict(DOCUMENT))
    assert packed(packed(DOCUMENT)) is packed(DOCUMENT)


def test_the_order_of_fields_makes_no_difference() -> None:
    assert packed(DOCUMENT) == packed(dict(reversed(DOCUMENT.items())))
    assert packed(DOCUMENT) != packed({**DOCUMENT, "moves": 1})


def test_an_empty_document_stays_empty() -> None:
    assert not packed({})
    assert not isinstance(packed({}), Packed)
