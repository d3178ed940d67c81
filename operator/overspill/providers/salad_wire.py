"""SaladCloud's answers, as far as we read them. Fields we do not need are left out and ignored."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Wire(BaseModel):
    """Frozen, and deaf to fields that the market adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _usd(raw: object) -> Decimal | None:
    """A price is a string there; one that is no number is no price, and spoils no other."""
    try:
        price = Decimal(str(raw).strip().removeprefix("$"))
    except InvalidOperation:
        return None
    return price if price.is_finite() and price >= 0 else None


class Price(Wire):
    """USD for an hour of one instance, at one priority."""

    priority: str | None = None
    price: Annotated[Decimal | None, BeforeValidator(_usd)] = None


class GpuClass(Wire):
    """A kind of machine. RAM in MB, storage in bytes, `gpu_count` per instance."""

    id: str
    name: str
    prices: list[Price]
    gpu_count: int = Field(default=1, ge=1)
    gpu_class_type: str = "community"
    min_vcpu: int | None = None
    max_vcpu: int | None = None
    min_ram: int | None = None
    max_ram: int | None = None
    max_storage: int | None = None

    def usd_per_hour(self, priority: str) -> Decimal | None:
        """What an instance costs; None where the class is not sold at this priority."""
        for sold in self.prices:  # asked of thousands of classes: plain, because it is faster
            if sold.priority == priority and sold.price:
                return sold.price
        return None


class GpuClasses(Wire):
    """The catalogue."""

    items: list[GpuClass]


class Availability(Wire):
    """How many machines are free now, by priority."""

    available_gpu_high: int | None = None
    available_gpu_medium: int | None = None
    available_gpu_low: int | None = None
    available_gpu_batch: int | None = None

    def at(self, priority: str) -> int | None:
        """Those of one priority."""
        found: int | None = getattr(self, f"available_gpu_{priority}")
        return found


class Resources(Wire):
    """What one instance has."""

    gpu_classes: list[str] | None = None


class Container(Wire):
    """What one instance runs."""

    resources: Resources = Resources()


class Counts(Wire):
    """Instances by state."""

    allocating_count: int = 0
    creating_count: int = 0
    running_count: int = 0
    stopping_count: int = 0


class State(Wire):
    """How a group does."""

    status: str
    description: str | None = None
    instance_status_counts: Counts = Counts()


class Networking(Wire):
    """Its one HTTPS host."""

    port: int
    dns: str = ""


class Group(Wire):
    """One container group, in any state."""

    id: str
    name: str
    priority: str | None = None
    container: Container = Container()
    current_state: State
    networking: Networking | None = None
    create_time: datetime | None = None


class Groups(Wire):
    """The project's groups; the API has no pages."""

    items: list[Group]


class Instance(Wire):
    """One machine's copy of a group."""

    id: str
    machine_id: str = ""
    state: str = ""


class Instances(Wire):
    """The instances of a group."""

    instances: list[Instance]


class LogEntry(Wire):
    """One line of output; JSON that was printed comes parsed."""

    time: datetime
    text_log: str | None = None
    json_log: dict[str, Any] | None = None


class LogPage(Wire):
    """One answer to a query of logs."""

    items: list[LogEntry]
