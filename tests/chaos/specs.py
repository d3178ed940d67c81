"""L5's generator: values for every leaf of a GPUJob's spec, from the CRD's own schema.

Per leaf: the schema's boundaries, what just breaks them, what is legal and senseless, and what
makes sense (`MEANING`). `put` builds the object around a value so that nothing else is missing.
"""

import copy
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from overspill.api.crd import openapi
from overspill.api.kinds import KINDS

Path = tuple[str, ...]
"""Names from the spec down; "[]" is the one entry of a list, "{}" of a map."""
Schema = Mapping[str, Any]
Spec = dict[str, Any]

SCHEMA: Schema = openapi(next(k for k in KINDS if k.name == "GPUJob"))["properties"]["spec"]
CLASS = "hasty"
"""An SLAClass that is there."""
LASTS = {f"pod-complete.stage.kwok.x-k8s.io/{x}": "86400s" for x in ("delay", "jitter-delay")}
"""A simulated pod runs for so long."""
WORK = {"name": "main", "image": "busybox:1", "command": ["sh", "-c", "sleep 600"]}

MEANING: Mapping[str, tuple[Any, ...]] = {
    "slaClassName": (CLASS, CLASS, "nobody"),
    "gpu.models.[]": ("h100", "a100-80gb", "b300-nobody", "a" * 63),
    "gpu.memoryMin": ("1", "80Gi", 1, "1e12", "999E", "1n"),
    "gpu.computeCapabilityMin": ("0.0", "8.0", "9.0", "99.99"),
    "data.[].uri": ("s3://team/data", "x://", "s3://" + "d" * 2043),
    "data.[].region": ("eu", "us-west", "a", "z" * 63),
    "deadline.finishByTime": ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00+14:00",
                              "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
    "budget.maxTotalUSD": ("20", "100", "0.000001", "999999999.999999"),
    "budget.maxHourlyUSD": ("20", "5", "0.000001", "999999999.999999"),
    "checkpoint.uri": ("s3://team/base", "s3://team/base/", "x://"),
    "placement.providers.[]": ("home", "vast", "nobody"),
    "placement.regions.[]": ("us-west", "eu", "atlantis"),
    "endpoint.readinessPath": ("/", "/healthz", "/" + "p" * 1023),
    "managedBy": ("overspill.dev/operator", "kueue.x-k8s.io/multikueue"),
    "template.spec.containers.[].name": ("main", "a", "n" * 63, "Not A Name"),
    "template.spec.containers.[].image": ("busybox:1", "x", "i" * 1024),
    "template.spec.containers.[].command.[]": ("sleep", "", "$(NOT_THERE)"),
    "template.spec.containers.[].args.[]": ("600", "", "$$(ESCAPED)"),
    "template.spec.containers.[].resources.limits.{}": ("1", 1, "64Gi", "-1", "twelve"),
}  # fmt: skip
"""Where a pattern alone does not say what would be meant."""

INVALID: Mapping[str, tuple[Any, ...]] = {
    "budget.maxTotalUSD": ("0", "-1", "1e3", 5),
    "budget.maxHourlyUSD": ("0", "free"),
    "gpu.memoryMin": ("0", "12 Pigs", True),
    "deadline.finishByTime": ("tomorrow", "2026-13-01T00:00:00Z"),
    "checkpoint.uri": ("no uri", "s3://user:secret@team/base"),
}

KEPT: Mapping[str, tuple[Any, ...]] = {
    "labels": ({"team": "a"}, {"not a label": "x"}),
    "annotations": ({"note": "x"}, {"note": 7}),
    "env": ([{"name": "A", "value": "b"}], [{"value": "no name"}], [{"name": "A", "value": 1}]),
    "envFrom": ([{"configMapRef": {"name": "nobody"}}],),
    "ports": ([{"containerPort": 8080}], [{"containerPort": 70000}]),
    "requests": ({"cpu": "1"}, {"cpu": "many"}, {"nvidia.com/gpu": "7"}),
    "activeDeadlineSeconds": (600, -1),
    "affinity": (
        {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}},
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                          {"nodeSelectorTerms": [{"matchExpressions": [
                              {"key": "zone", "operator": "In", "values": ["nowhere"]}]}]}}},
    ),
    "nodeSelector": ({"zone": "nowhere"}, {"kubernetes.io/os": "linux"}),
    "nodeName": ("nowhere",),
    "tolerations": ([{"operator": "Exists"}], [{"operator": "Perhaps"}]),
    "priorityClassName": ("nobody",),
    "runtimeClassName": ("nobody",),
    "schedulerName": ("nobody",),
    "schedulingGates": ([{"name": "example.com/wait"}],),
    "serviceAccountName": ("nobody", "default"),
    "terminationGracePeriodSeconds": (0, 5, -5),
    "volumes": ([{"name": "v", "emptyDir": {}}], [{"name": "v", "hostPath": {"path": "/"}}]),
    "initContainers": ([{"name": "first", "image": "busybox:1"}], [{}]),
    "restartPolicy": ("Never", "Always"),
    "hostNetwork": (True, False),
    "workingDir": ("/work",),
}  # fmt: skip
"""Fields of the template that the schema keeps as they are: sense and nonsense. All others get
`NONSENSE` alone."""
NONSENSE: tuple[Any, ...] = (7, "text", [], {}, True, [7], {"a": {"b": []}})

