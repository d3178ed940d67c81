"""RunPod's v2 answers, as far as we read them. Fields we do not need are left out and ignored."""

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field


class Wire(BaseModel):
    """Frozen, and deaf to fields that the market adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class PerCloud(Wire):
    """One figure for each cloud."""

    secure: Decimal = Decimal(0)
    community: Decimal = Decimal(0)


class DataCenter(Wire):
    """A place that has a GPU type, and how much of it is left."""

    id: str
    availability: str = "NONE"


class GpuType(Wire):
    """One GPU type of the catalogue. `memory` is GB, `price` USD per GPU and hour."""

    id: str
    name: str = ""
    manufacturer: str = "NVIDIA"
    memory: Decimal
    secure: bool = False
    community: bool = False
    price: PerCloud
    max_count: PerCloud = Field(alias="maxCount")
    availability: str | None = None
    data_centers: list[DataCenter] = Field(default_factory=list, alias="dataCenters")


class GpuTypes(Wire):
    """The catalogue."""

    gpus: list[GpuType]


class PodGpu(Wire):
    """What a pod has."""

    id: str
    count: int = 1


class RuntimePort(Wire):
    """Where a port came out; `public` is null for what only the proxy reaches."""

    private: int | None = None
    public: int | None = None
    type: str = "tcp"
    ip: str | None = None


class Runtime(Wire):
    """What a running container tells; null when it does not."""

    uptime: int | None = None
    ports: list[RuntimePort] | None = None


class Pod(Wire):
    """One pod, in any state. `cost` is USD per hour now, 0 when it exited."""

    id: str
    name: str
    status: str
    cost: Decimal | None = None
    gpu: PodGpu | None = None
    ports: list[str] | None = None
    runtime: Runtime | None = None
    data_center: str | None = Field(default=None, alias="dataCenterId")
    created_at: datetime | None = Field(default=None, alias="createdAt")
    started_at: datetime | None = Field(default=None, alias="startedAt")


class Pagination(Wire):
    """Whether a list goes on; newer than the published file, and absent in its answers."""

    has_next_page: bool = Field(default=False, alias="hasNextPage")
    next_cursor: str | None = Field(default=None, alias="nextCursor")


class Pods(Wire):
    """One page of the account's pods."""

    pods: list[Pod]
    pagination: Pagination | None = None


class LogEvent(Wire):
    """One line of a log."""

    line: str
