"""Every bound, pattern, word list and required field of the CRDs on a real API server.

The whole examples (tests/unit/api/whole) name every field and are accepted; each is then changed
to break one bound at a time, and the refusal must name that field.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from overspill.api.crd import openapi
from overspill.api.kinds import KINDS
from overspill.testing.crd_probe import Probe, changed

pytestmark = pytest.mark.cluster

WHOLE = sorted((Path(__file__).resolve().parents[1] / "unit" / "api" / "whole").glob("*.yaml"))
SCHEMAS = {kind.name: openapi(kind) for kind in KINDS}
Step = str | int
Broken = tuple[list[Step], Any, str]
"""Where, what stands there now, and which field the refusal names."""


@pytest.fixture(scope="module")
def probe(cluster) -> Iterator[Probe]:
    found = Probe(cluster)
    yield found
    found.close()


def breaks(schema: dict, value: Any, path: list[Step]) -> Iterator[Broken]:
    """All ways to break the schema at one place of an example, and below it."""
    here = dotted(path)
    for wrong in wrong_values(schema, value):
        yield path, wrong, here
    if isinstance(value, dict) and "properties" in schema:
        for name in schema.get("required", []):
            yield [*path, name], ..., f"{here}.{name}"
        for name, child in schema["properties"].items():
            if name in value:
                yield from breaks(child, value[name], [*path, name])
    if isinstance(value, list) and "items" in schema:
        yield from breaks(schema["items"], value[0], [*path, 0])
    if isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        for name in list(value)[:1]:
            yield from breaks(schema["additionalProperties"], value[name], [*path, name])


def wrong_values(schema: dict, value: Any) -> Iterator[Any]:
    """Values just beyond each bound, and one of another type."""
    if schema.get("x-kubernetes-int-or-string"):
        yield True
        yield "9" * (schema["maxLength"] + 1)
        if "pattern" in schema:
            yield "12 Pigs"
        return
    if "type" not in schema:
        return
    yield {"object": "text", "array": "text", "boolean": "text", "integer": "text"}.get(
        schema["type"], 7
    )
    yield from {"string": wrong_strings, "integer": wrong_integers, "array": wrong_arrays}.get(
        schema["type"], wrong_objects
    )(schema, value)


def wrong_strings(schema: dict, value: str) -> Iterator[Any]:
    if "enum" in schema:
        yield "Nonsense"
    if schema.get("format") == "date-time":
        yield "tomorrow"
    if "pattern" in schema:
        yield "\n no ☃"
    if "minLength" in schema:
        yield ""
    if "maxLength" in schema:
        yield value + (value[-1:] or "x") * (schema["maxLength"] + 1)


def wrong_integers(schema: dict, _: int) -> Iterator[Any]:
    yield schema["minimum"] - 1
    yield schema["maximum"] + 1


def wrong_arrays(schema: dict, value: list) -> Iterator[Any]:
    yield value + value[-1:] * schema["maxItems"]
    if schema["x-kubernetes-list-type"] != "atomic":
        yield [*value, value[0]]
    if "minItems" in schema:
        yield []


def wrong_objects(schema: dict, value: Any) -> Iterator[Any]:
    if "maxProperties" in schema:
        yield {f"k{i}": next(iter(value.values())) for i in range(schema["maxProperties"] + 1)}


def dotted(path: list[Step]) -> str:
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path).lstrip(".")


def broken_examples(document: dict, part: str) -> list[Broken]:
    schema = SCHEMAS[document["kind"]]["properties"][part]
    return list(breaks(schema, document[part], [part]))


@pytest.mark.parametrize("path", WHOLE, ids=lambda p: p.stem)
def test_each_bound_of_the_spec_refuses_what_is_beyond_it(probe, path):
    document = yaml.safe_load(path.read_text())
    assert probe.create(document).is_accepted, probe.create(document)
    found = broken_examples(document, "spec")
    assert len(found) > 5
    wrong = [
        (field, repr(value)[:60], verdict.message[:300])
        for place, value, field in found
        if not (verdict := probe.create(changed(document, place, value))).names(field)
    ]
    assert wrong == []


WITH_STATUS = [path for path in WHOLE if "status" in yaml.safe_load(path.read_text())]


@pytest.mark.parametrize("path", WITH_STATUS, ids=lambda p: p.stem)
def test_each_bound_of_the_status_refuses_what_is_beyond_it(probe, namespace, path):
    document = yaml.safe_load(path.read_text())
    if "namespace" in document["metadata"]:
        document = changed(document, ["metadata", "namespace"], namespace)
    assert probe.create(document, keep=True).is_accepted
    try:
        version = probe.read(document)["metadata"]["resourceVersion"]
        document = changed(document, ["metadata", "resourceVersion"], version)
        assert probe.update_status(document).is_accepted, probe.update_status(document)
        wrong = [
            (field, repr(value)[:60], verdict.message[:300])
            for place, value, field in broken_examples(document, "status")
            if not (verdict := probe.update_status(changed(document, place, value))).names(field)
        ]
        assert wrong == []
    finally:
        probe.delete(document)


def test_the_whole_examples_break_every_kind_of_bound():
    """The generator of wrong values is not silently idle."""
    counts = {
        path.stem: len(broken_examples(yaml.safe_load(path.read_text()), "spec")) for path in WHOLE
    }
    assert counts["gpujob-training"] > 150
    assert counts["gpulease-rented"] > 150
