"""Price lists of clouds as people have them: CSV files with one machine type and region a row.

Mounted into the operator (`OVERSPILL_PRICE_CATALOG`: a file or a folder of `*.csv`), read again
when a file changes. Columns are known by name, whatever their order: those of the published lists
of AWS, Azure, GCP and SkyPilot. Prices are USD per hour for the whole machine. Used for pools that
an autoscaler grows, and for the reference that savings are told against.
"""

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from overspill.core.gpus import canonical_model

log = logging.getLogger(__name__)

LARGEST_BYTES = 16 * 1024 * 1024
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "machine": ("instance_type", "instancetype", "machine_type"),
    "gpu": ("gpu_name", "acceleratorname"),
    "count": ("gpu_count", "acceleratorcount"),
    "region": ("region",),
    "on_demand": ("usd_per_hour", "price"),
    "spot": ("spot_usd_per_hour", "spotprice"),
    "mib": ("gpu_memory_mib",),
    "gib": ("vram_gib_per_gpu",),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One machine type in one region. None: not sold that way."""

    machine: str
    gpu: str
    """Canonical model."""
    count: int
    region: str
    on_demand: Decimal | None
    spot: Decimal | None


class Catalog:
    """All rows of all files; empty when none is mounted."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen: tuple[tuple[str, int, int], ...] = ()
        self._rows: dict[tuple[str, str], Row] = {}

    def price(self, machine: str, region: str, *, spot: bool) -> Decimal | None:
        """USD per hour of a machine; without a region the dearest of all, to be safe."""
        self._renew()
        if region:
            found = [self._rows.get((machine, region))]
        else:
            found = [row for (name, _), row in self._rows.items() if name == machine]
        prices = [row.spot if spot else row.on_demand for row in found if row is not None]
        return max((p for p in prices if p is not None), default=None)

    def reference(self) -> dict[str, Decimal]:
        """The cheapest on-demand GPU-hour of each model: savings are never told too high."""
        self._renew()
        found: dict[str, Decimal] = {}
        for row in self._rows.values():
            if row.on_demand is not None:
                each = (row.on_demand / row.count).quantize(Decimal("0.000001"))
                found[row.gpu] = min(each, found.get(row.gpu, each))
        return found

    def _renew(self) -> None:
        files = sorted(_files(self._path))
        try:
            stats = [(path, path.stat()) for path in files]
        except OSError:
            return  # being replaced: what was read last still holds
        seen = tuple((str(path), s.st_mtime_ns, s.st_size) for path, s in stats)
        if seen == self._seen:
            return
        self._seen, self._rows = seen, {}
        for path in files:
            for row in _rows(path):
                self._rows[(row.machine, row.region)] = row


def _files(path: Path | None) -> Iterable[Path]:
    if path is None:
        return []
    return path.glob("*.csv") if path.is_dir() else [path]


def _rows(path: Path) -> Iterator[Row]:
    """The rows that can be read; a file or a row that cannot is said once and left out."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            log.warning("the price list %s is larger than any price list; it is left out", path)
            return
        with path.open(encoding="utf-8", newline="") as file:
            for given in csv.DictReader(file):
                row = _row({(k or "").strip().lower(): v for k, v in given.items()})
                if row is not None:
                    yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        log.warning("the price list %s cannot be read: %s", path, error)


def _row(given: Mapping[str, object]) -> Row | None:
    words = {
        name: next((str(given[c] or "").strip() for c in columns if c in given), "")
        for name, columns in _COLUMNS.items()
    }
    count = _number(words["count"])
    if not words["machine"] or not words["gpu"] or count is None or count < 1 or count % 1:
        return None
    on_demand, spot = _number(words["on_demand"]), _number(words["spot"])
    if on_demand is None and spot is None:
        return None
    mib, gib = _number(words["mib"]), _number(words["gib"])
    gpu = canonical_model(words["gpu"], mib / 1024 if mib else gib)
    return Row(words["machine"], gpu, int(count), words["region"], on_demand, spot)


def _number(text: str) -> Decimal | None:
    """A price or a count; what is empty, 0 or no number is not sold."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() and found > 0 else None
