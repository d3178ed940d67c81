"""Lium's answers, as far as we read them. Fields we do not need are left out and ignored.

Counts come as numbers or as words; lists come bare.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    model_validator,
)


class Wire(BaseModel):
    """Frozen, and deaf to fields that the market adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


Time = Annotated[datetime | None, AfterValidator(_aware)]
"""A moment; without a zone it is UTC."""
Parts = Annotated[dict[str, Any], BeforeValidator(lambda raw: raw or {})]
"""An object that may be null."""
Words = Annotated[str, BeforeValidator(lambda raw: raw or "")]


class Version(Wire):
    """What the market can do beyond its first version."""

    features: list[str] = Field(default_factory=list)


class GpuDetail(Wire):
    """One GPU of a node; `capacity` is MiB."""

    name: str = ""
    capacity: Decimal | None = None


class GpuSpecs(Wire):
    """The GPUs of a node as its check saw them, one entry for each; they are all alike."""

    count: int = 0
    first: GpuDetail | None = None

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, raw: Any) -> Any:
        """A list of thousands of nodes has ten thousands of entries: only the first is read."""
        if not isinstance(raw, dict):
            return raw
        details = raw.get("details") or []
        if not isinstance(details, list):
            raise ValueError("the details of a node's GPUs are no list")  # noqa: TRY004 -- for pydantic
        return {"count": len(details), "first": details[0] if details else None}


class Specs(Wire):
    """What a node's check saw."""

    gpu: Annotated[GpuSpecs, BeforeValidator(lambda raw: raw or {})] = GpuSpecs()


class Node(Wire):
    """A node that can be rented; `price_per_gpu` is USD per hour."""

    id: str
    machine_name: Words = ""
    price_per_gpu: Decimal | None = None
    gpu_count: int | None = None
    available_gpu_count: int | None = None
    min_gpu_count_for_rental: int | None = None
    """None: all of its GPUs or nothing."""
    location: Parts = Field(default_factory=dict)
    specs: Annotated[Specs, BeforeValidator(lambda raw: raw or {})] = Specs()
    tier: str | None = None
    reliability_score: Decimal | None = None
    """0 to 100."""
    frequent_rent_failures: bool | None = None
    nvlink: bool | None = None
    executor_ip_address: str | None = None


class Nodes(RootModel[list[Node]]):
    """The nodes that are listed."""


class Template(Wire):
    """An image with its command and environment."""

    id: str
    name: Words = ""
    is_private: bool | None = None


class Templates(RootModel[list[Template]]):
    """Ours and everybody's public ones."""


class Rented(Wire):
    """The answer of a rent."""

    id: str | None = None
    pod_id: str | None = None


class Pod(Wire):
    """One pod; `price` is USD per hour for all of it."""

    id: str
    pod_name: Words = ""
    status: Words = ""
    phase: str | None = None
    price: Decimal | None = None
    gpu_count: int | None = None
    gpu_name: str | None = None
    executor: Annotated[Node | None, BeforeValidator(lambda raw: raw or None)] = None
    ports_mapping: Parts = Field(default_factory=dict)
    ssh_connect_cmd: str | None = None
    created_at: Time = None
    removal_scheduled_at: Time = None


class Pods(RootModel[list[Pod]]):
    """Everything the account holds; the API has no pages."""


class User(Wire):
    """The account."""

    balance: Decimal


class Refusal(Wire):
    """What a refusal says."""

    code: Words = ""
    message: Words = ""


class Refused(Wire):
    """The body of a refusal; an older server has words where the object is."""

    error: Refusal | str | None = None


class Done(Wire):
    """Whatever came back."""
