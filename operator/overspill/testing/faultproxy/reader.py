"""Reads the truth around the proxies: objects with the administrator's certificate, and the ledger.

Once a second for minutes: a kubectl for each look would take half a core.
"""

import ssl
from typing import Any, Self

import httpx

from overspill.sandbox.ledger import Entry, parse
from overspill.testing.bed import kubeconfig
from overspill.testing.bed.cluster import Cluster
from overspill.testing.sandbox import Sandbox

OURS = "/apis/overspill.dev/v1alpha1"
PATHS = {"GPUJob": f"{OURS}/gpujobs", "GPULease": f"{OURS}/gpuleases", "Job": "/apis/batch/v1/jobs"}
TIMEOUT_S = 30.0

Object = dict[str, Any]


class Reader:
    """A bed's API server and a sandbox's ledger, read and never written."""

    def __init__(self, cluster: Cluster, market: Sandbox) -> None:
        self._kube = httpx.Client(
            base_url=cluster.server, verify=_tls(cluster), timeout=TIMEOUT_S, trust_env=False
        )
        self._market = httpx.Client(base_url=market.url, timeout=TIMEOUT_S, trust_env=False)
        self._entries: list[Entry] = []

    def listed(self, kind: str) -> list[Object]:
        """Every object of a kind, in all namespaces."""
        answer = self._kube.get(PATHS[kind]).raise_for_status()
        return [{**found, "kind": kind} for found in answer.json()["items"]]

    def ledger(self) -> list[Entry]:
        """Every entry so far; only new ones are fetched."""
        since = {"since": len(self._entries)}
        answer = self._market.get("/_sandbox/ledger", params=since).raise_for_status()
        self._entries += parse(answer.json()["entries"])
        return list(self._entries)

    def close(self) -> None:
        """Ends the connections."""
        self._kube.close()
        self._market.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _tls(cluster: Cluster) -> ssl.SSLContext:
    user = kubeconfig.read(cluster.kubeconfig)["users"][0]["user"]
    context = ssl.create_default_context(cafile=str(cluster.ca_file))
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    return context
