"""What a model tells the API server beyond its shape: CEL rules and how lists merge.

Used by the models of this package as class attributes and annotations; `structural` writes them
into the CRD, where the API server enforces them. pydantic itself does not.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Refusal = Literal["FieldValueInvalid", "FieldValueRequired", "FieldValueForbidden"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule. `field` (".budget") is where the error shows, relative to the rule's place."""

    rule: str
    message: str
    field: str = ""
    reason: Refusal = "FieldValueInvalid"

    def to_json(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        found = {"rule": self.rule, "message": self.message}
        if self.field:
            found["fieldPath"] = self.field
        if self.reason != "FieldValueInvalid":
            found["reason"] = self.reason
        return found


def fixed(field: str, why: str) -> Rule:
    """A field that is always there and never changes."""
    return Rule(
        rule=f"self.{field} == oldSelf.{field}",
        message=f"{field} cannot be changed: {why}",
        field=f".{field}",
        reason="FieldValueForbidden",
    )


def fixed_optional(field: str, why: str) -> Rule:
    """An optional field that can neither appear, change nor go once the object exists."""
    return Rule(
        rule=(
            f"has(self.{field}) == has(oldSelf.{field}) && "
            f"(!has(self.{field}) || self.{field} == oldSelf.{field})"
        ),
        message=f"{field} cannot be set, changed or removed later: {why}",
        field=f".{field}",
        reason="FieldValueForbidden",
    )


@dataclass(frozen=True, slots=True)
class Cel:
    """Annotation of a scalar or list: rules on the value itself."""

    rules: tuple[Rule, ...]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Adds the rules."""
        return handler(core_schema) | {
            "x-kubernetes-validations": [rule.to_json() for rule in self.rules]
        }


@dataclass(frozen=True, slots=True)
class Merge:
    """Annotation of a list: how server-side apply merges it. Unmarked lists are atomic."""

    kind: Literal["map", "set", "atomic"]
    keys: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Adds the list type and its keys."""
        added: dict[str, Any] = {"x-kubernetes-list-type": self.kind}
        if self.keys:
            added["x-kubernetes-list-map-keys"] = list(self.keys)
        return handler(core_schema) | added
