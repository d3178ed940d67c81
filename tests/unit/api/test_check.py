"""The checker complains of everything that a CRD of ours must not be."""

import pytest

from overspill.api.check import complaints

GOOD = {
    "type": "object",
    "description": "d",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "description": "d", "maxLength": 3},
        "when": {"type": "string", "description": "d", "format": "date-time"},
        "size": {"type": "integer", "description": "d", "minimum": 0, "maximum": 1},
        "any": {"description": "d", "x-kubernetes-preserve-unknown-fields": True},
        "map": {
            "type": "object",
            "description": "d",
            "maxProperties": 2,
            "additionalProperties": {"type": "string", "maxLength": 3},
        },
        "list": {
            "type": "array",
            "description": "d",
            "maxItems": 2,
            "x-kubernetes-list-type": "set",
            "items": {"type": "string", "enum": ["a"]},
        },
        "quantity": {
            "description": "d",
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 3,
        },
    },
}


def test_a_good_schema_gets_no_complaint():
    assert list(complaints(GOOD, ".spec")) == []


def field(name, **changes):
    changed = {k: v for k, v in GOOD["properties"][name].items() if changes.get(k, 0) is not ...}
    changed |= {k: v for k, v in changes.items() if v is not ...}
    return GOOD | {"properties": GOOD["properties"] | {name: changed}}


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        (field("name", description=...), ".spec.name has no description"),
        (field("name", maxLength=...), ".spec.name has no maxLength"),
        (field("when", format=...), ".spec.when has no maxLength"),
        (field("size", maximum=...), ".spec.size has no maximum"),
        (field("size", minimum=...), ".spec.size has no minimum"),
        (field("size", maximum=2**63 - 1), ".spec.size has a bound that a float cannot hold"),
        (field("size", type="number"), ".spec.size has no type"),
        (field("size", type=...), ".spec.size has no type"),
        (field("map", maxProperties=...), ".spec.map has no maxProperties"),
        (field("map", additionalProperties=...), ".spec.map says nothing of what is in it"),
        (field("map", additionalProperties={"type": "string"}), ".spec.map[] has no maxLength"),
        (field("list", maxItems=...), ".spec.list has no maxItems"),
        (field("list", items=...), ".spec.list has no items"),
        (field("list", **{"x-kubernetes-list-type": ...}), ".spec.list has no list type"),
        (
            field("list", **{"x-kubernetes-list-type": "map"}),
            ".spec.list has keys if and only if it is a map",
        ),
        (
            field(
                "list",
                **{
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "string", "enum": ["a"]},
                },
            ),
            ".spec.list has keys that an item may lack: k",
        ),
        (field("quantity", maxLength=...), ".spec.quantity has no maxLength"),
        (
            field("quantity", type="string"),
            ".spec.quantity is int-or-string, so it has no type but the two alternatives",
        ),
        (GOOD | {"required": ["x"]}, ".spec requires what it does not have: x"),
        (field("name", **{"$ref": "#/x"}), ".spec.name is a reference"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(schema, complaint):
    assert complaint in list(complaints(schema, ".spec"))
