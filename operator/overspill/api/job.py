"""GPUJob: the promise. Its spec is the user's alone; the operator never writes it."""

from typing import Annotated, Literal

from pydantic import Field

from overspill.api.base import ApiModel
from overspill.api.job_parts import (
    GPU,
    Checkpoint,
    DataItems,
    Deadline,
    Endpoint,
    Failback,
    JobBudget,
    Placement,
    Recovery,
    Verification,
)
from overspill.api.job_status import GPUJobStatus
from overspill.api.meta import Resource
from overspill.api.rules import Rule, fixed, fixed_optional
from overspill.api.scalars import Count, Label, PositiveSeconds, Seconds, Text
from overspill.api.template import PodTemplate
from overspill.core.vocabulary import Workload

_GPUS_OF_TEMPLATE = (
    "self.template.spec.containers.map(c, "
    "has(c.resources) && has(c.resources.limits) && 'nvidia.com/gpu' in c.resources.limits"
    " ? int(string(c.resources.limits['nvidia.com/gpu'])) : 0).sum()"
)

SPEC_RULES = (
    Rule(
        "!has(self.placement.burst) || self.placement.burst == 'Never' || "
        "(has(self.budget) && has(self.budget.maxTotalUSD))",
        "to leave the cluster a job needs budget.maxTotalUSD",
        ".budget",
        "FieldValueRequired",
    ),
    Rule(
        "self.replicas == 1 || self.workload == 'Inference'",
        "only an Inference job has replicas; a gang is sized by numNodes, suspend holds a job",
        ".replicas",
    ),
    Rule(
        "self.numNodes == 1 || self.workload != 'Inference'",
        "an Inference job runs on single nodes; it grows by replicas",
        ".numNodes",
    ),
    Rule(
        "!has(self.endpoint) || self.workload == 'Inference'",
        "only an Inference job has an endpoint",
        ".endpoint",
        "FieldValueForbidden",
    ),
    Rule(
        "!has(self.deadline) || self.workload != 'Inference'",
        "an Inference job does not finish, so it has no deadline",
        ".deadline",
        "FieldValueForbidden",
    ),
    Rule(
        "!has(self.failback) || !has(self.failback.policy) || "
        "self.failback.policy != 'OnCheckpoint' || has(self.checkpoint)",
        "failback OnCheckpoint needs a checkpoint",
        ".checkpoint",
        "FieldValueRequired",
    ),
    Rule(
        f"{_GPUS_OF_TEMPLATE} in [0, self.gpu.count]",
        "the containers' nvidia.com/gpu limits must add up to gpu.count (or be left out)",
        ".template",
    ),
    fixed("workload", "create another GPUJob"),
    fixed("gpu", "create another GPUJob"),
    fixed("numNodes", "create another GPUJob"),
    fixed("template", "attempts of one job must run the same thing; create another GPUJob"),
    fixed_optional("managedBy", "two controllers could both run the job"),
    Rule(
        "has(self.checkpoint) == has(oldSelf.checkpoint)",
        "checkpoint cannot be added or removed later: attempts already run with or without it",
        ".checkpoint",
        "FieldValueForbidden",
    ),
)


class GPUJobSpec(ApiModel):
    """What to run, on what GPU, with which promise and at most for how many dollars."""

    cel_rules = SPEC_RULES

    workload: Workload = Workload.TRAINING
    """Training, Batch or Inference: sets sound defaults of placement."""
    sla_class_name: Label | None = None
    """The SLAClass; absent: the default class."""
    gpu: GPU
    """The GPUs of each node."""
    num_nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    """Nodes of the gang; all at one place, or none."""
    replicas: Annotated[int, Field(ge=0, le=100)] = 1
    """Copies of an Inference service; set by `kubectl scale` and autoscalers. Each further copy is
    a GPUJob of its own, `<name>-1` and so on, which the operator makes, suspends and resumes; the
    class's spareReplicas come on top. They share the budget: all together never spend more than it
    says. 0: none runs.
    """
    template: PodTemplate
    """An ordinary pod template. What cannot travel (a PVC, hostPath, a ServiceAccount token, a
    ConfigMap) keeps the job at home; the condition NotBurstable names the field.
    """
    data: DataItems = Field(default_factory=list)
    """What must be read before the work starts."""
    deadline: Deadline | None = None
    """When the work should be finished, and how long it takes."""
    active_deadline_seconds: PositiveSeconds | None = None
    """Hard cap: an attempt that runs longer is ended, and the job is Failed."""
    budget: JobBudget | None = None
    """Hard limits on money. Without budget.maxTotalUSD the job stays at home."""
    checkpoint: Checkpoint | None = None
    """The checkpoint contract; without it every move starts the work again."""
    placement: Placement = Field(default_factory=Placement)
    """Where the job may run."""
    failback: Failback | None = None
    """When a job that runs outside comes home; absent: the SLA class decides."""
    recovery: Recovery = Field(default_factory=Recovery)
    """What happens when the place is lost."""
    backoff_limit: Count = 6
    """Failures of the command itself before the job is Failed; moves do not count."""
    verification: Verification | None = None
    """How far a place's claims are checked; absent: the SLA class decides. Not acted on in this
    version.
    """
    endpoint: Endpoint | None = None
    """The service of an Inference job."""
    suspend: bool = False
    """True: nothing runs; what runs is told to checkpoint and then ended."""
    managed_by: (
        Annotated[str, Text(pattern=r"^[a-z0-9][-.a-z0-9]*/[-._A-Za-z0-9/]+$", max_length=63)]
        | None
    ) = None
    """The controller of this job, as in batch/v1; any but overspill.dev/operator: we look away."""
    ttl_seconds_after_finished: Seconds | None = None
    """Delete the finished GPUJob after this time; absent: never."""


class GPUJob(Resource):
    """A job on GPUs that runs on the cluster's own nodes or on rented ones, wherever that is best
    for its promise and its budget, and moves when its place is lost.
    """

    cel_rules = (
        Rule(
            "size(self.metadata.name) <= 63",
            "metadata.name is at most 63 characters: it becomes a label",
        ),
    )

    kind: Literal["GPUJob"] = "GPUJob"
    spec: GPUJobSpec
    """What to run, on what GPU, with which promise and at most for how many dollars."""
    status: GPUJobStatus = Field(default_factory=GPUJobStatus)
    """What the operator observed and decided."""
