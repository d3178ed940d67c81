"""The converter from pydantic's schemas to structural ones."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.rules import Cel, Merge, Rule, fixed, fixed_optional
from overspill.api.scalars import Instant, PositiveUSD, Quantity
from overspill.api.structural import NotStructuralError, structural, without_defaults


class Colour(StrEnum):
    """A colour."""

    RED = "Red"


class Inner(ApiModel):
    """What is inside."""

    cel_rules = (fixed("size", "it is so"),)

    size: Annotated[int, Field(ge=0, le=9)] = 3
    """How big."""


class Outer(ApiModel):
    """What is
    outside.
    """

    always: Inner = Field(default_factory=Inner)
    """Always there."""
    maybe: Inner | None = None
    """Sometimes there."""
    must: Inner
    """Given."""
    colour: Colour = Colour.RED
    """Its colour."""
    only: Literal["x"] = "x"
    """One word."""
    limit: PositiveUSD | None = None
    """Dollars."""
    memory: Quantity | None = None
    """Bytes."""
    time: Instant | None = None
    """When."""
    many: Annotated[list[Inner], Field(max_length=3), Merge("map", ("size",))] = Field(
        default_factory=list
    )
    """Several."""
    big: Annotated[int, Field(ge=0, le=9_000_000_000)] | None = None
    """A big number."""


@pytest.fixture(scope="module")
def outer():
    return structural(Outer)["properties"]


def test_references_are_inlined_and_titles_dropped():
    text = str(structural(Outer))
    assert "$ref" not in text
    assert "$defs" not in text
    assert "title" not in text


def test_the_fields_own_description_wins_over_the_class(outer):
    assert outer["must"]["description"] == "Given."
    assert structural(Outer)["description"] == "What is outside."


def test_an_object_that_always_exists_is_made_for_its_defaults(outer):
    assert outer["always"]["default"] == {}
    assert outer["always"]["properties"]["size"]["default"] == 3


def test_an_optional_or_required_object_is_never_made(outer):
    assert "default" not in outer["maybe"]
    assert "default" not in outer["must"]
    assert structural(Outer)["required"] == ["must"]


def test_optional_is_absent_not_null(outer):
    assert outer["maybe"]["type"] == "object"
    assert "nullable" not in outer["maybe"]


def test_enums_keep_their_words_and_default(outer):
    assert outer["colour"] == {
        "description": "Its colour.", "enum": ["Red"], "type": "string", "default": "Red",
    }  # fmt: skip
    assert outer["only"]["enum"] == ["x"]


def test_money_is_a_bounded_string_with_its_rule(outer):
    limit = outer["limit"]
    assert (limit["type"], limit["maxLength"]) == ("string", 16)
    assert limit["x-kubernetes-validations"][0]["message"] == "must be more than 0"


def test_a_quantity_is_int_or_string(outer):
    assert outer["memory"]["x-kubernetes-int-or-string"] is True
    assert "type" not in outer["memory"]


def test_integers_say_their_width(outer):
    assert outer["always"]["properties"]["size"]["format"] == "int32"
    assert outer["big"]["format"] == "int64"


def test_lists_say_how_they_merge(outer):
    assert outer["many"]["x-kubernetes-list-map-keys"] == ["size"]


def test_rules_of_a_class_stand_on_every_use(outer):
    for place in (outer["always"], outer["maybe"], outer["must"], outer["many"]["items"]):
        assert place["x-kubernetes-validations"][0]["rule"] == "self.size == oldSelf.size"


def test_status_has_no_defaults():
    assert "default" not in str(without_defaults(structural(Outer)))


def test_a_fixed_optional_field_may_neither_come_nor_go():
    rule = fixed_optional("x", "because").rule
    assert rule.startswith("has(self.x) == has(oldSelf.x)")


class TwoTypes(ApiModel):
    """Not for a CRD."""

    x: int | str
    """Either."""


class Exclusive(ApiModel):
    """Not for a CRD."""

    x: Annotated[int, Field(gt=0)]
    """A bound that structural schemas write differently."""


class Number(ApiModel):
    """Not for a CRD."""

    x: Decimal
    """Money without its type."""


@pytest.mark.parametrize("model", [TwoTypes, Exclusive, Number])
def test_what_a_crd_cannot_say_is_refused_with_its_path(model):
    with pytest.raises(NotStructuralError, match=rf"^{model.__name__}\.x: "):
        structural(model)


def test_rules_on_values_can_be_annotated():
    class Short(ApiModel):
        """Short."""

        x: Annotated[str, Cel((Rule("self != ''", "say something"),))] = "a"
        """A word."""

    assert structural(Short)["properties"]["x"]["x-kubernetes-validations"] == [
        {"rule": "self != ''", "message": "say something"}
    ]
