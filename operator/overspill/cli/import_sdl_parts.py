"""What an SDL says of its service, its machine and its market, in the words of a GPUJob.

Called by `import_sdl_job`. Whatever would change its meaning by being left out is a fault;
whatever only steers Akash is a note.
"""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from overspill.cli.import_sdl_lines import Spot
from overspill.core.gpus import canonical_model
from overspill.providers.akash_prices import Rates, memory_gib
from overspill.providers.akash_sdl import KEY_VARIABLE
from overspill.providers.akash_wire import Price

_SIZE = r"[0-9]+(\.[0-9]+)?(k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?"
_CPU = r"[0-9]+(\.[0-9]+)?m?"
_REGIONS = ("region", "location-region")

_NEVER: dict[str, str] = {
    "credentials": "a private registry's password cannot go to any market; use a public image",
    "dependencies": "a GPUJob is one service; it can wait for no other",
}
"""Parts of a service that no GPUJob has."""


def container(service: Spot, name: str) -> dict[str, Any]:
    """The container of the pod template, without its resources."""
    allowed = ("image", "command", "args", "env", "expose", "params", *_NEVER)
    parts = service.known(allowed)
    for part, why in _NEVER.items():
        if part in parts:
            parts[part].refuse(why)
    if "params" in parts:
        _params(parts["params"])
    found: dict[str, Any] = {"name": name}
    if "image" in parts:
        found["image"] = parts["image"].text()
    else:
        service.refuse("has no image")
    for part in ("command", "args"):
        words = [word.text() for word in parts[part].each()] if part in parts else []
        if words:
            found[part] = words
    if "command" not in found:
        service.note("has no command: at home its ENTRYPOINT runs, a market needs it written out")
    env = [pair for item in parts["env"].each() for pair in _env(item)] if "env" in parts else []
    return found | ({"env": env} if env else {})


def _params(params: Spot) -> None:
    for spot in params.known(("storage", "permissions", "tee")).values():
        spot.refuse("cannot be carried over: a GPUJob has no mounted volumes, rights or enclaves")


def _env(item: Spot) -> list[dict[str, str]]:
    name, is_given, value = item.text().partition("=")
    if not is_given or not name:
        item.refuse("must be NAME=value")
        return []
    return [] if name == KEY_VARIABLE else [{"name": name, "value": value}]


def ports(service: Spot) -> tuple[list[int], int | None]:
    """The ports that are open to the world, and which of them speaks HTTP there."""
    found: list[int] = []
    http: int | None = None
    exposed = service.items().get("expose")
    for item in exposed.each() if exposed else ():
        parts = item.known(("port", "as", "proto", "to", "accept", "http_options"))
        port = _port(parts["port"]) if "port" in parts else None
        if "port" not in parts:
            item.refuse("has no port")
        outside = _port(parts["as"]) if "as" in parts else port
        if not _is_global(item, parts) or port is None:
            continue
        found.append(port)
        http = port if http is None and outside == 80 else http
        for part in ("accept", "http_options"):
            if part in parts:
                parts[part].note("is not carried over: an Ingress in front of the Service does it")
    return found, http


def _is_global(item: Spot, parts: dict[str, Spot]) -> bool:
    if "proto" in parts and str(parts["proto"].value()).upper() != "TCP":
        parts["proto"].refuse("markets forward TCP only")
    is_global = False
    for target in parts["to"].each() if "to" in parts else ():
        to = target.known(("global", "service", "ip"))
        for part in ("service", "ip"):
            if part in to:
                to[part].refuse("a GPUJob has neither sister services nor addresses of its own")
        is_global = is_global or ("global" in to and to["global"].value() is True)
    if not is_global:
        item.note("is not carried over: it is open to nobody outside")
    return is_global


def _port(spot: Spot) -> int | None:
    raw = spot.matched(r"[0-9]{1,5}", "a port number")
    if raw and 1 <= int(raw) <= 65535:
        return int(raw)
    if raw:
        spot.refuse("must be a port number")
    return None


def machine(resources: Spot) -> tuple[dict[str, str], dict[str, Any]]:
    """Limits of the container, and `spec.gpu`."""
    parts = resources.known(("cpu", "memory", "storage", "gpu"))
    limits: dict[str, str] = {}
    for part, size, pattern, name in (
        ("cpu", "units", _CPU, "cpu"),
        ("memory", "size", _SIZE, "memory"),
    ):
        inner = parts[part].known((size, "attributes")) if part in parts else {}
        if size in inner:
            limits[name] = inner[size].matched(pattern, "an amount like 500m, 2 or 16Gi")
        else:
            resources.refuse(f"has no {part}.{size}")
    if "storage" in parts:
        limits["ephemeral-storage"] = _disk(parts["storage"])
    return limits, _gpu(resources, parts.get("gpu"))


