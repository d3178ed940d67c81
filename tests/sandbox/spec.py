"""The official OpenAPI of the Console API, when its file is beside the checkout."""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

DEVIATIONS = {
    "^d+$": "the patterns of dseq lost a backslash; ^\\d+$ is checked instead",
    "forwarded_ports.*.proto": "real hosts send it, the OpenAPI does not list it",
    "forwarded_ports.*.name": "real hosts send it, the OpenAPI does not list it",
    "uris": "host:port of this machine, because a lease has no name that resolves",
}
"""Where the sandbox, or our reading of the specification, differs from it, and why."""

_EXTRA_FIELDS = {"proto", "name"}


def openapi() -> dict[str, Any]:
    """The specification; skips the test when it is not there."""
    shared = Path(os.environ.get("OVERSPILL_SHARED", ROOT.parent / "shared"))
    path = shared / "provider-specs" / "akash" / "openapi.json"
    if not path.is_file():
        pytest.skip("no official Akash specification beside the checkout; set OVERSPILL_SHARED")
    return _load(path)


def answer_schema(method: str, path: str, status: int) -> dict[str, Any]:
    """The schema of one answer, mended and closed: fields it does not name are refused."""
    answer = openapi()["paths"][path][method.lower()]["responses"][str(status)]
    schema: dict[str, Any] = _closed(answer["content"]["application/json"]["schema"])
    return schema


@cache
def _load(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    assert text.count('"^d+$"') == 44, "the specification was mended: drop the deviation"
    found: dict[str, Any] = json.loads(text.replace('"^d+$"', json.dumps(r"^\d+$")))
    return found


def _closed(schema: Any, name: str = "") -> Any:
    """JSON Schema of an OpenAPI 3.0 one: nullable spelled out, unknown fields refused."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(value, key) for key, value in schema.items()}
    properties = schema.get("properties")
    if isinstance(properties, dict):
        made["properties"] = {key: _closed(value, key) for key, value in properties.items()}
        if {"port", "externalPort"} <= set(properties):
            made["properties"].update({extra: {} for extra in _EXTRA_FIELDS})
        made.setdefault("additionalProperties", False)
    if schema.get("nullable"):
        return {"anyOf": [made, {"type": "null"}]}
    return made


def paths_like(concrete: str) -> str:
    """The specification's template of a path."""
    for template in openapi()["paths"]:
        pattern = re.sub(r"/\{\w+\?\}", "(?:/[^/]+)?", template)
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), concrete):
            return str(template)
    raise AssertionError(f"the Console API has no path {concrete}")
