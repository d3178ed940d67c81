"""Addresses, ports, keys and kubeconfigs of one bed, decided before any process starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from overspill.testing.bed import kubeconfig, pki
from overspill.testing.bed.ports import PortClaims

LOOPBACK = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"


@dataclass(frozen=True)
class Ports:
    """One port per listener."""

    etcd_client: int
    etcd_peer: int
    etcd_metrics: int
    apiserver: int
    controller_manager: int
    scheduler: int
    kwok: int


@dataclass(frozen=True)
class Layout:
    """Everything the command lines of the components refer to."""

    workdir: Path
    etcd_data: Path
    address: str
    """Where the API server listens: the bridge when real pods have to reach it."""
    ports: Ports
    ca: pki.Authority
    etcd_ca: pki.Authority
    service_account: pki.KeyPair

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.ports.apiserver}"

    @property
    def etcd_url(self) -> str:
        """Where the API server reaches etcd."""
        return f"https://{LOOPBACK}:{self.ports.etcd_client}"

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.workdir / "admin.kubeconfig"

    def log(self, component: str) -> Path:
        """The log file of a component."""
        return self.workdir / "logs" / f"{component}.log"

    def client_kubeconfig(self, user: str, groups: tuple[str, ...] = ()) -> Path:
        """A kubeconfig for a component that authenticates by certificate."""
        file = user.replace(":", "-")
        pair = self.ca.issue(file, user, groups)
        path = self.workdir / "kubeconfigs" / file
        return kubeconfig.with_certificate(path, self.server, self.ca.cert, user, pair)


def plan(workdir: Path, etcd_data: Path, address: str, claims: PortClaims) -> Layout:
    """Claim the ports, make the keys, and write the administrator's kubeconfig."""
    keys = workdir / "pki"
    layout = Layout(
        workdir=workdir,
        etcd_data=etcd_data,
        address=address,
        ports=Ports(
            etcd_client=claims.claim(),
            etcd_peer=claims.claim(),
            etcd_metrics=claims.claim(),
            apiserver=claims.claim(address),
            controller_manager=claims.claim(),
            scheduler=claims.claim(),
            kwok=claims.claim(),
        ),
        ca=pki.Authority(keys, "overspill-bed"),
        # etcd has an authority of its own: a client of the API server must not pass at etcd.
        etcd_ca=pki.Authority(keys / "etcd", "overspill-bed-etcd"),
        service_account=pki.service_account_key(keys),
    )
    admin = layout.ca.issue("admin", "overspill-bed-admin", ("system:masters",))
    kubeconfig.with_certificate(
        layout.admin_kubeconfig, layout.server, layout.ca.cert, "overspill-bed-admin", admin
    )
    return layout
