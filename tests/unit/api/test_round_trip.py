"""What the CRD accepts, the models read, and write again unchanged."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overspill.api.crd import openapi
from overspill.api.kinds import KINDS

WHOLE = sorted((Path(__file__).parent / "whole").glob("*.yaml"))
SCHEMAS = {kind.name: openapi(kind) for kind in KINDS}
MODELS = {kind.name: kind.model for kind in KINDS}
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)


def document(kind):
    """Objects that the schema of a kind accepts."""
    return st.fixed_dictionaries(
        {
            "apiVersion": st.just("overspill.dev/v1alpha1"),
            "kind": st.just(kind),
            "metadata": st.just({"name": "x"}),
            "spec": values(SCHEMAS[kind]["properties"]["spec"]),
            "status": values(SCHEMAS[kind]["properties"]["status"]),
        }
    )


def values(schema):
    """Values that a structural schema accepts; those that only CEL refuses are left out."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(0, 2**40) | st.from_regex(r"\A[0-9]{1,6}(Ki|Mi|Gi|m)?\Z")
    if "type" not in schema:
        return st.just({"kept": [1, {"as": "it is"}]})
    return {"string": strings, "integer": integers, "boolean": booleans, "array": arrays}.get(
        schema["type"], objects
    )(schema)


def booleans(_):
    return st.booleans()


def integers(schema):
    return st.integers(schema["minimum"], schema["maximum"])


def strings(schema):
    if schema.get("format") == "date-time":
        moments = st.integers(0, 7_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))
        return moments.map(lambda t: t.isoformat().replace("+00:00", "Z"))
    least, most = schema.get("minLength", 0), schema["maxLength"]
    if "pattern" not in schema:
        return TEXT.filter(lambda s: len(s) >= least)
    found = st.from_regex(
        schema["pattern"].replace("$", r"\Z"), alphabet=st.characters(codec="ascii")
    )
    found = found.filter(lambda s: least <= len(s) <= most)
    if "x-kubernetes-validations" in schema:
        found = found.filter(lambda s: Decimal(s) > 0)
    return found


def arrays(schema):
    keys = schema.get("x-kubernetes-list-map-keys")
    unique = (lambda item: str([item[k] for k in keys])) if keys else str
    return st.lists(
        values(schema["items"]),
        min_size=schema.get("minItems", 0),
        max_size=min(schema["maxItems"], 2),
        unique_by=unique,
    )


def objects(schema):
    if isinstance(schema.get("additionalProperties"), dict):
        names = st.sampled_from(["a", "nvidia.com/gpu", "*"])
        least = schema.get("minProperties", 0)
        return st.dictionaries(
            names, values(schema["additionalProperties"]), min_size=least, max_size=2
        )
    required = schema.get("required", [])
    fields = {name: values(child) for name, child in schema.get("properties", {}).items()}
    return st.fixed_dictionaries(
        {name: found for name, found in fields.items() if name in required},
        optional={name: found for name, found in fields.items() if name not in required},
    )


def assert_kept(before, after, path=""):
    """Every field that was given is there again, meaning the same."""
    if isinstance(before, dict):
        for name, value in before.items():
            assert name in after, f"{path}.{name} was lost"
            assert_kept(value, after[name], f"{path}.{name}")
    elif isinstance(before, list):
        assert len(before) == len(after), path
        for index, value in enumerate(before):
            assert_kept(value, after[index], f"{path}[{index}]")
    else:
        assert before == after or same(str(before), str(after)), f"{path}: {before} {after}"


def same(before, after):
    try:
        return Decimal(before) == Decimal(after)
    except InvalidOperation:
        return datetime.fromisoformat(before) == datetime.fromisoformat(after)


def check(kind, before):
    model = MODELS[kind].read(before)
    after = model.to_json()
    jsonschema.validate(after, SCHEMAS[kind])
    assert_kept({k: before[k] for k in ("spec", "status") if k in before}, after)
    assert MODELS[kind].read(after) == model


@pytest.mark.parametrize("path", WHOLE, ids=lambda p: p.stem)
def test_a_whole_example_is_read_and_written_unchanged(path):
    found = yaml.safe_load(path.read_text())
    check(found["kind"], found)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_what_the_crd_accepts_is_read_and_written_unchanged(kind):
    @settings(
        max_examples=20,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(document(kind))
    def run(before):
        check(kind, before)

    run()


def leaves(schema, path=""):
    """Fields of a schema that hold a value themselves, but for what is kept unread."""
    inner = schema.get("items", schema)
    if not inner.get("properties"):
        yield path
    for name, child in inner.get("properties", {}).items():
        if "type" in child or child.get("x-kubernetes-int-or-string"):
            yield from leaves(child, f"{path}.{name}")


def given_leaves(value, path=""):
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for name, child in item.items():
                yield from given_leaves(child, f"{path}.{name}")
        yield path


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_the_whole_examples_leave_no_field_out(kind):
    found = set()
    for path in WHOLE:
        example = yaml.safe_load(path.read_text())
        if example["kind"] == kind:
            found |= set(given_leaves({k: example.get(k, {}) for k in ("spec", "status")}))
    properties = SCHEMAS[kind]["properties"]
    wanted = {leaf for part in ("spec", "status") for leaf in leaves(properties[part], f".{part}")}
    assert sorted(wanted - found) == []
