"""What a caller can choose about a bed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RealNodeWish = Literal["auto", "yes", "no"]


@dataclass(frozen=True)
class BedOptions:
    """Every field has a default that suits a test session with simulated nodes."""

    workdir: Path | None = None
    """Where logs, keys and state go; None is a temporary directory, removed by `stop`."""

    real_node: RealNodeWish = "auto"
    """`auto` takes one where the machine allows it, `yes` fails where it does not."""

    real_node_wait_seconds: float = 900.0
    """How long to wait for another bed that has the machine's one real node."""

    fast_node_loss: bool = True
    """A silent node is NotReady after 8 s and its pods are evicted 2 s later, not 40 and 300."""

    audit: bool = False
    """Record every request at Metadata level in the API server's audit log."""

    keep: bool = False
    """Keep a temporary working directory after `stop`, for reading logs."""

    apiserver_flags: tuple[str, ...] = ()
    controller_manager_flags: tuple[str, ...] = ()
