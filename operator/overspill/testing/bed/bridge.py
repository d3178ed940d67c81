"""The bridge that joins the real node's pods: its address is where the host meets them."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

POOL = ipaddress.ip_network("10.244.0.0/16")


@dataclass(frozen=True)
class Bridge:
    """A bridge of this bed, with the pods' subnet."""

    name: str
    subnet: ipaddress.IPv4Network

    @property
    def address(self) -> str:
        """The host's address on the bridge: the node's address, and the API server's."""
        return str(self.subnet[1])

    @classmethod
    def create(cls, bed_id: str) -> Bridge:
        """Make the bridge with the first subnet of the pool that no route touches."""
        taken = _routed()
        candidates = (net for net in POOL.subnets(new_prefix=24) if isinstance(net, _V4))
        subnet = next(net for net in candidates if not any(net.overlaps(t) for t in taken))
        bridge = cls(name_for(bed_id), subnet)
        _ip("link", "add", bridge.name, "type", "bridge")
        _ip("address", "add", f"{bridge.address}/24", "dev", bridge.name)
        _ip("link", "set", bridge.name, "up")
        return bridge

    def write_cni(self, folder: Path, state: Path) -> None:
        """The network configuration containerd reads; addresses are kept in `state`."""
        folder.mkdir(parents=True, exist_ok=True)
        plugins = [
            {
                "type": "bridge",
                "bridge": self.name,
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(state / "ipam"),
                    "ranges": [[{"subnet": str(self.subnet)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ]
        content = {"cniVersion": "0.4.0", "name": "overspill", "plugins": plugins}
        (folder / "10-overspill.conflist").write_text(json.dumps(content, indent=2))


def name_for(bed_id: str) -> str:
    """Interface names end at 15 characters."""
    return f"osp{bed_id}"


def remove(bed_id: str) -> None:
    """Take the bridge away; silent when it is gone."""
    subprocess.run(["ip", "link", "delete", name_for(bed_id)], capture_output=True, check=False)


_V4 = ipaddress.IPv4Network


def _routed() -> list[ipaddress.IPv4Network]:
    result = subprocess.run(
        ["ip", "-json", "-4", "route"], capture_output=True, text=True, check=True
    )
    targets = [route["dst"] for route in json.loads(result.stdout or "[]")]
    return [ipaddress.IPv4Network(dst, strict=False) for dst in targets if dst != "default"]


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)
