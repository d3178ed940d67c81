"""GPUProvider: one market account, or home."""

from typing import Annotated, Literal

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.meta import Resource
from overspill.api.provider_status import GPUProviderStatus
from overspill.api.rules import Merge, Rule, fixed
from overspill.api.scalars import (
    SET,
    Count,
    Label,
    ModelName,
    ObjectName,
    PositiveSeconds,
    PositiveUSD,
    RateUSD,
    RegionName,
    Seconds,
    Text,
    Word,
)
from overspill.core.vocabulary import CapacityType, TrustTier

Rates = Annotated[dict[str, RateUSD], Field(max_length=128)]
"""USD per GPU-hour by canonical model; "*" is every other model."""

MarketName = Annotated[str, Text(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=63)]
"""The word of an adapter. No closed list: a plugin brings its own."""

Endpoint = Annotated[str, Text(pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$", max_length=1024)]
"""A base URL without credentials, query or fragment."""

_PRIVATE = (
    r"localhost|\[::1\]|(127|10)(\.[0-9]{1,3}){3}|192\.168(\.[0-9]{1,3}){2}"
    r"|172\.(1[6-9]|2[0-9]|3[01])(\.[0-9]{1,3}){2}"
)
_IS_SAFE_ENDPOINT = (
    "!has(self.endpoint) || self.endpoint.startsWith('https://') || "
    "(has(self.config) && 'allowPlainHttp' in self.config "
    "&& self.config['allowPlainHttp'] == 'true') || "
    f"self.endpoint.matches(r'^http://({_PRIVATE})(:[0-9]+)?(/|$)')"
)


class CredentialsRef(ApiModel):
    """The Secret with the account's credentials; the operator needs a Role to read it there."""

    namespace: Label
    """Its namespace."""
    name: ObjectName
    """Its name."""


class ProviderLimits(ApiModel):
    """How much of the account may be used at once."""

    max_leases: Count | None = None
    """At most so many leases at once."""
    max_hourly_usd: PositiveUSD | None = None
    """All leases together cost at most this per hour, in USD."""
    max_exposure_usd: PositiveUSD | None = None
    """All open leases together may still cost at most this, in USD: the sum of their ceilings less
    what they have cost. A new lease gets a lower ceiling to fit in, or waits.
    """


class ProviderPriors(ApiModel):
    """What is assumed until enough was observed."""

    mtbf_seconds: PositiveSeconds | None = None
    """Mean time between losses of a place."""
    cold_start_seconds: Seconds = 120
    """Time from the request to a running workload."""
    egress_usd_per_gib: RateUSD | None = None
    """Price of data that leaves the place, in USD per GiB."""


class Pool(ApiModel):
    """Nodes that a node autoscaler adds when a pod waits for them: a Karpenter NodePool, a group of
    the cluster autoscaler.
    """

    cel_rules = (
        Rule(
            "has(self.usdPerNodeHour) || has(self.instanceType)",
            "give usdPerNodeHour, or instanceType for the mounted price list",
            ".usdPerNodeHour",
            "FieldValueRequired",
        ),
    )

    node_selector: Annotated[
        dict[str, Annotated[str, Text(max_length=63)]], Field(min_length=1, max_length=16)
    ]
    """Labels of its nodes, as {karpenter.sh/nodepool: gpu-l4}. Its pods demand them, which makes
    the autoscaler add a node; home proper does not sell these nodes.
    """
    gpu_model: ModelName
    """Canonical GPU model of its nodes."""
    gpu_count: Annotated[int, Field(ge=1, le=16)] = 1
    """GPUs of one node."""
    max_nodes: Annotated[int, Field(ge=1, le=1000)] = 1
    """So many nodes the autoscaler may have at once."""
    boot_seconds: PositiveSeconds = 300
    """From a waiting pod to a node that takes it; counts in the price and in patience."""
    instance_type: Word | None = None
    """The cloud's name of the machine, looked up in the mounted price list together with the first
    of spec.regions, on demand or as spot by spec.capacityType.
    """
    usd_per_node_hour: RateUSD | None = None
    """What a node costs per hour, in USD; wins over the price list."""


class UnhealthyCondition(ApiModel):
    """A node condition that means: not healthy."""

    type: Annotated[str, Text(pattern=r"^[A-Za-z0-9]([-._/A-Za-z0-9]*)$", max_length=316)]
    """The type of the node condition."""
    unhealthy_status: Literal["True", "False", "Unknown"]
    """The status that means: not healthy."""


class NodeHealth(ApiModel):
    """How loss of a home node is recognised."""

    cel_rules = (
        Rule(
            "self.lostSeconds > self.suspectSeconds",
            "lostSeconds must be more than suspectSeconds",
            ".lostSeconds",
        ),
    )

    conditions: Annotated[
        list[UnhealthyCondition], Field(max_length=64), Merge("map", ("type", "unhealthyStatus"))
    ] = Field(default_factory=list)
    """Node conditions that mean: not healthy."""
    suspect_seconds: PositiveSeconds = 20
    """A node whose heartbeat stood still so long gets nothing new."""
    lost_seconds: PositiveSeconds = 40
    """A node whose heartbeat stood still so long is lost, and its jobs go on elsewhere."""


class GPUProviderSpec(ApiModel):
    """The account, its limits, and what is assumed of its places."""

    cel_rules = (
        fixed("type", "leases that are open belong to that market; create another GPUProvider"),
        Rule(
            "self.type == 'InCluster' || has(self.credentialsSecretRef)",
            "a market needs credentialsSecretRef",
            ".credentialsSecretRef",
            "FieldValueRequired",
        ),
        Rule(
            "self.type != 'InCluster' || (!has(self.credentialsSecretRef) && !has(self.endpoint))",
            "home has neither endpoint nor credentialsSecretRef",
            ".type",
            "FieldValueForbidden",
        ),
        Rule(
            "self.type != 'InCluster' || has(self.pool) || "
            "(has(self.ratesUSD) && '*' in self.ratesUSD)",
            'home needs ratesUSD with an entry "*": what a GPU-hour of any other model costs',
            ".ratesUSD",
            "FieldValueRequired",
        ),
        Rule(
            "self.type == 'InCluster' || "
            "!(has(self.ratesUSD) || has(self.referenceRatesUSD) || has(self.nodeHealth)"
            " || has(self.pool))",
            "ratesUSD, referenceRatesUSD, nodeHealth and pool belong to home",
            ".type",
            "FieldValueForbidden",
        ),
        Rule(
            "(self.type == 'InCluster') == (self.trustTier == 'Own')",
            "trustTier Own is home's, and home is always Own",
            ".trustTier",
        ),
        Rule(
            "self.type == 'InCluster' || self.capacityType != 'Own'",
            "capacityType Own is home's",
            ".capacityType",
        ),
        Rule(
            _IS_SAFE_ENDPOINT,
            "endpoint must be https, as credentials go there; http only to a private address "
            "or with config.allowPlainHttp",
            ".endpoint",
        ),
    )

    type: MarketName
    """The market: InCluster for home, else the word of an adapter (docs/providers.md), such as
    Akash or Vast. An unknown word is told by the condition Ready.
    """
    endpoint: Endpoint | None = None
    """Base URL of the market's API; absent: the market's public one."""
    credentials_secret_ref: CredentialsRef | None = None
    """The Secret with the account's credentials."""
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    """How firmly its places are ours: Own, Reserved, OnDemand, Spot or Community."""
    trust_tier: TrustTier = TrustTier.COMMUNITY
    """How far its places are trusted: Own, Cloud, Audited, Secure or Community. A Secret goes
    only to tiers that its annotation overspill.dev/allowed-tiers names.
    """
    regions: Annotated[list[RegionName], Field(max_length=64), SET] = Field(default_factory=list)
    """Where its places are, when the market does not say; at home: the cluster's region."""
    limits: ProviderLimits | None = None
    """How much of the account may be used at once."""
    priors: ProviderPriors = Field(default_factory=ProviderPriors)
    """What is assumed until enough was observed."""
    rates_usd: Rates | None = None
    """Home only: internal USD per GPU-hour by canonical model; "*" is every other model."""
    reference_rates_usd: Rates | None = None
    """Home only: what a GPU-hour costs on demand at a hyperscaler; savings are told against it."""
    node_health: NodeHealth | None = None
    """Home only: how loss of a node is recognised."""
    pool: Pool | None = None
    """Home only: this account sells the nodes of one autoscaled pool, even those that do not exist
    yet, and nothing else. capacityType says OnDemand or Spot.
    """
    suspended: bool = False
    """True: nothing new is placed here; what runs goes on."""
    config: Annotated[dict[str, Annotated[str, Text(max_length=4096)]], Field(max_length=64)] = (
        Field(default_factory=dict)
    )
    """Settings of the adapter, see docs/providers.md. Never a secret."""


class GPUProvider(Resource):
    """One market account, or home: the cluster's own GPUs, which are quoted like any other."""

    cel_rules = (
        Rule(
            "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
            "metadata.name is at most 63 characters without dots: it becomes a label",
        ),
    )

    kind: Literal["GPUProvider"] = "GPUProvider"
    spec: GPUProviderSpec
    """The account, its limits, and what is assumed of its places."""
    status: GPUProviderStatus = Field(default_factory=GPUProviderStatus)
    """What was observed of the account."""
