"""The leases' network: one bridge per sandbox, one network namespace per running copy.

A copy reaches the bridge's address on this machine and nothing else: it has no default route, and
the bridge's ports are isolated from each other. Blocks of addresses are claimed by a file lock, so
that several sandboxes never share one, and what a killed sandbox left is removed by the next.
"""

import fcntl
import ipaddress
import json
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from overspill.sandbox.executor.shell import ToolError, ip_batch, tool

POOL = ipaddress.IPv4Network("10.213.0.0/16")
_BLOCK_PREFIX = 22
_LOCKS = Path("/run/overspill-sandbox")


@dataclass(frozen=True, slots=True)
class Cell:
    """The network of one copy."""

    namespace: str
    veth: str
    address: str


class Network:
    """A claimed block of addresses with its bridge."""

    def __init__(self, cidr: str = "") -> None:
        self._lock, self._name, self._block = _claim(cidr)
        hosts = self._block.hosts()
        self.address = str(next(hosts))
        self._free = [str(host) for host in hosts][::-1]
        self._numbers = iter(range(1, 1_000_000))
        _remove(self._name)
        ip_batch(
            [
                f"link add {self._name} address {_mac(self.address)} type bridge",
                f"addr add {self.address}/{self._block.prefixlen} dev {self._name}",
                f"link set {self._name} up",
            ]
        )

    @property
    def name(self) -> str:
        """The bridge's name."""
        return self._name

    def attach(self) -> Cell:
        """A new namespace with an address of its own."""
        if not self._free:
            raise ToolError(f"all addresses of {self._block} are in use")
        number = next(self._numbers)
        cell = Cell(f"{self._name}-{number}", f"{self._name}v{number:x}", self._free.pop())
        tool("ip", "netns", "add", cell.namespace)
        ip_batch(
            [
                f"link add {cell.veth} type veth peer name eth0 netns {cell.namespace}",
                f"link set {cell.veth} master {self._name}",
                f"link set {cell.veth} type bridge_slave isolated on",
                f"link set {cell.veth} up",
            ]
        )
        ip_batch(
            [
                f"addr add {cell.address}/{self._block.prefixlen} dev eth0",
                "link set eth0 up",
                "link set lo up",
            ],
            namespace=cell.namespace,
        )
        return cell

    def detach(self, cell: Cell) -> None:
        """Removes the namespace; its link goes with it."""
        tool("ip", "netns", "del", cell.namespace)
        self._free.append(cell.address)

    def switch(self, cell: Cell, *, on: bool) -> None:
        """Cuts or mends the copy's only link."""
        tool("ip", "link", "set", cell.veth, "up" if on else "down")

    def close(self) -> None:
        """Removes bridge and namespaces and gives the block back."""
        _remove(self._name)
        self._lock.close()


def _mac(address: str) -> str:
    """A bridge that was given none takes the lowest of its ports', and so another one whenever a
    copy comes or goes: copies that know the old one would talk to nobody for half a minute.
    """
    return "02:00:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)


def sweep_leftovers() -> list[str]:
    """Removes the networks of sandboxes that no longer live; their names."""
    removed = []
    for name in _bridges():
        lock = _try_lock(name)
        if lock is not None:
            _remove(name)
            lock.close()
            removed.append(name)
    return removed


def _claim(cidr: str) -> tuple[TextIOWrapper, str, ipaddress.IPv4Network]:
    if cidr:
        block = ipaddress.IPv4Network(cidr)
        name = f"osx{int(block.network_address):08x}"
        lock = _try_lock(name)
        if lock is None:
            raise ToolError(f"another sandbox uses {cidr}")
        _remove(name)
        if any(network.overlaps(block) for network in _networks()):
            lock.close()
            raise ToolError(f"this machine uses addresses of {cidr} already")
        return lock, name, block
    for number, candidate in enumerate(POOL.subnets(new_prefix=_BLOCK_PREFIX)):
        name = f"osb{number}"
        lock = _try_lock(name)
        if lock is None:
            continue
        _remove(name)
        if not any(network.overlaps(candidate) for network in _networks()):
            return lock, name, candidate
        lock.close()
    raise ToolError(f"no block of {POOL} is free")


def _try_lock(name: str) -> TextIOWrapper | None:
    _LOCKS.mkdir(parents=True, exist_ok=True)
    file = (_LOCKS / f"{name}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _remove(name: str) -> None:
    for line in tool("ip", "netns", "list").splitlines():
        namespace = line.split()[0]
        if namespace.startswith(f"{name}-"):
            tool("ip", "netns", "del", namespace)
    if name in _bridges():
        tool("ip", "link", "del", name)


def _bridges() -> list[str]:
    links = json.loads(tool("ip", "-json", "link", "show", "type", "bridge") or "[]")
    names = [link["ifname"] for link in links if link]
    return [name for name in names if name.startswith(("osb", "osx"))]


def _networks() -> list[ipaddress.IPv4Network]:
    links = json.loads(tool("ip", "-json", "-4", "addr", "show") or "[]")
    found = [info for link in links for info in link.get("addr_info", [])]
    return [
        ipaddress.IPv4Network(f"{info['local']}/{info['prefixlen']}", strict=False)
        for info in found
    ]
