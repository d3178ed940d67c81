"""The part of RunPod's GraphQL that the market's own Python client speaks, over the same pods.

Just enough of the language: one operation a document, its `input` as flat values. Refusals are
answered as that API does: HTTP 200 with `errors`.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from overspill.sandbox.markets.runpod import wire
from overspill.sandbox.markets.runpod.catalog import CLOUDS, Catalog
from overspill.sandbox.markets.runpod.errors import ProblemError
from overspill.sandbox.rentals import Rental, Rentals

_STATUS = {"EXITED": "EXITED", "TERMINATED": "TERMINATED"}
_PAIR = re.compile(r'(\w+): ("(?:[^"\\]|\\.)*"|[\w.]+)')
_ENV = re.compile(r'\{ key: "([^"]*)", value: "([^"]*)" \}')

Rent = Callable[[dict[str, Any]], Rental]


class GraphQl:
    """Answers documents. `rent` makes a pod of a v2 body."""

    def __init__(self, rentals: Rentals, catalog: Catalog, rent: Rent) -> None:
        self._rentals, self._catalog, self._rent = rentals, catalog, rent

    def answer(self, document: str) -> dict[str, Any]:
        """The whole answer."""
        for word, handler in (
            ("podFindAndDeployOnDemand(", self._deploy),
            ("podTerminate(", self._terminate),
            ("podStop(", self._stop),
            ("gpuTypes", self._gpu_types),
            ("pod(", self._pod),
            ("myself", self._myself),
        ):
            if word in document:
                try:
                    name = word.rstrip("(")
                    return {"data": {name: handler(_input(document), document)}}
                except ProblemError as problem:
                    return _errors(str(problem))
        return _errors("Cannot query this field.")

    def _deploy(self, told: Mapping[str, str], document: str) -> dict[str, Any]:
        wanted = told.get("cloudType", "ALL")
        body = {
            "name": told.get("name", ""),
            "image": told.get("imageName", ""),
            "args": told.get("dockerArgs", ""),
            "disk": int(told.get("containerDiskInGb", 10)),
            "env": dict(_ENV.findall(document)),
            "ports": list(filter(None, told.get("ports", "").split(","))),
            "gpu": {"id": told.get("gpuTypeId", ""), "count": int(told.get("gpuCount", 1))},
            "cloud": self._cloud(told.get("gpuTypeId", "")) if wanted == "ALL" else wanted,
        }
        return self._pod_json(self._rent(body))

    def _terminate(self, told: Mapping[str, str], _document: str) -> None:
        self._rentals.close(self._held(told))

    def _stop(self, told: Mapping[str, str], _document: str) -> dict[str, Any]:
        rental = self._held(told)
        self._rentals.stop(rental, "owner")
        return self._pod_json(rental)

    def _pod(self, told: Mapping[str, str], _document: str) -> dict[str, Any] | None:
        rental = self._rentals.all.get(told.get("podId", ""))
        return None if rental is None or rental.state == "ended" else self._pod_json(rental)

    def _myself(self, _told: Mapping[str, str], _document: str) -> dict[str, Any]:
        pods = [self._pod_json(rental) for rental in self._rentals.listed()]
        balance = float(self._rentals.balance_usd)
        return {"id": "sandbox", "pubKey": "", "clientBalance": balance, "pods": pods}

    def _gpu_types(self, told: Mapping[str, str], document: str) -> list[dict[str, Any]]:
        wanted = told.get("id") if "input:" in document else None
        return [
            {
                "id": gpu["id"],
                "displayName": gpu["name"],
                "memoryInGb": gpu["memory"],
                "manufacturer": "Nvidia",
                "secureCloud": gpu["secure"],
                "communityCloud": gpu["community"],
                "securePrice": gpu["price"]["secure"],
                "communityPrice": gpu["price"]["community"],
                "maxGpuCount": max(gpu["maxCount"].values()),
            }
            for gpu in self._catalog.gpus({})
            if wanted is None or gpu["id"] == wanted
        ]

    def _cloud(self, gpu: str) -> str:
        return next((cloud for cloud in CLOUDS if self._catalog.hosts(gpu, cloud)), CLOUDS[0])

    def _held(self, told: Mapping[str, str]) -> Rental:
        rental = self._rentals.all.get(told.get("podId", ""))
        if rental is None or rental.state == "ended":
            raise ProblemError(404, "pod not found")
        return rental

    def _pod_json(self, rental: Rental) -> dict[str, Any]:
        pod = wire.pod_json(self._rentals, rental)
        return {
            "id": pod["id"],
            "name": pod["name"],
            "imageName": pod["image"],
            "dockerArgs": pod["args"],
            "env": [f"{name}={value}" for name, value in pod["env"].items()],
            "gpuCount": pod["gpu"]["count"],
            "costPerHr": pod["cost"],
            "desiredStatus": _STATUS.get(pod["status"], "RUNNING"),
            "containerDiskInGb": pod["disk"],
            "ports": ",".join(pod["ports"]),
            "machineId": rental.host.name,
            "machine": {"gpuDisplayName": pod["gpu"]["id"], "podHostId": pod["id"]},
            "runtime": pod["runtime"] and {"ports": _ports(pod["runtime"]["ports"])},
        }


def _input(document: str) -> dict[str, str]:
    without_env = _ENV.sub("", document)
    pairs = _PAIR.findall(without_env)
    return {k: json.loads(v) if v.startswith('"') else v for k, v in pairs if v != "null"}


def _ports(ports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "ip": port["ip"],
            "isIpPublic": port["type"] == "tcp",
            "privatePort": port["private"],
            "publicPort": port["public"],
            "type": port["type"],
        }
        for port in ports
    ]


def _errors(message: str) -> dict[str, Any]:
    return {"errors": [{"message": message}], "data": None}
