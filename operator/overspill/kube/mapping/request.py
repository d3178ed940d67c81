"""The frozen request inside a GPULease: exactly what will be asked of the place.

Rented leases carry a portable workload (an image), home leases a pod template.
"""

from decimal import Decimal
from typing import Any

from overspill.core.workload import LeaseRequest, PortableWorkload, SecretEnv
from overspill.kube.mapping.reading import Fields
from overspill.kube.mapping.writing import money, present
from overspill.kube.packed import packed


def read_request(request: Fields) -> LeaseRequest:
    """The core's LeaseRequest of `spec.request`."""
    return LeaseRequest(
        gpu_count=request.number("gpuCount", 1),
        num_nodes=request.number("numNodes", 1),
        workload=_workload(request) if request.text("image") else None,
        template=packed(request.mapping("template")),
        home_node=request.text("homeNode"),
        report_url=request.text("reportURL"),
        secret_digest=request.text("secretDigest"),
        active_deadline_seconds=request.whole("activeDeadlineSeconds"),
        grace_period_seconds=request.number("gracePeriodSeconds", 30),
        labels=tuple(sorted((k, str(v)) for k, v in request.mapping("labels").items())),
    )


def _workload(request: Fields) -> PortableWorkload:
    return PortableWorkload(
        image=request.required("image"),
        command=request.texts("command"),
        args=request.texts("args"),
        env=tuple((e.required("name"), e.text("value")) for e in request.each("env")),
        secret_env=tuple(_secret_env(e) for e in request.each("secretEnv")),
        ports=request.wholes("ports"),
        cpu_units=request.decimal("cpuUnits") or Decimal(1),
        memory_gib=request.decimal("memoryGiB") or Decimal(2),
        disk_gib=request.decimal("diskGiB") or Decimal(10),
        working_dir=request.text("workingDir"),
    )


def _secret_env(entry: Fields) -> SecretEnv:
    return SecretEnv(
        name=entry.required("name"),
        secret_name=entry.required("secretName"),
        key=entry.required("key"),
        optional=entry.flag("optional"),
    )


def write_request(request: LeaseRequest) -> dict[str, Any]:
    """`spec.request` of the core's LeaseRequest."""
    return present(
        {
            "gpuCount": request.gpu_count,
            "numNodes": request.num_nodes,
            "homeNode": request.home_node,
            "template": dict(request.template),
            "reportURL": request.report_url,
            "secretDigest": request.secret_digest,
            "activeDeadlineSeconds": request.active_deadline_seconds,
            "gracePeriodSeconds": request.grace_period_seconds,
            "labels": dict(request.labels),
            **(_write_workload(request.workload) if request.workload else {}),
        }
    )


def _write_workload(workload: PortableWorkload) -> dict[str, Any]:
    return {
        "image": workload.image,
        "command": list(workload.command),
        "args": list(workload.args),
        "env": [{"name": name, "value": value} for name, value in workload.env],
        "secretEnv": [
            {
                "name": s.name,
                "secretName": s.secret_name,
                "key": s.key,
                "optional": s.optional,
            }
            for s in workload.secret_env
        ],
        "ports": list(workload.ports),
        "cpuUnits": money(workload.cpu_units),
        "memoryGiB": money(workload.memory_gib),
        "diskGiB": money(workload.disk_gib),
        "workingDir": workload.working_dir,
    }