def _disk(storage: Spot) -> str:
    volumes = [storage] if storage.is_mapping else list(storage.each())
    for extra in volumes[1:]:
        extra.refuse("a GPUJob has one disk")
    if not volumes:
        storage.refuse("names no disk")
        return ""
    parts = volumes[0].known(("size", "name", "attributes"))
    attributes = parts["attributes"].items() if "attributes" in parts else {}
    for name, spot in attributes.items():
        is_plain = name == "persistent" and str(spot.value()).lower() == "false"
        if not is_plain:
            spot.refuse("a rented disk is plain and goes with its lease; write checkpoints instead")
    if "size" in parts:
        return parts["size"].matched(_SIZE, "a size like 16Gi")
    volumes[0].refuse("has no size")
    return ""


def _gpu(resources: Spot, gpu: Spot | None) -> dict[str, Any]:
    parts = gpu.known(("units", "attributes")) if gpu is not None else {}
    units = parts["units"].matched(r"[0-9]{1,2}", "a whole number") if "units" in parts else ""
    if not units or not 1 <= int(units) <= 16:
        (gpu or resources).refuse("asks for no GPU: a GPUJob needs 1 to 16 on a node")
        return {}
    vendor = parts["attributes"].known(("vendor",)) if "attributes" in parts else {}
    nvidia = vendor["vendor"].items() if "vendor" in vendor else {}
    for name, spot in nvidia.items():
        if name != "nvidia":
            spot.refuse("only NVIDIA GPUs can be had")
    wanted = nvidia.get("nvidia")
    kinds = [k.known(("model", "ram", "interface")) for k in wanted.each()] if wanted else []
    return {"count": int(units), **_models(kinds)}


def _models(kinds: list[dict[str, Spot]]) -> dict[str, Any]:
    """Models in their order, the least memory, and NVLink where every kind asks for SXM."""
    found: dict[str, Any] = {}
    rams = [memory_gib(k["ram"].text()) if "ram" in k else None for k in kinds]
    models = [
        canonical_model(k["model"].text(), ram)
        for k, ram in zip(kinds, rams, strict=True)
        if "model" in k
    ]
    if models and len(models) == len(kinds) and "*" not in models:
        found["models"] = list(dict.fromkeys(models))
    known = [ram for ram in rams if ram is not None]
    if known and len(known) == len(kinds):
        found["memoryMin"] = f"{min(known)}Gi"
    interfaces = [str(k["interface"].value()) if "interface" in k else "" for k in kinds]
    if kinds and all(word.startswith("sxm") for word in interfaces):
        found["interconnect"] = {"class": "NVLink", "mode": "Required"}
    elif "pcie" in interfaces:
        kinds[interfaces.index("pcie")]["interface"].note("is not carried over: SXM fits as well")
    return found


def market(placement: Spot, profile: str, akt_usd: Decimal | None) -> dict[str, Any]:
    """`budget` and `placement` of the GPUJob."""
    parts = placement.known(("attributes", "signedBy", "pricing"))
    found: dict[str, Any] = {}
    regions = _regions(parts["attributes"]) if "attributes" in parts else []
    if regions:
        found["placement"] = {"regions": regions}
    if "signedBy" in parts:
        parts["signedBy"].note(
            "is not carried over: whom to trust is said by config.auditors of the GPUProvider, "
            "and by the SLA class"
        )
    coins = parts["pricing"].items() if "pricing" in parts else {}
    if profile in coins:
        hourly = _usd_per_hour(coins[profile], akt_usd)
        found |= {"budget": {"maxHourlyUSD": hourly}} if hourly else {}
    else:
        placement.refuse(f"has no pricing for {profile}")
    return found


def _regions(attributes: Spot) -> list[str]:
    found: list[str] = []
    for name, spot in attributes.items().items():
        if name in _REGIONS:
            found.append(
                spot.matched(r"[A-Za-z0-9]([-_./A-Za-z0-9]{0,61}[A-Za-z0-9])?", "a region")
            )
        elif name == "host":
            spot.note("is not carried over: it only names the network")
        else:
            spot.refuse("is an attribute of Akash's providers; no other place could promise it")
    return found


def _usd_per_hour(coin: Spot, akt_usd: Decimal | None) -> str:
    parts = coin.known(("denom", "amount"))
    if set(parts) != {"denom", "amount"}:
        coin.refuse("needs denom and amount")
        return ""
    rates = {"uact": Decimal(1)} | ({"uakt": akt_usd} if akt_usd else {})
    denom = str(parts["denom"].value())
    amount = parts["amount"].matched(r"[0-9]+(\.[0-9]+)?", "a number")
    if denom not in rates:
        hint = "; say what one AKT costs with --akt-usd" if denom == "uakt" else ""
        parts["denom"].refuse(f"has no price in USD{hint}")
        return ""
    usd = Rates(rates).usd_per_hour(Price(denom=denom, amount=Decimal(amount or 0)))
    rounded = (usd or Decimal(0)).quantize(Decimal("0.000001"), ROUND_DOWN).normalize()
    if rounded <= 0:
        parts["amount"].refuse("is no price that anybody could bid")
        return ""
    return f"{rounded:f}"
