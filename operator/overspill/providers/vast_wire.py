"""Vast.ai's answers, as far as we read them. Fields we do not need are left out and ignored.

Numbers that are money are Decimals: `_http` parses every JSON number with a point as one.
"""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Loose = Annotated[
    Decimal | None,
    # a number is not compared with a text: a search has ten thousand of them, and that is slow
    BeforeValidator(lambda raw: None if isinstance(raw, str) and not raw else raw),
]
"""A number that a host may leave out."""


class Wire(BaseModel):
    """Frozen, and deaf to fields that the market adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Ask(Wire):
    """One offer of a search: so many GPUs of one machine, to be taken whole."""

    id: int
    machine_id: int
    gpu_name: str
    num_gpus: int = Field(ge=1)
    gpu_ram: Decimal
    """MB of one GPU."""
    dph_base: Decimal
    """USD per hour without storage."""
    dph_total: Decimal
    storage_cost: Decimal = Decimal(0)
    """USD per GB and month."""
    min_bid: Loose = None
    gpu_arch: str = "nvidia"
    gpu_frac: Loose = None
    compute_cap: int | None = None
    reliability2: Loose = None
    verification: str | None = None
    hosting_type: int | None = None
    geolocation: str | None = None
    bw_nvlink: Loose = None
    duration: Loose = None
    """Seconds until the host's contract ends."""
    inet_up_cost: Loose = None
    """USD per GB."""
    disk_space: Loose = None
    cpu_cores_effective: Loose = None
    cpu_ram: Loose = None
    rentable: bool = True


class Asks(Wire):
    """The answer of a search."""

    offers: list[Ask]


class Made(Wire):
    """The answer of a create. `new_contract` can stand in a refusal as well."""

    success: bool = False
    new_contract: int | None = None
    error: str | None = None
    msg: str | None = None


class Mapped(Wire):
    """Where one port of the container came out."""

    host_port: str = Field(alias="HostPort")


class Instance(Wire):
    """One thing we rent, in any state."""

    id: int
    label: str | None = None
    actual_status: str | None = None
    intended_status: str | None = None
    cur_state: str | None = None
    status_msg: str | None = None
    machine_id: int | None = None
    gpu_name: str | None = None
    gpu_ram: Loose = None
    num_gpus: int | None = None
    dph_total: Loose = None
    start_date: Loose = None
    end_date: Loose = None
    public_ipaddr: str | None = None
    ports: dict[str, list[Mapped]] | list[Any] | None = None


class OneInstance(Wire):
    """`instances` is one object here, null for one that does not exist."""

    instances: Instance | None = None


class InstancePage(Wire):
    """One page of at most 25."""

    instances: list[Instance]
    next_token: str | None = None
    total_instances: int | None = None


class Done(Wire):
    """Whether the market did it."""

    success: bool = True


class LogAddress(Wire):
    """Where a log will be."""

    result_url: str


class User(Wire):
    """The account. `credit` is what it can spend; `balance` where that is not told."""

    balance: Loose = None
    credit: Loose = None
