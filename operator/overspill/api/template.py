"""The light shape of a pod template in a CRD: enough for `kubectl explain` and first checks.

The whole PodTemplateSpec schema would push the CRD past what client-side apply can carry; so
everything else is kept as it is, and the API server checks it when the child is created. The
operator reads the template as plain JSON.
"""

from typing import Annotated, Any

from pydantic import WithJsonSchema

_STRINGS = {
    "type": "array",
    "maxItems": 512,
    "items": {"type": "string", "maxLength": 131072},
    "x-kubernetes-list-type": "atomic",
}

_RESOURCES = {
    "type": "object",
    "description": "What the container asks for.",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "limits": {
            "type": "object",
            "description": "At most this much. nvidia.com/gpu must agree with gpu.count.",
            "maxProperties": 32,
            "additionalProperties": {
                "x-kubernetes-int-or-string": True,
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "maxLength": 64,
            },
        }
    },
}

_CONTAINER = {
    "type": "object",
    "description": "A container, as in a Pod.",
    "required": ["name", "image"],
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "name": {
            "type": "string",
            "description": "Name of the container, unique in the pod.",
            "minLength": 1,
            "maxLength": 63,
        },
        "image": {
            "type": "string",
            "description": "Image of the container.",
            "minLength": 1,
            "maxLength": 1024,
        },
        "command": _STRINGS
        | {
            "description": "The program to run. Needed to run on a rented GPU: most markets "
            "replace the image's entrypoint."
        },
        "args": _STRINGS | {"description": "Arguments of the program."},
        "resources": _RESOURCES,
    },
}

_SPEC = {
    "type": "object",
    "description": "Specification of the pod, as in a Job.",
    "required": ["containers"],
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "containers": {
            "type": "array",
            "description": "The containers. Only a pod of one container can travel to a market.",
            "minItems": 1,
            "maxItems": 16,
            "items": _CONTAINER,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        }
    },
}

POD_TEMPLATE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "metadata": {
            "type": "object",
            "description": "Labels and annotations of the pods.",
            "x-kubernetes-preserve-unknown-fields": True,
        },
        "spec": _SPEC,
    },
}

PodTemplate = Annotated[dict[str, Any], WithJsonSchema(POD_TEMPLATE_SCHEMA)]
"""An ordinary pod template, read as plain JSON."""
