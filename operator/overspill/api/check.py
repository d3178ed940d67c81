"""What every schema of ours must keep: structural, described, bounded. Lists what it breaks.

Called by the generator before it writes, and by tests. Written against Kubernetes' rules for
structural schemas, not against the converter, so that the two check each other.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

TYPES = ("array", "boolean", "integer", "object", "string")
EXACT = 2**53
"""Beyond this the API server refuses every value: it reads bounds as floats."""
UNBOUNDED = ("apiVersion", "kind", "metadata")
"""Fields of the skeleton, which the API server itself bounds."""


def complaints(schema: Schema, path: str = "") -> Iterator[str]:
    """One sentence per field that breaks a rule; nothing when all is well."""
    where = path or "the root"
    if "description" not in schema and not path.endswith("[]"):
        yield f"{where} has no description"
    if any(key.startswith("$") for key in schema):
        yield f"{where} is a reference"
    if schema.get("x-kubernetes-int-or-string"):
        yield from _int_or_string(schema, where)
        return
    if "type" not in schema and schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if schema.get("type") not in TYPES:
        yield f"{where} has no type"
        return
    yield from _of_type(schema, where)
    yield from _below(schema, path)


def _int_or_string(schema: Schema, where: str) -> Iterator[str]:
    if "type" in schema or schema.get("anyOf") != [{"type": "integer"}, {"type": "string"}]:
        yield f"{where} is int-or-string, so it has no type but the two alternatives"
    if "maxLength" not in schema:
        yield f"{where} has no maxLength"


def _of_type(schema: Schema, where: str) -> Iterator[str]:
    match schema["type"]:
        case "string":
            bounded = "enum" in schema or "maxLength" in schema
            if not bounded and schema.get("format") != "date-time":
                yield f"{where} has no maxLength"
        case "integer":
            yield from _integer(schema, where)
        case "array":
            yield from _array(schema, where)
        case "object":
            yield from _object(schema, where)


def _integer(schema: Schema, where: str) -> Iterator[str]:
    for key in ("minimum", "maximum"):
        if key not in schema:
            yield f"{where} has no {key}"
        elif abs(schema[key]) > EXACT:
            yield f"{where} has a bound that a float cannot hold"


def _array(schema: Schema, where: str) -> Iterator[str]:
    if "maxItems" not in schema:
        yield f"{where} has no maxItems"
    if "items" not in schema:
        yield f"{where} has no items"
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys", [])
    if kind not in ("atomic", "set", "map"):
        yield f"{where} has no list type"
    if (kind == "map") != bool(keys):
        yield f"{where} has keys if and only if it is a map"
    missing = set(keys) - set(schema.get("items", {}).get("required", []))
    if missing:
        yield f"{where} has keys that an item may lack: {', '.join(sorted(missing))}"


def _object(schema: Schema, where: str) -> Iterator[str]:
    shapes = [
        key
        for key in ("properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields")
        if key in schema
    ]
    if not shapes:
        yield f"{where} says nothing of what is in it"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{where} has both properties and additionalProperties"
    if "additionalProperties" in schema and "maxProperties" not in schema:
        yield f"{where} has no maxProperties"
    missing = set(schema.get("required", [])) - set(schema.get("properties", {}))
    if missing:
        yield f"{where} requires what it does not have: {', '.join(sorted(missing))}"


def _below(schema: Schema, path: str) -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        if path or name not in UNBOUNDED:
            yield from complaints(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from complaints(schema[key], f"{path}[]")
