"""Turns a leased group into the programs the executor runs, with the names hosts add."""

from collections.abc import Mapping
from typing import Any

from overspill.sandbox.markets.akash.manifest import is_ingress
from overspill.sandbox.markets.akash.state import Deployment, Lease
from overspill.sandbox.workload import Port, Service, Workload


def workload(deployment: Deployment, lease: Lease, backoff_s: float = 10.0) -> Workload:
    """Everything of one lease that runs."""
    order = deployment.order(lease.gseq)
    assert order is not None  # noqa: S101 -- a lease is made from an order
    gpus = max((unit.slice.gpus for unit in order.group.units), default=0)
    return Workload(
        lease=deployment.lease_name(lease),
        key=deployment.key,
        host=lease.host.name,
        services=[
            _service(deployment, lease, name, int(where[order.group.name]["count"]))
            for name, where in sorted(deployment.sdl.document["deployment"].items())
            if order.group.name in where
        ],
        gpu=lease.gpu,
        gpus=gpus,
        boot_s=lease.host.boot_s,
        restart_backoff_s=backoff_s,
    )


def _service(deployment: Deployment, lease: Lease, name: str, count: int) -> Service:
    service = deployment.sdl.services[name]
    given = [_pair(entry) for entry in service.get("env") or []]
    return Service(
        name=name,
        command=list(service.get("command") or []),
        args=list(service.get("args") or []),
        env=[*given, *_added(deployment, lease)],
        ports=[_port(expose) for expose in service.get("expose") or [] if _is_global(expose)],
        replicas=count,
    )


def _added(deployment: Deployment, lease: Lease) -> list[tuple[str, str]]:
    return [
        ("AKASH_GROUP_SEQUENCE", str(lease.gseq)),
        ("AKASH_DEPLOYMENT_SEQUENCE", deployment.dseq),
        ("AKASH_ORDER_SEQUENCE", "1"),
        ("AKASH_OWNER", deployment.owner),
        ("AKASH_PROVIDER", lease.provider),
        ("AKASH_CLUSTER_PUBLIC_HOSTNAME", f"provider.{lease.host.name}.sandbox"),
    ]


def _pair(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value


def _port(expose: Mapping[str, Any]) -> Port:
    return Port(
        port=int(expose["port"]),
        external=int(expose.get("as") or 0),
        protocol=str(expose.get("proto") or "TCP").upper(),
        is_http=is_ingress(expose),
    )


def _is_global(expose: Mapping[str, Any]) -> bool:
    return any(to.get("global") for to in expose.get("to") or [])
