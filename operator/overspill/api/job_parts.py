"""The parts of a GPUJob's spec: what it needs, what it may cost, where it may go."""

from typing import Annotated

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.rules import Merge, Rule
from overspill.api.scalars import (
    ATOMIC,
    SET,
    URI,
    Instant,
    Label,
    ModelName,
    Percent,
    Port,
    PositiveSeconds,
    PositiveUSD,
    Quantity,
    RegionName,
    Seconds,
    Text,
    Version,
)
from overspill.core.vocabulary import (
    Burst,
    CapacityType,
    DataClass,
    EndpointProtocol,
    FailbackPolicy,
    Fencing,
    InterconnectClass,
    InterconnectMode,
    VerificationMode,
)


class Interconnect(ApiModel):
    """The fabric between the GPUs."""

    class_: InterconnectClass
    """None, PCIe, NVLink or InfiniBand; a stronger one also fits."""
    mode: InterconnectMode = InterconnectMode.PREFERRED
    """Required: a weaker place is never used. Preferred: a weaker place must be cheaper."""


class GPU(ApiModel):
    """The GPUs of one node."""

    cel_rules = (
        Rule(
            "!has(self.memoryMin) || quantity(string(self.memoryMin)).isGreaterThan(quantity('0'))",
            "memoryMin must be more than 0",
            ".memoryMin",
        ),
    )

    count: Annotated[int, Field(ge=1, le=16)] = 1
    """GPUs of each node."""
    models: Annotated[list[ModelName], Field(max_length=16), ATOMIC] = Field(default_factory=list)
    """Canonical GPU models in order of preference (h100, a100-80gb); empty: any that fits."""
    memory_min: Quantity | None = None
    """Least memory of each GPU ("80Gi"); 95 % of it are enough, as drivers keep a little."""
    compute_capability_min: Version | None = None
    """Least CUDA compute capability ("8.0")."""
    interconnect: Interconnect | None = None
    """The fabric between the GPUs; absent: any."""


class DataItem(ApiModel):
    """Data that must be read before the work starts."""

    uri: URI
    """Where the data is."""
    size_gib: Annotated[int, Field(ge=0, le=1_000_000)]
    """How much of it is read, in GiB; counts in transfer price and cold start."""
    region: RegionName | None = None
    """Where it is stored."""


class Deadline(ApiModel):
    """When the work should be finished, and how long it takes. At most one of the two finish-by
    forms.
    """

    cel_rules = (
        Rule(
            "!(has(self.finishByTime) && has(self.finishWithinSeconds))",
            "give finishByTime or finishWithinSeconds, not both",
            ".finishWithinSeconds",
            "FieldValueForbidden",
        ),
        Rule(
            "has(self.finishByTime) || has(self.finishWithinSeconds) || has(self.workSeconds)",
            "give finishByTime, finishWithinSeconds or workSeconds",
            reason="FieldValueRequired",
        ),
        Rule(
            "!has(self.finishWithinSeconds) || !has(self.workSeconds) || "
            "self.workSeconds <= self.finishWithinSeconds",
            "workSeconds is more than finishWithinSeconds: the promise cannot be kept",
            ".workSeconds",
        ),
    )

    finish_by_time: Instant | None = None
    """Finish by this instant."""
    finish_within_seconds: PositiveSeconds | None = None
    """Finish within this time after the GPUJob was created."""
    work_seconds: PositiveSeconds | None = None
    """Your estimate of the work, on the first GPU model you name."""


class JobBudget(ApiModel):
    """Hard limits on money. Nothing is leased that could break them."""

    max_total_usd: PositiveUSD | None = None
    """All attempts together cost at most this, in USD, as a string ("120")."""
    max_hourly_usd: PositiveUSD | None = None
    """One lease costs at most this per hour, in USD, as a string ("6")."""


