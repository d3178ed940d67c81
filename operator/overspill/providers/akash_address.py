"""Whether an address that a stranger told is one that we would go to. Used by `akash_gateway.py`.

A provider that names an address of ours (a metadata service, a pod, this machine) would have us
knock there; so only public ones count, and names are looked at when they are resolved, since they
may lead elsewhere each time.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = IPv6Network("64:ff9b::/96")
"""Leads to any IPv4 address, a private one too."""


def why_not(url: str, *, allows_local: bool) -> str:
    """Why a base URL is none for us; "" when it is. `allows_local`: private and plain are well."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "its address is none"
    is_bare = not (parts.username or parts.password or parts.query or parts.fragment)
    if not host or port == 0 or not is_bare or not url.isascii():
        return "its address is none"
    if parts.scheme != "https" and not (parts.scheme == "http" and allows_local):
        return "its address is not https, and the token would travel in the clear"
    if not allows_local and not is_public(host):
        return "its address is not a public one"
    return ""


def is_public(host: str) -> bool:
    """False for an address of this machine or a private network; a name is judged when resolved."""
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return True
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return False
        address = address.ipv4_mapped or address.sixtofour or address
    return address.is_global and not address.is_multicast


class PublicNames(AbstractResolver):
    """Resolves names for aiohttp, at the moment of connecting."""

    def __init__(self, *, allows_local: bool) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._allows_local = allows_local

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError when one of them is not public."""
        found = await self._inner.resolve(host, port, family)
        if not self._allows_local and not all(is_public(one["host"]) for one in found):
            raise OSError("The name leads to an address that is not public.")
        return found

    async def close(self) -> None:
        """Nothing is kept open."""
        await self._inner.close()
