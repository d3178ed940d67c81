"""Reads the body of a create as Vast.ai does, and makes the rental of it."""

import shlex
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from overspill.sandbox.markets.vast import errors, wire
from overspill.sandbox.rentals import Rates, Rental
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.workload import Port, Service
from overspill.sandbox.world import World

_RUNTYPES = {"ssh", "jupyter", "args", "ssh_proxy", "ssh_direct", "jupyter_proxy"}
_RUNTYPES |= {"jupyter_direct", "ssh_direc ssh_proxy", "jupyter_direc ssh_direc ssh_proxy"}
_MOST_PORTS = 64
_LONGEST_ONSTART = 4048


def rental_of(id_: str, host: Host, gpus: int, body: Mapping[str, Any], world: World) -> Rental:
    """The rental of an ask. Raises ApiError for a body that the API does not take."""
    if not isinstance(body.get("image"), str) or not body["image"]:
        raise errors.invalid("'image' is required")
    flags = _flags(body.get("env"))
    env = {name: value for name, value in flags.items() if not name.startswith("-")}
    ports = _ports(flags)
    disk = float(body.get("disk") or 8)
    key = str(body.get("label") or "")
    bid = body.get("price")
    moved = world.faults.take("price_moves", key=key, provider=host.name)
    base = wire.base_usd_per_hour(host, gpus, bid=False) if bid is None else Decimal(str(bid))
    base *= Decimal(str(moved.number("factor", 2))) if moved else 1
    command = _command(body)
    share = gpus / host.gpus
    return Rental(
        id=id_,
        key=key,
        host=host,
        slice=Slice(
            gpus=gpus,
            milli_cpu=int(host.cpu_units * 1000 * share),
            memory_bytes=int(host.memory_gib * 2**30 * share),
            storage_bytes=int(disk * 10**9),
        ),
        rates=Rates(base, wire.storage_usd_per_hour(disk)),
        service=Service("job", command[:1], command[1:], list(env.items()), ports),
        created_at=world.now(),
        details={
            "image": body["image"],
            "args": list(body.get("args") or []),
            "runtype": _runtype(body),
            "onstart": body.get("onstart") or "",
            "env": flags,
            "disk": disk,
            "is_bid": bid is not None,
        },
    )


def _runtype(body: Mapping[str, Any]) -> str:
    told = body.get("runtype")
    if told is None:
        return "args" if body.get("args") or body.get("args_str") else "ssh"
    if told not in _RUNTYPES:
        raise errors.invalid(f"runtype {told}")
    return str(told)


def _command(body: Mapping[str, Any]) -> list[str]:
    """What runs: in mode `args` the entrypoint of `onstart` with the arguments, else `onstart`."""
    onstart = str(body.get("onstart") or "")
    if len(onstart) > _LONGEST_ONSTART:
        raise errors.invalid(f"onstart is limited to {_LONGEST_ONSTART} characters")
    args = [str(word) for word in body.get("args") or []]
    args += shlex.split(str(body.get("args_str") or ""))
    if _runtype(body) == "args":
        # without an entrypoint the image's own runs; here an image is nothing but a shell
        return [*shlex.split(onstart), *args]
    return ["/bin/sh", "-c", onstart] if onstart else []


def _flags(raw: Any) -> dict[str, str]:
    """Docker's flags in one object, as the market's own client sends them, or in one string."""
    if isinstance(raw, dict):
        return {str(name): str(value) for name, value in raw.items()}
    if raw is not None and not isinstance(raw, str):
        raise errors.invalid("env")
    words, found = iter(shlex.split(raw or "")), {}
    for flag in words:
        value = next(words, "")
        if flag == "-e":
            name, _, content = value.partition("=")
            found[name] = content
        else:
            found[f"{flag} {value}"] = "1"
    return found


def _ports(flags: Mapping[str, str]) -> list[Port]:
    ports = [_port(name) for name in flags if name.startswith("-p ")]
    if len(ports) > _MOST_PORTS:
        raise errors.invalid(f"at most {_MOST_PORTS} ports")
    return ports


def _port(flag: str) -> Port:
    outer, _, inner = flag.removeprefix("-p ").strip().rpartition(":")
    number, _, protocol = inner.partition("/")
    if not number.isdigit():
        raise errors.invalid(f"port {outer}:{inner}")
    return Port(port=int(number), protocol=(protocol or "tcp").upper())
