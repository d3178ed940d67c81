"""What all kinds share: object metadata as we read it, conditions, the common skeleton."""

from typing import Annotated, Literal

from pydantic import Field

from overspill.api import API_VERSION
from overspill.api.base import ApiModel
from overspill.api.rules import Merge
from overspill.api.scalars import Generation, Instant, Message, ReasonWord
from overspill.core.reasons import Condition as JobConditionType


class ObjectMeta(ApiModel):
    """The standard metadata, as far as the operator reads it."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 1
    creation_timestamp: Instant | None = None
    deletion_timestamp: Instant | None = None
    finalizers: list[str] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Resource(ApiModel):
    """The skeleton of every kind."""

    api_version: str = API_VERSION
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)


ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(ApiModel):
    """One observation about the object, as in every Kubernetes API."""

    type: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """What is observed, one CamelCase word."""
    status: ConditionStatus
    """Whether it holds: True, False or Unknown."""
    reason: ReasonWord
    """Why, one CamelCase word for programs; listed in docs/conditions.md."""
    message: Message = ""
    """Why, in sentences for people: who must do what."""
    last_transition_time: Instant | None = None
    """When `status` last changed."""
    observed_generation: Generation | None = None
    """The generation of the spec that this was observed on."""


class JobCondition(Condition):
    """One observation about the job. The negative types stand only while they are true."""

    type: JobConditionType
    """What is observed: one of the closed list of condition types."""


Conditions = Annotated[list[Condition], Field(max_length=32), Merge("map", ("type",))]
"""Conditions, one per type."""
JobConditions = Annotated[list[JobCondition], Field(max_length=32), Merge("map", ("type",))]
"""Conditions of a GPUJob, one per type."""
