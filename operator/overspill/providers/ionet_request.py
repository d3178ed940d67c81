"""What we ask of io.net for one lease: hours, shape, and the body of a deploy. Pure.

Values of secrets enter only here, as secret variables, which the market never gives back.
"""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from overspill.core.errors import OfferRejected
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers.ionet_api import Shape
from overspill.providers.ionet_config import Config

IDLE_PORT = 80
"""A deployment has exactly one port; where the workload has none, nothing listens there."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://overspill.dev/lease")


def resource_id(key: str) -> str:
    """The id we give a lease beforehand: the same for the same key, for ever."""
    return str(uuid.uuid5(_NAMESPACE, key))


def shape_of(request: OpenRequest, config: Config, now: datetime) -> Shape:
    """Whole hours up to the hard deadline, no more than the lease's money buys.

    They are the dead man's switch, and they are paid at once. Raises OfferRejected when the money
    does not buy one.
    """
    left = Decimal((request.hard_deadline - now).total_seconds()) / 3600
    hours = max(1, int(left.to_integral_value(rounding="ROUND_CEILING")))
    offer = request.offer
    price = offer.price_usd_per_hour
    if offer.is_divisible:
        price = price * request.gpu_count / offer.gpu_count
    bought = int(request.max_total_usd / price) if price > 0 else hours
    if bought < 1:
        raise no(request, f"an hour costs {price:.4f} USD, over the total of the lease")
    hours = min(hours, bought, config.max_prepaid_hours)
    return Shape(offer.attribute("hardware"), request.gpu_count, hours)


def checked(request: OpenRequest) -> PortableWorkload:
    """The workload. Raises OfferRejected for what io.net cannot be told to run."""
    workload = request.workload
    if workload is None or request.num_nodes != 1:
        raise no(request, "it is rented as one container here, and this is another request")
    if len(set(workload.ports)) > 1:
        raise no(request, "a deployment has one port, and the workload wants more")
    if workload.working_dir and not workload.command:
        raise no(request, "a working directory needs a command")
    missing = [
        entry.name
        for entry in workload.secret_env
        if not entry.optional and entry.name not in request.secrets
    ]
    if missing:
        raise no(request, f"no value was given for {', '.join(sorted(missing))}")
    return workload


def body_of(request: OpenRequest, config: Config, shape: Shape, place: int) -> dict[str, Any]:
    """The deploy body."""
    workload = checked(request)
    words = [*workload.command, *workload.args]
    if workload.working_dir:
        words = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', workload.working_dir, *words]
    container: dict[str, Any] = {
        "replica_count": 1,
        "traffic_port": next(iter(workload.ports), IDLE_PORT),
        "env_variables": dict(workload.env),
        "secret_env_variables": {name: request.secrets[name] for name in sorted(request.secrets)},
    }
    if workload.command:
        container["entrypoint"], rest = words[:1], words[1:]
    else:
        rest = words
    if rest:
        container["args"] = rest
    return {
        "resource_private_name": request.key,
        "resource_id": resource_id(request.key),
        "hardware_id": hardware_id(shape.hardware),
        "duration_hours": shape.hours,
        "gpus_per_container": shape.gpus,
        "container_config": container,
        "registry_config": {"image_url": workload.image},
        "location_ids": [place],
        "payment_source": config.payment_source,
        "on_incomplete_booking": "full_refund",
    }


def hardware_id(text: str) -> int | str:
    """Ids are numbers or words; the file knows only numbers."""
    return int(text) if text.isdecimal() else text


def no(request: OpenRequest, why: str) -> OfferRejected:
    """A refusal of ours."""
    provider = request.offer.provider
    return OfferRejected(f"{provider}: io.net cannot take this: {why}", provider=provider)
