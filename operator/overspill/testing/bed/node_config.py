"""Configuration files of the real node's three components, with the reasons for the unusual."""

from __future__ import annotations

import json
from pathlib import Path

from overspill.testing.bed import images
from overspill.testing.bed.bridge import Bridge
from overspill.testing.bed.layout import LOOPBACK, Layout
from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.pki import KeyPair


def containerd(state: Path) -> Path:
    """A containerd of the bed's own: nothing is shared with one that the machine may run.

    Lowering an oom_score_adj needs a capability that virtual machines often lack; without
    `restrict_oom_score_adj` no sandbox would start there.
    """
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    text = f"""
version = 2
root = "{state}/containerd"
state = "{state}/run"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{state}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{state}/opt"
[{cri}]
  sandbox_image = "{images.PAUSE}"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  stream_server_address = "{LOOPBACK}"
[{cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{state}/cni"
[{cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
  Root = "{state}/runc"
"""
    return _write(state / "config" / "containerd.toml", text)


def kubelet(
    state: Path, layout: Layout, serving: KeyPair, ports: tuple[int, int], options: BedOptions
) -> Path:
    """Without cgroups per QoS class and with the user-namespace gate, the kubelet runs on
    cgroup v1 machines and where it may not write every sysctl."""
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.address,
        "port": ports[0],
        "readOnlyPort": 0,
        "healthzBindAddress": LOOPBACK,
        "healthzPort": ports[1],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.ca.cert)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.cert),
        "tlsPrivateKeyFile": str(serving.key),
        "containerRuntimeEndpoint": f"unix://{state}/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "featureGates": {"KubeletInUserNamespace": True},
        "makeIPTablesUtilChains": False,
        "nodeLeaseDurationSeconds": 4 if options.fast_node_loss else 40,
        "nodeStatusUpdateFrequency": "2s" if options.fast_node_loss else "10s",
        "podLogsDir": f"{state}/pod-logs",
        "volumePluginDir": f"{state}/volume-plugins",
        "resolvConf": "",
        # A developer's full disk is not what is being tested.
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "1Mi"},
        "imageGCHighThresholdPercent": 100,
    }
    return _write(state / "config" / "kubelet.json", json.dumps(config, indent=2))


def kube_proxy(
    state: Path, kubeconfig: Path, name: str, bridge: Bridge, ports: tuple[int, int]
) -> Path:
    """nftables mode, with the machine's conntrack limits left as they are."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": name,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": str(bridge.subnet),
        "bindAddress": bridge.address,
        "metricsBindAddress": f"{LOOPBACK}:{ports[0]}",
        "healthzBindAddress": f"{LOOPBACK}:{ports[1]}",
        "nodePortAddresses": ["primary"],
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s",
                      "tcpCloseWaitTimeout": "0s"},
    }  # fmt: skip
    return _write(state / "config" / "kube-proxy.json", json.dumps(config, indent=2))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
