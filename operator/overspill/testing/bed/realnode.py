"""The one real node: kubelet, containerd and kube-proxy on this machine."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.progress import Progress

if TYPE_CHECKING:
    from overspill.testing.bed.bed import Bed


@dataclass(frozen=True)
class Bridge:
    address: str


@dataclass(frozen=True)
class Reservation:
    bridge: Bridge
    state: Path


class RealNode:
    @classmethod
    def start(
        cls, node: Reservation, bed: Bed, progress: Progress, closing: contextlib.ExitStack
    ) -> RealNode:
        raise NotImplementedError


def reserve(
    bed_id: str, options: BedOptions, progress: Progress, closing: contextlib.ExitStack
) -> tuple[Reservation | None, str]:
    return None, "not asked for"


def remove_leftovers(state: str) -> None:
    """Nothing yet."""
