"""`offers`: what home and the markets could give now, cheapest first.

Reads the bounded list of offers that the operator publishes in every GPUProvider's status.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from overspill.cli import render
from overspill.cli.cluster import Cluster, Json, connect
from overspill.cli.options import add_cluster_flags, add_output_flag, target
from overspill.cli.render import Column, amount, usd
from overspill.core.gpus import canonical_model
from overspill.kube.resources import Kind

_COLUMNS = (
    Column("PROVIDER"),
    Column("PLACE"),
    Column("GPU"),
    Column("GPUS", "right"),
    Column("USD/GPU/H", "right"),
    Column("USD/H", "right"),
    Column("REGION"),
    Column("CAPACITY"),
    Column("NOW"),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to narrow the list to."""

    model: str = ""
    count: int = 1
    only_available: bool = False


def add(subparsers: Any) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "offers",
        help="what GPUs could be had now, and for how much",
        description="Lists the offers of home and of all markets, cheapest GPU-hour first. "
        "USD/H is for --count GPUs.",
    )
    parser.add_argument("--model", default="", help="only this GPU (h100, a100-80gb, 'RTX 4090'…)")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="at least N GPUs at once")
    parser.add_argument("--available", action="store_true", help="only what can be had now")
    add_cluster_flags(parser, namespaced=False)
    add_output_flag(parser)


def run(args: argparse.Namespace) -> int:
    """Reads the providers once and prints."""
    wish = Wish(args.model, max(1, args.count), args.available)
    return offers(connect(target(args)), wish, as_json=args.output == "json")


def offers(cluster: Cluster, wish: Wish, *, as_json: bool) -> int:
    """The verb without the command line."""
    providers = cluster.list_all(Kind.PROVIDER)
    found = sorted(_wanted(providers, wish), key=_cheapest_first)
    if as_json:
        render.print_json(found)
        return 0
    out = render.console()
    if found:
        render.table(out, _COLUMNS, [_row(offer, wish) for offer in found])
    else:
        out.print(_nothing(providers, wish))
    for provider in providers:
        trouble = _trouble(provider)
        if trouble:
            out.print(trouble)
    return 0


def _wanted(providers: Iterable[Json], wish: Wish) -> Iterable[Json]:
    model = canonical_model(wish.model) if wish.model else ""
    for provider in providers:
        for offer in (provider.get("status") or {}).get("offers") or []:
            fits = offer.get("gpuCount", 0) >= wish.count
            fits = fits and (not model or offer.get("gpuModel") == model)
            if fits and (offer.get("available") or not wish.only_available):
                yield {"provider": provider["metadata"]["name"], **offer}


def _cheapest_first(offer: Json) -> tuple[bool, Decimal, str, str]:
    price = amount(offer.get("pricePerGPUHourUSD"))
    unknown = Decimal("Infinity")
    return (
        not offer.get("available"),
        unknown if price is None else price,
        offer["provider"],
        offer.get("place", ""),
    )


def _row(offer: Json, wish: Wish) -> tuple[str, ...]:
    price = amount(offer.get("pricePerGPUHourUSD"))
    return (
        offer["provider"],
        offer.get("place", ""),
        offer.get("gpuModel", ""),
        str(offer.get("gpuCount", "")),
        usd(price),
        "" if price is None else usd(price * wish.count),
        offer.get("region", ""),
        offer.get("capacityType", ""),
        "yes" if offer.get("available") else "no",
    )


def _nothing(providers: Iterable[Json], wish: Wish) -> str:
    names = [p["metadata"]["name"] for p in providers]
    if not names:
        return "There is no GPUProvider: create one for home and one per market account."
    known = {
        o.get("gpuModel", "")
        for p in providers
        for o in (p.get("status") or {}).get("offers") or []
    }
    if not known:
        return f"None of {', '.join(names)} has published an offer yet: kubectl get gpuproviders."
    what = f"{wish.count} x {wish.model or 'any GPU'}"
    return f"Nobody offers {what}; to be had are: {', '.join(sorted(known))}."


def _trouble(provider: Json) -> str:
    """A provider that cannot be used is named: its offers are missing or old."""
    for condition in (provider.get("status") or {}).get("conditions") or []:
        if condition["type"] in ("Ready", "Healthy") and condition["status"] == "False":
            name = provider["metadata"]["name"]
            return f"{name} is not usable ({condition['reason']}): {condition.get('message', '')}"
    return ""
