"""The light shape of a pod template in a CRD: what `kubectl explain` shows and first checks.

The whole PodTemplateSpec schema would push the CRD past what client-side apply can carry; so
most fields are only named and kept as they are, and the API server checks them when the child is
created. They are named because CEL's equality, which keeps the template immutable, overlooks a
field that came while another one went unless the schema knows both. The operator reads the
template as plain JSON.
"""

from typing import Annotated, Any

from pydantic import WithJsonSchema

Schema = dict[str, Any]


def _kept(**fields: str) -> Schema:
    """Fields of another API, each kept as it is."""
    return {
        name: {"description": text, "x-kubernetes-preserve-unknown-fields": True}
        for name, text in fields.items()
    }


def _strings(description: str) -> Schema:
    return {
        "type": "array",
        "description": description,
        "maxItems": 512,
        "items": {"type": "string", "maxLength": 131072},
        "x-kubernetes-list-type": "atomic",
    }


_LIMITS = {
    "type": "object",
    "description": "At most this much. nvidia.com/gpu must agree with gpu.count.",
    "maxProperties": 32,
    "additionalProperties": {
        "x-kubernetes-int-or-string": True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 64,
    },
}

_RESOURCES = {
    "type": "object",
    "description": "What the container asks for.",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "limits": _LIMITS,
        **_kept(requests="At least this much.", claims="Claims of devices (DRA)."),
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
        "command": _strings(
            "The program to run. Needed to run on a rented GPU: most markets replace the image's "
            "entrypoint."
        ),
        "args": _strings("Arguments of the program."),
        "resources": _RESOURCES,
        **_kept(
            env="Environment variables; a secretKeyRef travels where the Secret allows it.",
            envFrom="Environment variables from a ConfigMap or Secret; keeps the job at home.",
            imagePullPolicy="When the image is pulled.",
            lifecycle="What runs after start and before stop.",
            livenessProbe="Whether the container must be started again.",
            ports="Ports of the container.",
            readinessProbe="Whether the container can serve.",
            resizePolicy="What a change of resources does.",
            restartPolicy="Whether this container is started again.",
            restartPolicyRules="When this container is started again.",
            securityContext="Rights of the container.",
            startupProbe="Whether the container has started.",
            stdin="Whether it has a standard input.",
            stdinOnce="Whether the standard input is closed after the first client.",
            terminationMessagePath="The file with its last words.",
            terminationMessagePolicy="Where its last words come from.",
            tty="Whether it has a terminal.",
            volumeDevices="Block devices of the container.",
            volumeMounts="Where volumes are mounted.",
            workingDir="Working directory of the program.",
        ),
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
        },
        **_kept(
            activeDeadlineSeconds="Hard cap of the pod; use the GPUJob's own field.",
            affinity="Which nodes at home.",
            automountServiceAccountToken="Whether the pod gets a token; a token stays at home.",
            dnsConfig="Settings of DNS.",
            dnsPolicy="How names are resolved.",
            enableServiceLinks="Whether Services become environment variables.",
            hostAliases="Entries of /etc/hosts.",
            hostIPC="Whether the pod shares the node's IPC; keeps the job at home.",
            hostNetwork="Whether the pod shares the node's network; keeps the job at home.",
            hostPID="Whether the pod sees the node's processes; keeps the job at home.",
            hostUsers="Whether the pod shares the node's user ids.",
            hostname="Host name of the pod.",
            hostnameOverride="Host name inside the pod.",
            imagePullSecrets="Secrets for the image registry.",
            initContainers="Containers that run first; they keep the job at home.",
            nodeName="The node; at home the operator's choice.",
            nodeSelector="Labels of nodes at home.",
            os="Operating system of the pod.",
            overhead="Overhead of the runtime class.",
            preemptionPolicy="Whether the pod may evict others.",
            priority="Priority of the pod.",
            priorityClassName="Priority class of the pod at home.",
            readinessGates="Further conditions of readiness.",
            resourceClaims="Claims of devices (DRA).",
            resources="What the whole pod asks for.",
            restartPolicy="Whether containers are started again; jobs: Never.",
            runtimeClassName="Runtime class of the pod at home.",
            schedulerName="The scheduler at home.",
            schedulingGates="Gates before scheduling.",
            securityContext="Rights of the pod.",
            serviceAccountName="ServiceAccount of the pod at home; keeps the job at home.",
            setHostnameAsFQDN="Whether the host name is the full one.",
            shareProcessNamespace="Whether containers see each other's processes.",
            subdomain="Subdomain of the pod.",
            terminationGracePeriodSeconds="Time between the request to stop and the end.",
            tolerations="Taints that the pod tolerates at home.",
            topologySpreadConstraints="How pods spread at home.",
            volumes="Volumes; only emptyDir travels.",
        ),
    },
}

POD_TEMPLATE_SCHEMA: Schema = {
    "type": "object",
    "required": ["spec"],
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "metadata": {
            "type": "object",
            "description": "Labels and annotations of the pods.",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": _kept(
                labels="Labels of the pods.", annotations="Annotations of the pods."
            ),
        },
        "spec": _SPEC,
    },
}

PodTemplate = Annotated[dict[str, Any], WithJsonSchema(POD_TEMPLATE_SCHEMA)]
"""An ordinary pod template, read as plain JSON."""

FrozenTemplate = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": _kept(
                metadata="Labels and annotations of the pods.", spec="Specification of the pod."
            ),
        }
    ),
]
"""A pod template inside a GPULease, which nobody edits."""
