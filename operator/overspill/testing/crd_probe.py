"""Asks a real API server what it thinks of our objects, for tests of the CRDs.

Everything is a dry run unless it says otherwise, so a probe leaves nothing behind.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client, config

from overspill.api import GROUP, VERSION
from overspill.api.kinds import KINDS, Kind
from overspill.testing import chart
from overspill.testing.bed.cluster import Cluster

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the API server said: nothing wrong, or the fields it named with its words."""

    causes: tuple[tuple[str, str], ...] = ()
    message: str = ""

    @property
    def is_accepted(self) -> bool:
        """Whether the object would have been taken."""
        return not self.message

    def names(self, field: str) -> bool:
        """Whether the refusal names that field or something in it."""
        return any(f == field or f.startswith((f"{field}.", f"{field}[")) for f, _ in self.causes)


class Probe:
    """One API server with our CRDs."""

    def __init__(self, cluster: Cluster) -> None:
        """Installs the chart where it is missing, then the CRDs as they stand in `crds/`."""
        self.cluster = cluster
        if "gpujobs.overspill.dev" not in cluster.kubectl("get", "crd", "-o", "name"):
            chart.install(cluster)
        crds = str(chart.root().parents[1] / "crds")
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", crds)
        self._api = config.new_client_from_config(str(cluster.kubeconfig))
        self._objects = client.CustomObjectsApi(self._api)

    def create(self, document: Mapping[str, Any], *, keep: bool = False) -> Verdict:
        """POST; only kept when asked."""
        return self._ask("create", document, keep=keep)

    def update(self, document: Mapping[str, Any], *, keep: bool = False) -> Verdict:
        """PUT over the stored object of the same name."""
        return self._ask("replace", document, keep=keep)

    def update_status(self, document: Mapping[str, Any], *, keep: bool = False) -> Verdict:
        """PUT to /status over the stored object of the same name."""
        return self._ask("replace", document, keep=keep, part="_status")

    def read(self, document: Mapping[str, Any]) -> Document:
        """The stored object of the same name."""
        found: Document = self._call("get", document)
        return found

    def delete(self, document: Mapping[str, Any]) -> None:
        """Deletes the stored object of the same name."""
        self._call("delete", document)

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    def _ask(
        self, verb: str, document: Mapping[str, Any], *, keep: bool, part: str = ""
    ) -> Verdict:
        options: dict[str, Any] = {"body": dict(document), "field_validation": "Strict"}
        if not keep:
            options["dry_run"] = "All"
        try:
            self._call(verb, document, part, **options)
        except client.ApiException as refusal:
            return _verdict(refusal)
        return Verdict()

    def _call(self, verb: str, document: Mapping[str, Any], part: str = "", **options: Any) -> Any:
        kind = kind_of(document)
        scope = "namespaced" if kind.is_namespaced else "cluster"
        place = {"namespace": document["metadata"]["namespace"]} if kind.is_namespaced else {}
        name = {} if verb == "create" else {"name": document["metadata"]["name"]}
        call = getattr(self._objects, f"{verb}_{scope}_custom_object{part}")
        return call(group=GROUP, version=VERSION, plural=kind.plural, **place, **name, **options)


def kind_of(document: Mapping[str, Any]) -> Kind:
    """The kind of a document."""
    return next(kind for kind in KINDS if kind.name == document["kind"])


def changed(document: Mapping[str, Any], path: Sequence[str | int], value: Any) -> Document:
    """A copy with one field set; `...` removes it. Objects on the way are made."""
    copied: Document = copy.deepcopy(dict(document))
    place: Any = copied
    for step in path[:-1]:
        place = place.setdefault(step, {}) if isinstance(step, str) else place[step]
    if value is ...:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = value
    return copied


def rules(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Document]]:
    """Every CEL rule of a schema with the place where it stands."""
    for rule in schema.get("x-kubernetes-validations", []):
        yield path, rule
    for name, child in schema.get("properties", {}).items():
        yield from rules(child, f"{path}.{name}".lstrip("."))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from rules(schema[key], f"{path}[]")


def _verdict(refusal: client.ApiException) -> Verdict:
    if refusal.status not in (400, 422):
        raise refusal
    status = json.loads(refusal.body)
    causes = status.get("details", {}).get("causes", [])
    found = tuple((c.get("field", ""), c.get("message", "")) for c in causes)
    return Verdict(found, status["message"])
