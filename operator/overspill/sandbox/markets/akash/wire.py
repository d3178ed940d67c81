"""The Console API's JSON of deployments, bids and leases, field by field as its OpenAPI names them.

Called by the routes only. Amounts are decimal strings with 18 places, heights are strings.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from overspill.sandbox.markets.akash.manifest import (
    LEASED_IP,
    RANDOM_PORT,
    SHARED_HTTP,
    attributes,
    endpoints,
    gpu_attributes,
    storage_attributes,
)
from overspill.sandbox.markets.akash.matching import AUDITOR
from overspill.sandbox.markets.akash.sdl import (
    Sdl,
    Unit,
    parse_cpu,
    parse_gpus,
    parse_size,
    storage_volumes,
)
from overspill.sandbox.markets.akash.state import Bid, Deployment, Escrow, Lease, Order
from overspill.sandbox.workload import ServiceState

DENOM = "uact"
_KINDS = {SHARED_HTTP: "SHARED_HTTP", RANDOM_PORT: "RANDOM_PORT", LEASED_IP: "LEASED_IP"}


def coin(amount: Decimal) -> dict[str, str]:
    """An amount of uact."""
    return {"denom": DENOM, "amount": format(amount.quantize(Decimal("1e-18")), "f")}


def deployment_json(deployment: Deployment) -> dict[str, Any]:
    """The `deployment` object."""
    return {
        "id": {"owner": deployment.owner, "dseq": deployment.dseq},
        "state": deployment.state,
        "hash": deployment.hash,
        "created_at": str(deployment.height),
    }


def listed_json(deployment: Deployment) -> dict[str, Any]:
    """One item of the account's own list: leases without status."""
    return {
        "deployment": deployment_json(deployment),
        "leases": [lease_json(deployment, lease) for lease in deployment.leases],
        "escrow_account": escrow_json(deployment.owner, deployment.dseq, deployment.escrow),
    }


def detailed_json(
    deployment: Deployment, statuses: Mapping[int, dict[str, Any] | None]
) -> dict[str, Any]:
    """One deployment with what its hosts say, by gseq; None where the host says nothing."""
    made = listed_json(deployment)
    for lease, item in zip(deployment.leases, made["leases"], strict=True):
        item["status"] = statuses.get(lease.gseq)
    return made


def chain_json(deployment: Deployment) -> dict[str, Any]:
    """One item of the chain's public list, with the groups and their names."""
    return {
        "deployment": deployment_json(deployment),
        "groups": [_group_json(deployment, order) for order in deployment.orders],
        "escrow_account": escrow_json(deployment.owner, deployment.dseq, deployment.escrow),
    }


def lease_json(deployment: Deployment, lease: Lease) -> dict[str, Any]:
    """A lease without status."""
    made: dict[str, Any] = {
        "id": _id(deployment, lease.gseq, lease.provider),
        "state": lease.state,
        "price": coin(lease.price),
        "created_at": str(lease.height),
        "closed_on": str(lease.closed_height),
    }
    if lease.reason:
        made["reason"] = lease.reason
    return made


def chain_lease_json(deployment: Deployment, lease: Lease) -> dict[str, Any]:
    """A lease as the chain's market module lists it, with its payment."""
    xid = f"{lease.gseq}/1/{lease.provider}"
    return {
        "lease": {"reason": "lease_closed_invalid", **lease_json(deployment, lease)},
        "escrow_payment": {
            "id": {"aid": {"scope": "deployment", "xid": _xid(deployment)}, "xid": xid},
            "state": {
                "owner": lease.provider,
                "state": "open" if lease.is_running else "closed",
                "rate": coin(lease.price),
                "balance": coin(Decimal(0)),
                "unsettled": coin(Decimal(0)),
                "withdrawn": coin(lease.charged),
            },
        },
    }


def bid_json(deployment: Deployment, bid: Bid) -> dict[str, Any]:
    """A bid with the provider's own small escrow."""
    order = deployment.order(bid.gseq)
    units = order.group.units if order else ()
    deposit = Escrow(Decimal(500_000), Decimal(500_000), bid.height)
    window = bid.host.reclamation_window_s
    body: dict[str, Any] = {
        "id": _id(deployment, bid.gseq, bid.provider),
        "state": bid.state,
        "price": coin(bid.price),
        "created_at": str(bid.height),
        "resources_offer": [
            {"resources": _resources(deployment.sdl, unit), "count": unit.count} for unit in units
        ],
    }
    if window is not None:
        body["reclamation_window"] = f"{window}s"
    xid = f"{_xid(deployment)}/{bid.gseq}/1/{bid.provider}"
    return {"bid": body, "escrow_account": _escrow("bid", xid, bid.provider, deposit)}


