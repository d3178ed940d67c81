"""The Console API's answers, as far as we read them. Private to the Akash adapter.

Lenient where the market may add, strict where we act: a `dseq` becomes part of a path, so it
must be a number; an amount must be a plain decimal.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Dseq = Annotated[str, StringConstraints(pattern=r"^\d{1,20}$")]


class Wire(BaseModel):
    """Base of every answer: unknown fields are ignored, names are camelCase unless told."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


class Snake(Wire):
    """The chain's own answers spell names in snake_case."""

    model_config = ConfigDict(alias_generator=None)


class Price(Snake):
    """An amount of one coin."""

    denom: str
    amount: Decimal = Field(ge=0, allow_inf_nan=False)


class DeploymentId(Snake):
    """Owner and sequence number."""

    owner: str
    dseq: Dseq


class Deployment(Snake):
    """An order with its escrow account."""

    id: DeploymentId
    state: str
    hash: str = ""


class LeaseId(Snake):
    """What a bid and a lease are called."""

    dseq: Dseq
    gseq: int
    oseq: int
    provider: str


class ForwardedPort(Wire):
    """A container's port and where it is reached."""

    port: int
    external_port: int
    host: str = ""


class LeasedIp(Wire):
    """A port on an address of its own."""

    ip: str = Field(alias="IP")
    port: int = Field(alias="Port")
    external_port: int = Field(alias="ExternalPort")
    protocol: str = Field(alias="Protocol")


class ServiceStatus(Snake):
    """How many replicas a service has and wants."""

    available: int
    total: int
    uris: list[str] | None = None


class LeaseStatus(Snake):
    """What the provider itself says of a lease."""

    services: dict[str, ServiceStatus] | None = None
    forwarded_ports: dict[str, list[ForwardedPort]] | None = None
    ips: dict[str, list[LeasedIp]] | None = None


class WireLease(Snake):
    """A lease on the chain. `status` is None when the provider could not be asked."""

    id: LeaseId
    state: str
    price: Price
    reason: str | int | None = None
    status: LeaseStatus | None = None


class EscrowState(Snake):
    """What has been paid out and what is left."""

    state: str = ""
    funds: list[Price] = []
    transferred: list[Price] = []


class Escrow(Snake):
    """The account that pays a deployment."""

    state: EscrowState


class Held(Snake):
    """A deployment with its leases and its escrow account."""

    deployment: Deployment
    leases: list[WireLease]
    escrow_account: Escrow


class HeldAnswer(Wire):
    """`GET /v1/deployments/{dseq}` and `POST /v1/leases`."""

    data: Held


class Page(Wire):
    """Where a page of the own list stands."""

    has_more: bool
    total: int | None = None


class HeldList(Wire):
    """The own list's content."""

    deployments: list[Held]
    pagination: Page


class HeldListAnswer(Wire):
    """`GET /v1/deployments`."""

    data: HeldList


class GroupSpec(Snake):
    """A group's description; its name is the SDL's placement name."""

    name: str


class Group(Snake):
    """A group of a deployment."""

    group_spec: GroupSpec


class NamedDeployment(Snake):
    """A deployment of the public list, the only place that tells placement names."""

    deployment: Deployment
    groups: list[Group]


class KeyPage(Snake):
    """Where a page of the public list stands."""

    next_key: str | None = None


class NamedList(Snake):
    """`GET /akash/deployment/{version}/deployments/list`."""

    deployments: list[NamedDeployment]
    pagination: KeyPage


class SignTx(Wire):
    """The chain's receipt; any other code than 0 is a refusal."""

    code: int


class Created(Wire):
    """A new deployment. The manifest comes back once."""

    dseq: Dseq
    manifest: str = Field(repr=False)
    sign_tx: SignTx


class CreatedAnswer(Wire):
    """`POST /v1/deployments`."""

    data: Created


class AttributePair(Snake):
    """A key and its value."""

    key: str
    value: str = ""


class Units(Snake):
    """A number as text."""

    val: str


class OfferedGpu(Snake):
    """The GPUs in a bid."""

    units: Units
    attributes: list[AttributePair] = []


class OfferedResources(Snake):
    """The resources in a bid, as far as we check them."""

    gpu: OfferedGpu


class ResourceOffer(Snake):
    """One resource unit of a bid."""

    resources: OfferedResources
    count: int = 1


class Bid(Snake):
    """A provider's answer to an order."""

    id: LeaseId
    state: str
    price: Price
    resources_offer: list[ResourceOffer] = []
    reclamation_window: str = ""


class BidEntry(Snake):
    """A bid with its deposit, which is none of our business."""

    bid: Bid


class Bids(Wire):
    """`GET /v1/bids`."""

    data: list[BidEntry]


class Settings(Wire):
    """What is set for a deployment."""

    auto_top_up_enabled: bool


class SettingsAnswer(Wire):
    """`PATCH` and `POST /v2/deployment-settings`."""

    data: Settings


class Success(Wire):
    """Whether it was done."""

    success: bool


class ClosedAnswer(Wire):
    """`DELETE /v1/deployments/{dseq}`."""

    data: Success


class Balance(Wire):
    """USD in the wallet outside any escrow, and in all."""

    balance: Decimal
    total: Decimal


class BalanceAnswer(Wire):
    """`GET /v1/balances`."""

    data: Balance


class CoinRate(Wire):
    """`GET /v1/market-data/{coin}`: USD of one coin."""

    price: Decimal = Field(gt=0, allow_inf_nan=False)
