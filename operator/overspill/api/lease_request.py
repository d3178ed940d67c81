"""The two frozen halves of a GPULease's spec: the offer taken and the request to the place.

The offer has every field of `core/offer.Offer`, the request those of `core/workload`.
"""

from typing import Annotated

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.scalars import (
    ATOMIC,
    Count,
    Environ,
    ExactNumber,
    ExactUSD,
    Instant,
    Line,
    ObjectName,
    Port,
    Seconds,
    Text,
    Version,
    Word,
)
from overspill.api.template import FrozenTemplate
from overspill.core.vocabulary import CapacityType, InterconnectClass, TrustTier

Argument = Annotated[str, Text(max_length=131072)]
Attributes = Annotated[dict[str, Annotated[str, Text(max_length=4096)]], Field(max_length=64)]


class LeaseOffer(ApiModel):
    """A place that could run work, priced in USD for the whole lease."""

    provider: Word
    """The GPUProvider."""
    offer_id: Line
    """The market's own identity of the offer."""
    place: Word
    """Provider and region, or provider and node."""
    capacity_type: CapacityType
    """How firmly the place is ours."""
    trust_tier: TrustTier
    """How far the place is trusted with data."""
    gpu_model: Word
    """Canonical GPU model."""
    gpu_count: Annotated[int, Field(ge=1, le=2_147_483_647)]
    """GPUs of the offer, over all its nodes."""
    price_per_hour_usd: ExactUSD
    """USD per hour for all GPUs of the offer."""
    as_of_time: Instant
    """When the offer was seen."""
    node_count: Annotated[int, Field(ge=1, le=2_147_483_647)] = 1
    """Nodes of the offer."""
    region: Word = ""
    """The region of the place."""
    gpu_memory_gib: ExactNumber | None = None
    """Memory of each GPU in GiB."""
    compute_capability: Version | None = None
    """CUDA compute capability."""
    interconnect: InterconnectClass = InterconnectClass.NONE
    """The fabric between the GPUs."""
    is_divisible: bool = False
    """Whether a part of the offer can be had at a part of the price."""
    is_firm: bool = True
    """Whether the price stands; false where an auction decides it."""
    reliability: ExactNumber | None = None
    """Share of time the place was there, from 0 to 1."""
    verification: Word = ""
    """What the market says of the host's verification."""
    egress_usd_per_gib: ExactUSD | None = None
    """Price of data that leaves the place, in USD per GiB."""
    cold_start_seconds: Seconds = 0
    """Time from the request to a running workload."""
    mtbf_seconds: Seconds | None = None
    """Mean time between losses of such a place."""
    min_billable_seconds: Seconds = 0
    """Least time that is billed."""
    available_until_time: Instant | None = None
    """When the place goes away by itself."""
    unavailable_reason: Line = ""
    """Why the offer cannot be had now; empty: it can."""
    attributes: Attributes = Field(default_factory=dict)
    """Facts of the adapter's, carried through unread."""


class EnvVar(ApiModel):
    """A plain environment variable."""

    name: Environ
    """Its name."""
    value: Argument = ""
    """Its value; never a secret."""


class SecretEnvVar(ApiModel):
    """An environment variable whose value is resolved from a Secret at the moment of sending."""

    name: Environ
    """Its name."""
    secret_name: ObjectName
    """The Secret, in the lease's namespace."""
    key: Word
    """The key in the Secret."""
    optional: bool = False
    """Whether the Secret or key may be missing."""


class LeaseRequest(ApiModel):
    """What is asked of the place, frozen. It holds references to Secrets, never their values."""

    gpu_count: Annotated[int, Field(ge=1, le=2_147_483_647)]
    """GPUs of each node."""
    num_nodes: Annotated[int, Field(ge=1, le=2_147_483_647)] = 1
    """Nodes of the gang."""
    home_node: Word = ""
    """The node placement chose at home; empty: the scheduler chooses."""
    image: Annotated[str, Text(max_length=1024)] | None = None
    """Image of the container that travels; absent at home."""
    command: Annotated[list[Argument], Field(max_length=512), ATOMIC] = Field(default_factory=list)
    """The program to run."""
    args: Annotated[list[Argument], Field(max_length=512), ATOMIC] = Field(default_factory=list)
    """Arguments of the program."""
    env: Annotated[list[EnvVar], Field(max_length=512), ATOMIC] = Field(default_factory=list)
    """Plain environment variables, in order."""
    secret_env: Annotated[list[SecretEnvVar], Field(max_length=128), ATOMIC] = Field(
        default_factory=list
    )
    """Environment variables resolved from Secrets."""
    secret_digest: Line = ""
    """Keyed digest of what the Secrets held when the lease was planned."""
    ports: Annotated[list[Port], Field(max_length=64), ATOMIC] = Field(default_factory=list)
    """Ports to be reached from outside."""
    cpu_units: ExactNumber | None = None
    """CPUs."""
    memory_gib: ExactNumber | None = None
    """Memory in GiB."""
    disk_gib: ExactNumber | None = None
    """Disk in GiB."""
    working_dir: Annotated[str, Text(max_length=4096)] = ""
    """Working directory of the program."""
    template: FrozenTemplate | None = None
    """The pod template at home; absent when rented."""
    report_url: Annotated[str, Text(max_length=2048)] = ""
    """Where the runner reports; empty: nowhere."""
    active_deadline_seconds: Seconds | None = None
    """Hard cap on the attempt's time."""
    grace_period_seconds: Count = 30
    """Time between the request to stop and the end."""
    labels: Attributes = Field(default_factory=dict)
    """Labels of the children at home."""