def escrow_json(owner: str, dseq: str, escrow: Escrow) -> dict[str, Any]:
    """A deployment's escrow account."""
    return _escrow("deployment", f"{owner}/{dseq}", owner, escrow)


def status_json(services: Iterable[ServiceState], with_ports: bool) -> dict[str, Any]:
    """What the host's gateway says of a lease."""
    found = list(services)
    return {
        "services": {state.name: _service_json(state, with_ports) for state in found},
        "forwarded_ports": {
            state.name: [
                {
                    "host": forward.host,
                    "port": forward.port,
                    "externalPort": forward.external,
                    "proto": forward.protocol,
                    "name": state.name,
                    "available": state.available,
                }
                for forward in state.forwards
                if not forward.is_http
            ]
            for state in found
            if with_ports and any(not forward.is_http for forward in state.forwards)
        },
        "ips": {},
    }


def _service_json(state: ServiceState, with_ports: bool) -> dict[str, Any]:
    return {
        "name": state.name,
        "available": state.available,
        "total": state.total,
        "uris": [f"{f.host}:{f.external}" for f in state.forwards if f.is_http and with_ports],
        "observed_generation": 1,
        "replicas": state.total,
        "updated_replicas": state.total,
        "ready_replicas": state.available,
        "available_replicas": state.available,
    }


def _group_json(deployment: Deployment, order: Order) -> dict[str, Any]:
    group = order.group
    return {
        "id": {"owner": deployment.owner, "dseq": deployment.dseq, "gseq": order.gseq},
        "state": order.state,
        "group_spec": {
            "name": group.name,
            "requirements": {
                "signed_by": {
                    "all_of": list(group.all_of),
                    "any_of": [*group.any_of, AUDITOR],
                },
                "attributes": attributes(group.attributes),
            },
            "resources": [
                {
                    "resource": {"id": n, **_resources(deployment.sdl, unit)},
                    "count": unit.count,
                    "price": coin(unit.price),
                }
                for n, unit in enumerate(group.units, start=1)
            ],
        },
        "created_at": str(deployment.height),
    }


def _resources(sdl: Sdl, unit: Unit) -> dict[str, Any]:
    resources = unit.compute["resources"]
    found = [e for name in unit.services for e in endpoints(sdl.services[name])]
    return {
        "cpu": _amount("units", parse_cpu(resources["cpu"]["units"]), []),
        "gpu": _amount(
            "units", parse_gpus(resources.get("gpu")), gpu_attributes(resources.get("gpu"))
        ),
        "memory": _amount("quantity", parse_size(resources["memory"]["size"]), []),
        "storage": [
            {
                "name": volume.get("name") or "default",
                **_amount("quantity", parse_size(volume["size"]), storage_attributes(volume)),
            }
            for volume in storage_volumes(resources)
        ],
        "endpoints": [{"kind": _KINDS[k], "sequence_number": n} for k, n in sorted(found)],
    }


def _amount(name: str, value: int, pairs: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {name: {"val": str(value)}, "attributes": list(pairs)}


def _escrow(scope: str, xid: str, owner: str, escrow: Escrow) -> dict[str, Any]:
    return {
        "id": {"scope": scope, "xid": xid},
        "state": {
            "owner": owner,
            "state": escrow.state,
            "transferred": [coin(escrow.transferred)],
            "settled_at": str(escrow.settled_height),
            "funds": [coin(escrow.funds)],
            "deposits": [
                {
                    "owner": owner,
                    "height": str(escrow.settled_height),
                    "source": "grant" if scope == "deployment" else "balance",
                    "balance": coin(escrow.funds),
                }
            ],
        },
    }


def _id(deployment: Deployment, gseq: int, provider: str) -> dict[str, Any]:
    return {
        "owner": deployment.owner,
        "dseq": deployment.dseq,
        "gseq": gseq,
        "oseq": 1,
        "provider": provider,
        "bseq": 1,
    }


def _xid(deployment: Deployment) -> str:
    return f"{deployment.owner}/{deployment.dseq}"
