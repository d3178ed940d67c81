"""Composes the CustomResourceDefinition of a kind. Called by `generate` and by tests."""

from typing import Any

from overspill.api import CATEGORY, GROUP, VERSION
from overspill.api.check import complaints
from overspill.api.kinds import Column, Kind
from overspill.api.structural import NotStructuralError, Schema, structural, without_defaults

SKELETON: Schema = {
    "apiVersion": {
        "type": "string",
        "description": "Version of the schema of this object: overspill.dev/v1alpha1.",
    },
    "kind": {"type": "string", "description": "The kind of this object."},
    "metadata": {"type": "object"},  # the API server knows it and takes no other word
}


def crd(kind: Kind) -> dict[str, Any]:
    """The whole CRD; raises NotStructuralError when the schema breaks one of our rules."""
    schema = openapi(kind)
    broken = list(complaints(schema))
    if broken:
        raise NotStructuralError(f"{kind.name}: " + "; ".join(broken))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.is_namespaced else "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short_name],
                "categories": [CATEGORY],
            },
            "versions": [_version(kind, schema)],
        },
    }


def openapi(kind: Kind) -> Schema:
    """The structural schema of the kind, with the skeleton every object has."""
    schema = structural(kind.model)
    properties = schema["properties"]
    schema["required"] = ["spec"]
    schema["properties"] = SKELETON | {
        "spec": properties["spec"],
        "status": without_defaults(properties["status"]),
    }
    return schema


def _version(kind: Kind, schema: Schema) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}}
    if kind.scale:
        subresources["scale"] = dict(kind.scale)
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return version | {"schema": {"openAPIV3Schema": schema}}


def _column(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return found | ({"priority": column.priority} if column.priority else {})