class Checkpoint(ApiModel):
    """The checkpoint contract. Each attempt writes below a prefix of its own."""

    cel_rules = (
        Rule(
            "self.uri == oldSelf.uri",
            "uri cannot be changed: attempts that run write there",
            ".uri",
            "FieldValueForbidden",
        ),
        Rule(
            "!self.uri.matches('^[^/]*//[^/]*@')",
            "uri must not carry credentials: put them in a Secret that the template refers to",
            ".uri",
        ),
    )

    uri: URI
    """Base of all attempts (s3://bucket/prefix); the attempt's own prefix is added to it."""
    interval_seconds: PositiveSeconds
    """About how often the workload writes a checkpoint: what a loss costs."""
    size_gib: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Size of one checkpoint in GiB; counts in the price of a move."""
    restore_seconds: Seconds = 0
    """How long a restart from a checkpoint takes."""


class Placement(ApiModel):
    """Where the job may run."""

    cel_rules = (
        Rule(
            "!(has(self.burst) && self.burst == 'Only' && self.dataClass == 'Confidential')",
            "dataClass Confidential never leaves the cluster, so burst cannot be Only",
            ".dataClass",
        ),
        Rule(
            "!(has(self.burst) && self.burst == 'Never' && has(self.burstAfterSeconds))",
            "burstAfterSeconds has no meaning with burst Never",
            ".burstAfterSeconds",
            "FieldValueForbidden",
        ),
    )

    burst: Burst | None = None
    """Never, Allowed or Only leave the cluster. Absent: Allowed once budget.maxTotalUSD is set."""
    burst_after_seconds: Seconds | None = None
    """Wait this long for own capacity before renting; absent: the SLA class decides."""
    providers: Annotated[list[Label], Field(max_length=32), SET] = Field(default_factory=list)
    """Only these GPUProviders; empty: all."""
    regions: Annotated[list[RegionName], Field(max_length=32), SET] = Field(default_factory=list)
    """Only these regions, or places below them (eu also allows eu-west); empty: all."""
    max_rtt_millis: Annotated[int, Field(ge=1, le=60_000)] | None = None
    """No place whose round trip to this cluster is measured to be longer than this. Measured where
    something of yours runs, from there to the operator's report URL; what was never measured is
    allowed. A service that turns out to run too far away moves where it can.
    """
    capacity_types: Annotated[list[CapacityType], Field(max_length=5), SET] = Field(
        default_factory=list
    )
    """Only these of the SLA class's capacity types; empty: all of them."""
    min_verification: VerificationMode | None = None
    """Use only places whose claims are checked at least this far. Not acted on in this version."""
    data_class: DataClass = DataClass.INTERNAL
    """Confidential never leaves the cluster."""


class Failback(ApiModel):
    """When a job that runs outside comes home. Absent fields: the SLA class decides."""

    policy: FailbackPolicy | None = None
    """Never, OnCheckpoint (right after a durable checkpoint) or WhenCheaper."""
    min_saving_percent: Percent | None = None
    """Come home only when that saves at least this share of the remaining cost."""
    cooldown_seconds: Seconds | None = None
    """Never move twice within this time."""


class Recovery(ApiModel):
    """What happens when the place is lost. Loss of a place is not failure of the job."""

    max_moves: Annotated[int, Field(ge=0, le=1000)] = 20
    """After so many moves the job stops and a person decides."""
    on_exit_codes: Annotated[
        list[Annotated[int, Field(ge=1, le=255)]], Field(max_length=64), SET
    ] = Field(default_factory=list)
    """Exit codes that mean a lost place (a broken GPU); they do not count in backoffLimit."""
    fencing: Fencing = Fencing.IMMEDIATE
    """Immediate: the next attempt starts at once, under its own prefix. WaitForPod: not before
    the old pod or its node is proven gone.
    """


class Verification(ApiModel):
    """How far the place's claims are checked."""

    mode: VerificationMode
    """None, Preflight, SpotCheck, Redundant or Refereed."""


class Endpoint(ApiModel):
    """The service of an Inference job: one name that stays wherever it runs."""

    port: Port
    """The port the workload listens on."""
    protocol: EndpointProtocol = EndpointProtocol.HTTP
    """HTTP, GRPC or TCP."""
    readiness_path: Annotated[str, Text(pattern=r"^/[^\s]*$", max_length=1024)] | None = None
    """HTTP path that answers 2xx once the workload can serve."""


DataItems = Annotated[list[DataItem], Field(max_length=64), Merge("map", ("uri",))]
"""Data sets, one entry per URI."""
