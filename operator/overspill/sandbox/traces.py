"""Traces of real markets, replayed as hosts that come, go and change their price.

Two kinds of file: a marketplace's listings (`.jsonl`, `.jsonl.gz`: who sells a GPU at what price,
line by line in time) and a spot market's availability (`.json`: how many machines there are at
each tick; 1 is available). Both become hosts and host events of the supply, counted from the
sandbox's start: a scaled or advanced clock replays them faster. Nothing here is random.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from overspill.sandbox.gpus import Gpu
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.supply import Host, HostEvent, Supply, default_hosts, load_supply

LARGEST_BYTES = 16 * 2**20
"""Of one trace, unpacked."""
MOST_HOSTS = 256
"""Of one trace."""
GPUS_OF_A_SELLER = 8
"""Listings tell prices per GPU, not how many a seller has."""

MOST_CHANGES = 500_000
"""Of all hosts of one trace together."""
LONGEST_GAP_S = 86_400.0
DEAREST_USD = 1_000

_UNLISTED = {"k80": (Gpu("k80", "12Gi"), Decimal("0.10"))}
"""GPUs of spot traces that no built-in host has, and what is asked for them here."""
_ENDINGS = (".jsonl", ".jsonl.gz", ".json")

Point = tuple[float, Decimal | None]
"""Seconds since the start, and USD per GPU-hour from then on; None: it is not there."""


def supply_of(options: SandboxOptions) -> Supply:
    """The hosts of the options. Traces take the place of the built-in ones, not of a file's.

    Raises OSError, TypeError or ValueError for a file that cannot be used, and names it.
    """
    if not options.supply_traces:
        return load_supply(options.supply, options.seed)
    made = load_supply(options.supply, options.seed) if options.supply else Supply([])
    for path in options.supply_traces:
        for host, points in _read(path):
            if host.name in made.hosts:
                raise ValueError(f"The trace {path} has a host that is there already: {host.name}.")
            made.add(host, _events(host, points))
    return made


def _read(path: Path) -> list[tuple[Host, list[Point]]]:
    """The hosts of a trace, and when they are there at what price."""
    if not path.name.endswith(_ENDINGS):
        raise ValueError(f"The trace {path} ends in none of {', '.join(_ENDINGS)}.")
    try:
        text = _text(path)
        found = _availability(path.stem, text) if path.suffix == ".json" else _listings(text)
    except KeyError as error:
        raise ValueError(f"The trace {path} has no {error} where there should be one.") from None
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        words = str(error).splitlines()[0] if str(error) else "it holds what is no number"
        raise ValueError(f"The trace {path} is not as it should be: {words}.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ValueError(f"The trace {path} is not a whole gzip file.") from None
    if not 0 < len(found) <= MOST_HOSTS:
        raise ValueError(f"The trace {path} has {len(found)} hosts; it can have 1 to {MOST_HOSTS}.")
    return found


def _text(path: Path) -> str:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES} bytes")
    return data.decode("utf-8")


def _listings(text: str) -> list[tuple[Host, list[Point]]]:
    """One host for each seller, at the lowest price it is listed with."""
    lines = [_object(_json(line)) for line in text.splitlines() if line.strip()]
    gpu = _gpu(lines[0]) if lines else None
    times = [_epoch(line["timestamp"]) for line in lines]
    seen: dict[str, list[Point]] = {}
    for number, line in enumerate(lines):
        if _gpu(line) != gpu or times[number] < times[max(0, number - 1)]:
            raise ValueError(f"line {number + 1} is of another GPU, or of an earlier time")
        sellers = _object(line["by_provider"])
        for seller in {*seen, *sellers}:
            listed = _object(sellers.get(seller, {"count": 0}))
            usd = _usd(listed["min"]) if _count(listed["count"]) else None
            seen.setdefault(seller, []).append((times[number] - times[0], usd))
        _bounded(len(seen), number)
    return [(_seller(name, gpu, seen[name]), seen[name]) for name in sorted(seen) if gpu]


def _availability(name: str, text: str) -> list[tuple[Host, list[Point]]]:
    """As many hosts as there ever are; of fewer, the first ones are there."""
    document = _object(_json(text))
    gap_s = float(_object(document["metadata"])["gap_seconds"])
    if not 0 < gap_s <= LONGEST_GAP_S:
        raise ValueError(f"gap_seconds is {gap_s}")
    counts = [_count(value) for value in document["data"]]
    changes = [(i, n) for i, n in enumerate(counts) if i == 0 or n != counts[i - 1]]
    most = max(counts, default=0)
    _bounded(most, len(changes))
    zone, gpus, gpu, usd = _spot(name)
    return [
        (
            _host(f"{zone}-{gpu.model}x{gpus}-{k}", gpu, gpus, usd, zone),
            [(i * gap_s, usd if n > k else None) for i, n in changes],
        )
        for k in range(most)
    ]


def _events(host: Host, points: Iterable[Point]) -> list[HostEvent]:
    """What happens to a host, told where it is new; sets where the host stands at the start."""
    host.online, is_there, price = False, False, host.usd_per_gpu_hour
    found: list[HostEvent] = []
    for at_s, usd in points:
        if usd is not None and usd != price:
            found.append(HostEvent(at_s, host.name, "price", usd))
            price = usd
        if (usd is not None) != is_there:
            is_there = not is_there
            found.append(HostEvent(at_s, host.name, "revive" if is_there else "kill"))
    if found and found[0].do == "revive" and found[0].at_s == 0:
        host.online = True
        del found[0]
    return found


def _seller(name: str, gpu: Gpu, points: Iterable[Point]) -> Host:
    usd = next((usd for _, usd in points if usd is not None), Decimal(1))
    region = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return _host(f"{region}-{gpu.model}-{gpu.interface}", gpu, GPUS_OF_A_SELLER, usd, region)


def _host(name: str, gpu: Gpu, gpus: int, usd: Decimal, region: str) -> Host:
    return Host(name=name, gpu=gpu, gpus=gpus, usd_per_gpu_hour=usd, region=region)


def _gpu(line: Mapping[str, Any]) -> Gpu:
    """`H100_80GB` on a `PCIe` or `SXM5` socket; what names no socket goes on none of a card."""
    named = re.fullmatch(r"([A-Za-z0-9]{1,20})_([0-9]{1,4})GB", str(line["gpu_type"]))
    if named is None:
        raise ValueError(f"{line['gpu_type']!r} is no GPU with its memory, as H100_80GB is")
    is_card = str(line.get("socket_type") or "").lower().startswith("pci")
    return Gpu(named[1].lower(), f"{named[2]}Gi", "pcie" if is_card else "sxm")


def _spot(name: str) -> tuple[str, int, Gpu, Decimal]:
    """Zone, GPUs of a machine, the GPU and its price, of a name like `us-west-2a_v100_8`."""
    named = re.fullmatch(r"([a-z0-9-]{1,40})_([a-z0-9]{1,20})_([0-9]{1,2})", name)
    known = {h.gpu.model: (h.gpu, h.usd_per_gpu_hour) for h in reversed(default_hosts())}
    known |= _UNLISTED
    if named is None or named[2] not in known or not int(named[3]):
        words = f"zone_gpu_count, the GPU one of {', '.join(sorted(known))}"
        raise ValueError(f"a file of availability is called {words}")
    return (named[1], int(named[3]), *known[named[2]])


def _bounded(hosts: int, changes: int) -> None:
    if hosts > MOST_HOSTS or hosts * changes > MOST_CHANGES:
        raise ValueError(f"{hosts} hosts with {changes} changes each are too many to replay")


def _json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_constant=_no_number)


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"an object is missing where there is {str(value)[:40]!r}")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value


def _usd(value: Any) -> Decimal:
    usd = Decimal(str(value))
    if not 0 < usd <= DEAREST_USD:
        raise ValueError(f"{str(value)[:40]!r} is no price of a GPU-hour")
    return usd


def _epoch(value: Any) -> float:
    at = datetime.fromisoformat(value)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
