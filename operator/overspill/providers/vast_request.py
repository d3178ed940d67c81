"""What we ask of Vast.ai for one lease: the body of a create. Values of secrets enter only here.

Launch mode `args`: the container runs as the image is, without the market's own additions; its
entrypoint is replaced by what stands in `onstart`, and `args` follow (so the market's own client
sends `--entrypoint`). Environment and ports share one object, as in that client.
"""

from decimal import Decimal
from typing import Any

from overspill.core.errors import OfferRejected
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers.vast_offers import disk_gb, storage_usd_per_hour

MOST_PORTS = 64


def body_of(request: OpenRequest) -> dict[str, Any]:
    """The create body. Raises OfferRejected for what Vast.ai cannot be told to run."""
    workload = request.workload
    if workload is None or request.num_nodes != 1:
        raise _no(request, "it runs one container on one machine, and this is another request")
    if request.gpu_count != request.offer.gpu_count:
        raise _no(request, f"the offer is {request.offer.gpu_count} GPUs or none")
    if not workload.command:
        raise _no(request, "the workload has no command, so the image would run what it likes")
    if len(workload.ports) > MOST_PORTS:
        raise _no(request, f"it opens at most {MOST_PORTS} ports")
    gb = disk_gb(workload.disk_gib)
    _check_price(request, gb)
    command = _command(workload)
    body: dict[str, Any] = {
        "client_id": "me",
        "image": workload.image,
        "label": request.key,
        "disk": gb,
        "runtype": "args",
        "onstart": command[0],
        "args": command[1:],
        "env": _environment(request, workload),
        "target_state": "running",
        "cancel_unavail": True,
    }
    bid = request.offer.attribute("bid")
    return body | ({"price": float(bid)} if bid else {})


def _check_price(request: OpenRequest, gb: int) -> None:
    """A bigger disk than was quoted costs more: said before anything is rented."""
    offer = request.offer
    if not offer.attribute("dph_base"):
        return
    storage = storage_usd_per_hour(Decimal(offer.attribute("storage_cost", "0")), gb)
    price = Decimal(offer.attribute("dph_base")) + storage
    if price > request.max_usd_per_hour:
        raise _no(
            request,
            f"with a disk of {gb} GB it costs {price:.4f} USD per hour, over the cap of "
            f"{request.max_usd_per_hour}; offers are quoted with config.diskGib",
        )


def _command(workload: PortableWorkload) -> list[str]:
    words = [*workload.command, *workload.args]
    if workload.working_dir:
        return ["/bin/sh", "-c", 'cd "$0" && exec "$@"', workload.working_dir, *words]
    if any(char.isspace() for char in words[0]):
        return ["/bin/sh", "-c", 'exec "$@"', "sh", *words]  # an entrypoint is one word
    return words


def _environment(request: OpenRequest, workload: PortableWorkload) -> dict[str, str]:
    missing = [
        entry.name
        for entry in workload.secret_env
        if not entry.optional and entry.name not in request.secrets
    ]
    if missing:
        raise _no(request, f"no value was given for {', '.join(sorted(missing))}")
    ports = {f"-p {port}:{port}": "1" for port in sorted(set(workload.ports))}
    values = {**dict(workload.env), **{k: request.secrets[k] for k in sorted(request.secrets)}}
    return {**values, **ports}


def _no(request: OpenRequest, why: str) -> OfferRejected:
    provider = request.offer.provider
    return OfferRejected(f"{provider}: Vast.ai cannot take this: {why}", provider=provider)
