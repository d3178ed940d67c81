"""Turns a model's JSON schema into the structural form that a CRD accepts.

`$defs` are inlined, titles go, `X | None` becomes an optional X, defaults stay where the API
server may apply them. Anything the converter does not know is refused with its path, so that a
new kind of field is noticed here and not by a cluster. Called by `crd`.
"""

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

KEPT = frozenset(
    {
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    }
)
"""Everything our CRDs say. `anyOf` is only written for int-or-string."""

INT32_MAX = 2_147_483_647


class NotStructuralError(ValueError):
    """A field cannot be written in a CRD; the message names it."""


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model, without defaults that only pydantic needs."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    defs = raw.pop("$defs", {})
    return _Converter(defs).convert(raw, model.__name__)


def without_defaults(schema: Schema) -> Schema:
    """The same schema, none of whose fields is filled in by the API server (for status)."""
    found = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in found:
        found["properties"] = {
            name: without_defaults(child) for name, child in found["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = without_defaults(found[key])
    return found


class _Converter:
    """One conversion; knows the definitions that references point to."""

    def __init__(self, defs: Mapping[str, Schema]) -> None:
        self._defs = defs

    def convert(self, raw: Schema, path: str) -> Schema:
        node = self._resolved(raw, path)
        if "const" in node:
            node["enum"] = [node.pop("const")]
        int_or_string = node.get("x-kubernetes-int-or-string", False)
        node.pop("title", None)
        if node.get("default", ...) is None:
            node.pop("default")
        for key in node:
            if key not in KEPT and not (key == "anyOf" and int_or_string):
                raise NotStructuralError(f"{path}: the keyword {key} does not belong in a CRD")
        if "description" in node:
            node["description"] = " ".join(cleandoc(node["description"]).split())
        return self._with_children(_with_format(node), path)

    def _resolved(self, raw: Schema, path: str) -> Schema:
        """References and `X | None` replaced by what they stand for; what stands beside wins."""
        node = dict(raw)
        if "$ref" in node:
            name = node.pop("$ref").removeprefix("#/$defs/")
            return self._resolved(self._defs[name] | node, path)
        options = node.get("anyOf")
        if options and not node.get("x-kubernetes-int-or-string"):
            del node["anyOf"]
            rest = [option for option in options if option.get("type") != "null"]
            if len(rest) != 1:
                raise NotStructuralError(f"{path}: a field has one type, not {len(rest)}")
            return self._resolved(rest[0], path) | node
        return node

    def _with_children(self, node: Schema, path: str) -> Schema:
        if "properties" in node:
            node["properties"] = {
                name: self._property(node, name, child, f"{path}.{name}")
                for name, child in node["properties"].items()
            }
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                node[key] = self.convert(node[key], f"{path}[]")
        return node

    def _property(self, parent: Schema, name: str, raw: Schema, path: str) -> Schema:
        """A property; an object that always exists gets `default: {}` for what is below it."""
        found = self.convert(raw, path)
        always = name not in parent.get("required", []) and "anyOf" not in raw
        if always and found.get("type") == "object" and _has_defaults(found):
            found["default"] = {}
        return found


def _has_defaults(node: Schema) -> bool:
    return any("default" in child for child in node.get("properties", {}).values())


def _with_format(node: Schema) -> Schema:
    if node.get("type") == "integer":
        small = node.get("minimum", 0) >= -INT32_MAX and node.get("maximum", 2**63) <= INT32_MAX
        node["format"] = "int32" if small else "int64"
    return node