PLAIN: Mapping[str, Any] = {
    "checkpoint.uri": "s3://team/base",
    "checkpoint.intervalSeconds": 600,
    "data.[].uri": "s3://team/data",
    "data.[].sizeGiB": 1,
    "endpoint.port": 8080,
    "gpu.interconnect.class": "None",
    "verification.mode": "None",
}
"""Required siblings."""


SERVED = ("endpoint", "replicas")
"""Only a service has them."""


@dataclass(frozen=True)
class Value:
    """One value for a leaf; `word` says of what kind: boundary, meant, invalid or nonsense."""

    word: str
    content: Any


def leaves(schema: Schema = SCHEMA, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every leaf of the spec with its schema."""
    if schema.get("properties"):
        for name, child in schema["properties"].items():
            yield from leaves(child, (*path, name))
    elif schema.get("type") == "array":
        yield from leaves(schema["items"], (*path, "[]"))
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from leaves(schema["additionalProperties"], (*path, "{}"))
    else:
        yield path, schema


LEAVES = dict(leaves())


def values(path: Path) -> list[Value]:
    """Everything that is tried on a leaf."""
    schema, name = LEAVES[path], ".".join(path)
    found = [Value("meant", x) for x in MEANING.get(name, ())]
    found += [Value("invalid", x) for x in INVALID.get(name, ())]
    if "type" not in schema and not schema.get("x-kubernetes-int-or-string"):
        found += [Value("meant", x) for x in KEPT.get(path[-1], ())]
        return found + [Value("nonsense", x) for x in NONSENSE]
    return found + list(_of_type(schema))


def put(spec: Spec, path: Path, content: Any) -> Spec:
    """A copy of the spec with this value, and with whatever the API then asks for beside it."""
    made = copy.deepcopy(spec)
    place: Any = made
    for depth, step in enumerate(path[:-1]):
        follows = path[depth + 1]
        empty: Any = [] if follows == "[]" else {}
        place = _entered(place, step, empty)
        _complete(place, path[: depth + 1])
    if path[0] in SERVED:
        made["workload"] = "Inference"
        made.pop("deadline", None)
    if path[-1] == "[]":
        place[:] = [content]
    else:
        place["example.com/thing" if path[-1] == "{}" else path[-1]] = content
    return made


def without(spec: Spec, path: Path) -> Spec:
    """A copy of the spec without the whole branch that the leaf stands in."""
    made = copy.deepcopy(spec)
    if path[0] not in ("template", "gpu"):
        made.pop(path[0], None)
    return made


def good(dice: random.Random, burst: str | None = None) -> Spec:
    """A spec that runs: at home, or rented; for long."""
    chosen = burst or dice.choice(["Never", "Only"])
    return {
        "workload": "Batch",
        "slaClassName": CLASS,
        "gpu": {"count": 1},
        "budget": {"maxTotalUSD": "100"},
        "placement": {"burst": chosen},
        "template": {
            "metadata": {"annotations": dict(LASTS)},
            "spec": {"containers": [copy.deepcopy(WORK)]},
        },
    }


def _entered(place: Any, step: str, empty: Any) -> Any:
    if step == "[]":
        if not place:
            place.append(empty)
        return place[0]
    return place.setdefault(step, empty)


def _complete(place: Any, path: Path) -> None:
    """Fills in what the schema requires of an object that was just made."""
    if not isinstance(place, dict):
        return
    for name, content in PLAIN.items():
        *parent, last = name.split(".")
        if tuple(parent) == path:
            place.setdefault(last, content)


def _of_type(schema: Schema) -> Iterator[Value]:
    if "enum" in schema:
        yield from (Value("meant", word) for word in schema["enum"])
        yield Value("invalid", "Nonsense")
    elif schema.get("type") == "integer":
        low, high = schema["minimum"], schema["maximum"]
        yield from (Value("boundary", n) for n in (low, high, min(low + 1, high)))
        yield from (Value("invalid", n) for n in (low - 1, high + 1, "many"))
    elif schema.get("type") == "boolean":
        yield from (Value("meant", flag) for flag in (True, False))
        yield Value("invalid", "yes")
    elif "maxLength" in schema and schema["maxLength"] <= 4096:
        yield Value("invalid", "x" * (schema["maxLength"] + 1))
