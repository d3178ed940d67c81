"""The leases' bridge keeps one address of its own, whoever comes and goes on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from overspill.sandbox.executor.isolation import why_not_possible
from overspill.sandbox.executor.network import Network


@pytest.fixture
def network() -> Iterator[Network]:
    why = why_not_possible()
    if why:
        pytest.skip(f"no network namespaces here: {why}")
    found = Network()
    yield found
    found.close()


def ethernet_address(network: Network) -> str:
    """Of the bridge that has the network's address."""
    for folder in Path("/sys/class/net").glob("os[bx]*"):
        if folder.name == network.name:
            return (folder / "address").read_text().strip()
    raise AssertionError("the network has no bridge")


def test_copies_come_and_go_and_the_bridge_stays_who_it_was(network: Network) -> None:
    seen = {ethernet_address(network)}
    cells = []
    for _ in range(6):  # one of six random addresses is all but surely lower than the bridge's
        cells.append(network.attach())
        seen.add(ethernet_address(network))
    for cell in cells:
        network.detach(cell)
        seen.add(ethernet_address(network))
    assert len(seen) == 1, "a copy that knows the old address would talk to nobody"
