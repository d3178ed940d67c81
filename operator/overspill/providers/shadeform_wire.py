"""Shadeform's answers, as far as we read them. Fields we do not need are left out and ignored."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _dollars(told: object) -> Decimal | None:
    """A figure for people, "103.4" or "$15.00": what cannot be read is not told."""
    try:
        return Decimal(str(told).strip().removeprefix("$"))
    except InvalidOperation:
        return None


Dollars = Annotated[Decimal | None, BeforeValidator(_dollars)]


class Wire(BaseModel):
    """Frozen, and deaf to fields that the market adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Configuration(Wire):
    """The hardware of a type or an instance; sizes in GB."""

    num_gpus: int
    gpu_type: str
    vram_per_gpu_in_gb: Decimal
    interconnect: str = ""
    nvlink: bool | None = None
    memory_in_gb: Decimal = Decimal(0)
    storage_in_gb: Decimal = Decimal(0)
    vcpus: int = 0
    os_options: list[str] = Field(default_factory=list)
    gpu_manufacturer: str = "nvidia"


class Availability(Wire):
    """Whether a region has a type now. `display_name` is a place in words: "US, Wichita, KS"."""

    region: str
    available: bool = False
    display_name: str = ""


class BootTime(Wire):
    """An estimate, in seconds."""

    min_boot_in_sec: int | None = None
    max_boot_in_sec: int | None = None


class InstanceType(Wire):
    """One kind of instance of one cloud. `hourly_price` is in cents, for the whole instance."""

    cloud: str
    shade_instance_type: str
    configuration: Configuration
    hourly_price: Decimal
    deployment_type: str = "vm"
    availability: list[Availability] = Field(default_factory=list)
    boot_time: BootTime | None = None


class InstanceTypes(Wire):
    """The catalogue."""

    instance_types: list[InstanceType]


class PortMapping(Wire):
    """What we asked for: a port of the host that leads to one of the container."""

    host_port: int
    container_port: int


class ProvidedPort(Wire):
    """Where a cloud without open addresses lets a port of the host come out."""

    internal_port: int | None = None
    external_port: int | None = None


class Docker(Wire):
    """The container that was asked for."""

    port_mappings: list[PortMapping] | None = None


class Launch(Wire):
    """What happens when the instance is up."""

    docker_configuration: Docker | None = None


class Instance(Wire):
    """One instance that is not deleted. Times that never came are of the year 1."""

    id: str
    name: str = ""
    status: str = ""
    cloud: str = ""
    region: str = ""
    ip: str | None = None
    hourly_price: Decimal | None = None
    cost_estimate: Dollars = None
    configuration: Configuration | None = None
    launch_configuration: Launch | None = None
    port_mappings: list[ProvidedPort] | None = None
    created_at: datetime | None = None
    active_at: datetime | None = None


class Instances(Wire):
    """Every instance of the account that is not deleted; there are no pages."""

    instances: list[Instance]


class Created(Wire):
    """All that a create tells."""

    id: str = Field(min_length=1)
