"""Whether a pod template can run on any market, and as what.

`portable` derives the one-container workload that every market can be told to run, or names each
field that ties the template to this cluster. The engine asks once per generation of a GPUJob and
hands the obstacles to placement (`JobFacts.not_portable`), which then keeps the job at home.

What only steers home scheduling (nodeSelector, affinity, tolerations, priorities, probes) does
not travel and does no harm; emptyDir volumes are plain directories of the container elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from overspill.core.offer import NOTHING_BESIDE, Beside
from overspill.core.quantities import GIB, parse_quantity
from overspill.core.reasons import Reason
from overspill.core.workload import PortableWorkload, SecretEnv

GPU_RESOURCE = "nvidia.com/gpu"

CPU_PER_GPU = Decimal(2)
MEMORY_GIB_PER_GPU = Decimal(8)
DISK_GIB = Decimal(10)
"""What is rented beside the GPUs when the template names neither requests nor limits."""

SPEC = "spec.template.spec"


@dataclass(frozen=True, slots=True)
class Portability:
    """The workload that can travel, or the sentences that say why it cannot. Never both."""

    workload: PortableWorkload | None
    obstacles: tuple[str, ...] = ()
    invalid: str = ""
    """Why the template can run nowhere at all: see `malformed`."""
    requests: Beside = NOTHING_BESIDE
    """CPU and memory that the scheduler keeps for a pod of it at home."""

    @property
    def reason(self) -> Reason | None:
        """The reason placement gives; None when the workload can travel."""
        if not self.obstacles:
            return None
        only_entrypoint = all(_ENTRYPOINT in obstacle for obstacle in self.obstacles)
        return Reason.ENTRYPOINT_UNKNOWN if only_entrypoint else Reason.TEMPLATE_NOT_PORTABLE


def portable(template: Mapping[str, Any], gpu_count: int) -> Portability:
    """The portable workload of a pod template whose container uses `gpu_count` GPUs."""
    if wrong := malformed(template):
        return Portability(None, (wrong,), wrong)
    spec = _mapping(template.get("spec"))
    return replace(_travelling(spec, gpu_count), requests=requests_of(template))


def _travelling(spec: Mapping[str, Any], gpu_count: int) -> Portability:
    containers = _list(spec.get("containers"))
    obstacles = [*_pod_obstacles(spec), *_volume_obstacles(spec)]
    if len(containers) != 1:
        obstacles.append(f"{SPEC}.containers has {len(containers)} containers; one can travel")
        return Portability(None, tuple(obstacles))
    reading = _ContainerReading(_mapping(containers[0]), gpu_count)
    workload = reading.workload()
    obstacles += reading.obstacles
    return Portability(None, tuple(obstacles)) if obstacles else Portability(workload)


def malformed(template: Mapping[str, Any]) -> str:
    """Which field of a template has a shape that no pod has, in words; "" when none we read has.

    The CRD keeps most of the template as it is, so anything may stand there, and the API server
    would say so only when the child is created.
    """
    return next(_misshapen(dict(template), _SHAPE, "spec.template"), "")


_Shape = type | list["_Shape"] | dict[str, "_Shape"]

_CONTAINER_SHAPE: dict[str, _Shape] = {
    "command": [str],
    "args": [str],
    "env": [dict],
    "resources": {"limits": dict, "requests": dict},
}
_SHAPE: dict[str, _Shape] = {
    "metadata": {"labels": dict, "annotations": dict},
    "spec": {
        "containers": [_CONTAINER_SHAPE],
        "tolerations": [dict],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [dict]}]
                },
                "preferredDuringSchedulingIgnoredDuringExecution": [dict],
            }
        },
    },
}
"""What is read of a template, and of which kind it must be."""
_WORDS: Mapping[type, str] = {dict: "a map", list: "a list", str: "a text"}


def _misshapen(value: object, shape: _Shape, path: str) -> Iterator[str]:
    kind = shape if isinstance(shape, type) else type(shape)
    if value is None:
        return
    if not isinstance(value, kind):
        yield f"{path} must be {_WORDS[kind]}"
    elif isinstance(shape, list) and isinstance(value, list):
        for i, entry in enumerate(value):
            yield from _misshapen(entry, shape[0], f"{path}[{i}]")
    elif isinstance(shape, dict) and isinstance(value, dict):
        for name, child in shape.items():
            yield from _misshapen(value.get(name), child, f"{path}.{name}")


_ENTRYPOINT = "the image's ENTRYPOINT"

_POD_TIES: Mapping[str, str] = {
    "initContainers": "init containers cannot travel",
    "ephemeralContainers": "ephemeral containers cannot travel",
    "hostNetwork": "the host's network exists in this cluster only",
    "hostPID": "the host's processes exist in this cluster only",
    "hostIPC": "the host's IPC exists in this cluster only",
    "hostAliases": "a market does not write host aliases",
    "imagePullSecrets": "a market cannot pull a private image with this cluster's secret",
    "automountServiceAccountToken": "a ServiceAccount token is worth nothing outside",
    "resourceClaims": "a device claim is made in this cluster",
}
"""Fields of a pod that must be unset or false, with why."""

_VOLUME_TIES: Mapping[str, str] = {
    "persistentVolumeClaim": "a PersistentVolumeClaim stays in this cluster",
    "hostPath": "a path of the host exists in this cluster only",
    "configMap": "a ConfigMap volume cannot travel",
    "secret": "a Secret volume cannot travel; use env with secretKeyRef",
    "projected": "a projected volume cannot travel",
    "downwardAPI": "the downward API exists in this cluster only",
}


def _pod_obstacles(spec: Mapping[str, Any]) -> Iterator[str]:
    for name, why in _POD_TIES.items():
        if spec.get(name):
            yield f"{SPEC}.{name} is set: {why}"
    for name in ("serviceAccountName", "serviceAccount"):
        if spec.get(name) not in (None, "", "default"):
            yield f"{SPEC}.{name} is set: a ServiceAccount token is worth nothing outside"
    if _mapping(spec.get("securityContext")).get("sysctls"):
        yield f"{SPEC}.securityContext.sysctls is set: a market does not set kernel parameters"


def _volume_obstacles(spec: Mapping[str, Any]) -> Iterator[str]:
    for i, volume in enumerate(_list(spec.get("volumes"))):
        kinds = [kind for kind in _mapping(volume) if kind != "name"]
        for kind in kinds:
            if kind != "emptyDir":
                why = _VOLUME_TIES.get(kind, "a volume of this kind cannot travel")
                yield f"{SPEC}.volumes[{i}].{kind} is set: {why}"


class _ContainerReading:
    """One pass over the container, collecting what travels and what does not."""

    def __init__(self, container: Mapping[str, Any], gpu_count: int) -> None:
        self._container = container
        self._gpu_count = gpu_count
        self._path = f"{SPEC}.containers[0]"
        self._plain: dict[str, str] = {}
        self._secret: dict[str, SecretEnv] = {}
        self.obstacles: list[str] = []

    def workload(self) -> PortableWorkload:
        """The workload; worthless when `obstacles` is not empty afterwards."""
        self._read_ties()
        self._read_env()
        resources = _mapping(self._container.get("resources"))
        self._read_extended(resources)
        return PortableWorkload(
            image=self._image(),
            command=self._command(),
            args=self._words("args"),
            env=tuple(self._plain.items()),
            secret_env=tuple(self._secret.values()),
            ports=self._ports(),
            cpu_units=self._amount(resources, "cpu") or CPU_PER_GPU * self._gpu_count,
            memory_gib=self._gib(resources, "memory") or MEMORY_GIB_PER_GPU * self._gpu_count,
            disk_gib=self._gib(resources, "ephemeral-storage") or DISK_GIB,
            working_dir=str(self._container.get("workingDir") or ""),
        )

    def _refuse(self, field: str, why: str) -> None:
        self.obstacles.append(f"{self._path}.{field} {why}")

    def _image(self) -> str:
        image = self._container.get("image")
        if isinstance(image, str) and image:
            return image
        self._refuse("image", "is not set: there is nothing to run")
        return ""

    def _command(self) -> tuple[str, ...]:
        command = self._words("command")
        if not command:
            self._refuse("command", f"is not set: a market loses {_ENTRYPOINT}; write it out here")
        return command

    def _words(self, field: str) -> tuple[str, ...]:
        return tuple(
            self._expanded(f"{field}[{i}]", str(word))
            for i, word in enumerate(_list(self._container.get(field)))
        )

    def _read_ties(self) -> None:
        security = _mapping(self._container.get("securityContext"))
        if security.get("privileged"):
            self._refuse("securityContext.privileged", "is true: no market gives that")
        if _mapping(security.get("capabilities")).get("add"):
            self._refuse("securityContext.capabilities.add", "is set: no market gives that")
        for field in ("envFrom", "lifecycle", "volumeDevices"):
            if self._container.get(field):
                self._refuse(field, "is set: it cannot travel")

    def _read_env(self) -> None:
        for i, raw in enumerate(_list(self._container.get("env"))):
            entry = _mapping(raw)
            name, path = str(entry.get("name") or ""), f"env[{i}]"
            source = _mapping(entry.get("valueFrom"))
            if not name:
                self._refuse(path, "has no name")
            elif not source:
                self._secret.pop(name, None)
                self._plain[name] = self._expanded(f"{path}.value", str(entry.get("value") or ""))
            elif set(source) == {"secretKeyRef"}:
                self._read_secret(name, path, _mapping(source["secretKeyRef"]))
            else:
                kind = sorted(source)[0]
                self._refuse(f"{path}.valueFrom.{kind}", "is set: it exists in this cluster only")

    def _read_secret(self, name: str, path: str, ref: Mapping[str, Any]) -> None:
        secret, key = str(ref.get("name") or ""), str(ref.get("key") or "")
        if not secret or not key:
            self._refuse(f"{path}.valueFrom.secretKeyRef", "must name a Secret and a key")
            return
        self._plain.pop(name, None)
        self._secret[name] = SecretEnv(name, secret, key, bool(ref.get("optional")))

    def _expanded(self, field: str, text: str) -> str:
        """Kubernetes expands `$(NAME)` itself; a market does not, so it is done here."""

        def value(match: re.Match[str]) -> str:
            if match.group(0).startswith("$$"):
                return match.group(0)[1:]
            name = match.group(1)
            if name in self._secret:
                self._refuse(field, f"uses $({name}), whose value is a Secret")
            return self._plain.get(name, match.group(0))

        return re.sub(r"\$?\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)", value, text)

    def _ports(self) -> tuple[int, ...]:
        ports = []
        for i, raw in enumerate(_list(self._container.get("ports"))):
            port = _mapping(raw)
            if port.get("hostPort"):
                self._refuse(f"ports[{i}].hostPort", "is set: a market chooses the outer port")
            if str(port.get("protocol") or "TCP") != "TCP":
                self._refuse(f"ports[{i}].protocol", "is not TCP: markets forward TCP only")
            number = port.get("containerPort")
            if isinstance(number, int) and 0 < number < 65536:
                ports.append(number)
            else:
                self._refuse(f"ports[{i}].containerPort", "is not a port number")
        return tuple(dict.fromkeys(ports))

    def _read_extended(self, resources: Mapping[str, Any]) -> None:
        for section in ("limits", "requests"):
            for name in _mapping(resources.get(section)):
                field = f"resources.{section}[{name}]"
                if name == GPU_RESOURCE:
                    self._check_gpus(field, _mapping(resources[section])[name])
                elif "/" in name:
                    self._refuse(field, "is set: markets do not know this resource")
        if resources.get("claims"):
            self._refuse("resources.claims", "is set: a device claim is made in this cluster")

    def _check_gpus(self, field: str, raw: object) -> None:
        value = self._parsed(field, raw)
        if value is not None and value != self._gpu_count:
            self._refuse(field, f"is {value}, but spec.gpu.count is {self._gpu_count}")

    def _amount(self, resources: Mapping[str, Any], name: str) -> Decimal | None:
        for section in ("requests", "limits"):
            raw = _mapping(resources.get(section)).get(name)
            if raw is not None:
                return self._parsed(f"resources.{section}[{name}]", raw)
        return None

    def _gib(self, resources: Mapping[str, Any], name: str) -> Decimal | None:
        amount = self._amount(resources, name)
        return None if amount is None else amount / GIB

    def _parsed(self, field: str, raw: object) -> Decimal | None:
        try:
            value = parse_quantity(raw)
        except ValueError as error:
            self._refuse(field, f"cannot be read: {error}")
            return None
        if value < 0:
            self._refuse(field, "is negative")
        return value


def _mapping(value: object) -> Mapping[str, Any]:
    """Templates are kept as the user wrote them: anything may stand anywhere."""
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def requests_of(template: Mapping[str, Any]) -> Beside:
    """CPU and memory that the scheduler keeps for a pod of the template: all containers and
    sidecars together, or one init step where that is larger."""
    spec = _mapping(template.get("spec"))
    steps = [_mapping(step) for step in _list(spec.get("initContainers"))]
    lasting = [_mapping(c) for c in _list(spec.get("containers"))]
    lasting += [step for step in steps if step.get("restartPolicy") == "Always"]

    def kept(name: str) -> Decimal:
        largest = max((_request(step, name) for step in steps), default=Decimal(0))
        return max(sum((_request(c, name) for c in lasting), Decimal(0)), largest)

    found = Beside(kept("cpu"), kept("memory") / GIB)
    return found if found != NOTHING_BESIDE else NOTHING_BESIDE


def _request(container: Mapping[str, Any], name: str) -> Decimal:
    """Limits stand in where no request is written; what cannot be read the API server refuses."""
    resources = _mapping(container.get("resources"))
    written = {**_mapping(resources.get("limits")), **_mapping(resources.get("requests"))}
    try:
        return parse_quantity(written.get(name, 0))
    except ValueError:
        return Decimal(0)
