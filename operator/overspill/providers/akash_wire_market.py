"""The Console API's public answers, price list and providers. Private to the Akash adapter."""

from decimal import Decimal

from pydantic import Field, RootModel

from overspill.providers.akash_wire import Wire


class Counts(Wire):
    """How many there are and how many are free."""

    total: int
    available: int


class GpuPrice(Wire):
    """USD per GPU and hour, from the bids of the last days."""

    med: Decimal = Field(ge=0, allow_inf_nan=False)


class GpuModel(Wire):
    """One line of the price list."""

    vendor: str
    model: str
    ram: str
    interface: str
    availability: Counts
    price: GpuPrice | None


class GpuPrices(Wire):
    """`GET /v1/gpu-prices`."""

    models: list[GpuModel]


class HostGpu(Wire):
    """A GPU that a provider says it has."""

    model: str
    ram: str


class Host(Wire):
    """A provider, in Akash's words; ours is a host."""

    owner: str
    uptime7d: Decimal | None = None
    is_online: bool = False
    is_audited: bool = False
    gpu_models: list[HostGpu] = Field(default_factory=list)


class Hosts(RootModel[list[Host]]):
    """`GET /v1/providers`."""
