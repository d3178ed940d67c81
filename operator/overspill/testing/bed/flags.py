"""Command lines of the control plane's components, with the reasons for what is not obvious."""

from __future__ import annotations

import json
from pathlib import Path

from overspill.testing.bed.build import Binaries
from overspill.testing.bed.layout import FIRST_SERVICE_ADDRESS, LOOPBACK, SERVICE_RANGE, Layout
from overspill.testing.bed.options import BedOptions

KWOK_LABEL = "overspill.dev/simulated"
"""Only nodes with this label have a simulated kubelet; taking it off is a silent death."""

CLIENT_RATE = 500
"""Requests per second that each controller may send: the defaults of 20 to 50 would measure
the client's own brake in every benchmark."""


def etcd(layout: Layout, binaries: Binaries) -> list[str]:
    """One member, never synced to disk: a bed's data does not outlive the bed."""
    pair = layout.etcd_ca.issue("member", "etcd", hosts=[LOOPBACK, "localhost"])
    peer = f"https://{LOOPBACK}:{layout.ports.etcd_peer}"
    flags = {
        "data-dir": layout.etcd_data,
        "listen-client-urls": layout.etcd_url,
        "advertise-client-urls": layout.etcd_url,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "listen-metrics-urls": f"http://{LOOPBACK}:{layout.ports.etcd_metrics}",
        "cert-file": pair.cert,
        "key-file": pair.key,
        "trusted-ca-file": layout.etcd_ca.cert,
        "client-cert-auth": "true",
        "peer-cert-file": pair.cert,
        "peer-key-file": pair.key,
        "peer-trusted-ca-file": layout.etcd_ca.cert,
        "peer-client-cert-auth": "true",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return [str(binaries.etcd / "etcd"), *_render(flags)]


def apiserver(layout: Layout, binaries: Binaries, options: BedOptions) -> list[str]:
    """The real API server, with RBAC and the node authorizer as in a real cluster."""
    hosts = [LOOPBACK, "localhost", layout.address, FIRST_SERVICE_ADDRESS]
    hosts += ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    serving = layout.ca.issue("apiserver", "kube-apiserver", hosts=hosts)
    kubelet = layout.ca.issue("apiserver-kubelet", "kube-apiserver-kubelet", ("system:masters",))
    store = layout.etcd_ca.issue("apiserver", "kube-apiserver")
    flags: dict[str, object] = {
        "bind-address": layout.address,
        "secure-port": layout.ports.apiserver,
        "service-cluster-ip-range": SERVICE_RANGE,
        "tls-cert-file": serving.cert,
        "tls-private-key-file": serving.key,
        "client-ca-file": layout.ca.cert,
        "etcd-servers": layout.etcd_url,
        "etcd-cafile": layout.etcd_ca.cert,
        "etcd-certfile": store.cert,
        "etcd-keyfile": store.key,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": layout.service_account.cert,
        "service-account-signing-key-file": layout.service_account.key,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-certificate-authority": layout.ca.cert,
        "kubelet-client-certificate": kubelet.cert,
        "kubelet-client-key": kubelet.key,
        "profiling": "false",
    }
    if layout.address == LOOPBACK:
        # A loopback address may not be published as an endpoint of the kubernetes Service.
        flags["endpoint-reconciler-type"] = "none"
    if options.fast_node_loss:
        flags["default-not-ready-toleration-seconds"] = 2
        flags["default-unreachable-toleration-seconds"] = 2
    if options.audit:
        flags |= _audit(layout)
    return [
        str(binaries.control_plane / "kube-apiserver"),
        *_render(flags),
        *options.apiserver_flags,
    ]


def controller_manager(layout: Layout, binaries: Binaries, options: BedOptions) -> list[str]:
    """All default controllers, each with its own account."""
    config = layout.client_kubeconfig("system:kube-controller-manager")
    flags: dict[str, object] = {
        **_shared(config, layout.ports.controller_manager),
        "leader-elect": "false",
        "root-ca-file": layout.ca.cert,
        "service-account-private-key-file": layout.service_account.key,
        "use-service-account-credentials": "true",
        "cluster-signing-cert-file": layout.ca.cert,
        "cluster-signing-key-file": layout.ca.key,
        "kube-api-qps": CLIENT_RATE,
        "kube-api-burst": 2 * CLIENT_RATE,
    }
    if options.fast_node_loss:
        # The eviction rate and the zone threshold would stop a small cluster's evictions
        # after the first lost nodes; a test that wants that brake turns this option off.
        flags["node-monitor-period"] = "1s"
        flags["node-monitor-grace-period"] = "8s"
        flags["node-eviction-rate"] = 10
        flags["unhealthy-zone-threshold"] = 0.9
    return [
        str(binaries.control_plane / "kube-controller-manager"),
        *_render(flags),
        *options.controller_manager_flags,
    ]


def scheduler(layout: Layout, binaries: Binaries) -> list[str]:
    """The default scheduler; its client rate can only be set in a file."""
    config = layout.client_kubeconfig("system:kube-scheduler")
    settings = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {
            "kubeconfig": str(config),
            "qps": CLIENT_RATE,
            "burst": 2 * CLIENT_RATE,
        },
    }
    file = _write(layout.workdir / "config" / "scheduler.json", settings)
    shared = _shared(config, layout.ports.scheduler)
    del shared["kubeconfig"]
    flags = {**shared, "config": file}
    return [str(binaries.control_plane / "kube-scheduler"), *_render(flags)]


def kwok(layout: Layout, binaries: Binaries, stages: list[Path], options: BedOptions) -> list[str]:
    """The simulated kubelets. A label selector, not an annotation selector: only then does
    kwok drop a node, and stop renewing its lease, when the label goes."""
    config = layout.client_kubeconfig("overspill-bed-kwok", ("system:masters",))
    flags: dict[str, object] = {
        "kubeconfig": config,
        "manage-all-nodes": "false",
        "manage-nodes-with-label-selector": f"{KWOK_LABEL}=true",
        "node-lease-duration-seconds": 4 if options.fast_node_loss else 40,
        "server-address": f"{LOOPBACK}:{layout.ports.kwok}",
    }
    chosen = [f"--config={stage}" for stage in stages]
    return [str(binaries.kwok / "kwok"), *_render(flags), *chosen]


def _shared(config: Path, port: int) -> dict[str, object]:
    return {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": LOOPBACK,
        "secure-port": port,
        "profiling": "false",
    }


def _audit(layout: Layout) -> dict[str, object]:
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }
    return {
        "audit-policy-file": _write(layout.workdir / "config" / "audit.json", policy),
        "audit-log-path": layout.log("audit"),
    }


def _write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))
    return path


def _render(flags: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]
