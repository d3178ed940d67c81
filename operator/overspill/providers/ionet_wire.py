"""io.net's CaaS answers, as far as we read them. Fields we do not need are ignored.

Read after the maker's own client (`ionet-cloud` 0.4.1) where the published file is older.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Wire(BaseModel):
    """Frozen, and deaf to fields that the market adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Hardware(Wire):
    """One kind of GPU in one place. `price` is USD per GPU and hour, without fees."""

    hardware_id: int | str
    hardware_name: str
    brand_name: str | None = None
    location: str | None = None
    price: Decimal | None = None
    available: int = 0
    max_gpus_per_container: int | None = None


class Catalogue(Wire):
    """The kinds there are: a bare list under `data`, or one named `hardware` in it."""

    data: list[Hardware]

    @model_validator(mode="before")
    @classmethod
    def _unwrapped(cls, raw: Any) -> Any:
        inner = raw.get("data") if isinstance(raw, dict) else None
        return {"data": inner["hardware"]} if isinstance(inner, dict) else raw


class Place(Wire):
    """One location, and how many replicas of the asked shape it could start."""

    id: int
    iso2: str = ""
    available_replicas: int = 0


class Places(Wire):
    """Every location of one kind."""

    data: list[Place]


class Price(Wire):
    """What a booking would cost, all fees in `total_cost_usdc`. No reservation."""

    total_cost_usdc: Decimal
    ionet_fee_percent: Decimal = Decimal(0)
    currency_conversion_fee_percent: Decimal = Decimal(0)


class PriceAnswer(Wire):
    """A quote in its envelope."""

    data: Price


class Created(Wire):
    """What a deploy answers; some answers of this API wrap themselves in `data`."""

    deployment_id: str

    @model_validator(mode="before")
    @classmethod
    def _unwrapped(cls, raw: Any) -> Any:
        inner = raw.get("data") if isinstance(raw, dict) else None
        return inner if isinstance(inner, dict) else raw


class Location(Wire):
    """Where a deployment is."""

    id: int | str | None = None
    iso2: str | None = None


class Deployment(Wire):
    """One deployment. The list has `name`; one read alone has no `name`, but what was paid."""

    id: str
    status: str
    name: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    amount_paid: Decimal | None = None
    total_gpus: int | None = None
    gpus_per_container: int | None = None
    hardware_id: int | str | None = None
    hardware_name: str | None = None
    brand_name: str | None = None
    locations: list[Location] = Field(default_factory=list)
    minutes_served: int = Field(default=0, alias="compute_minutes_served")
    minutes_remaining: int = Field(default=0, alias="compute_minutes_remaining")


class DeploymentAnswer(Wire):
    """One deployment in its envelope."""

    data: Deployment


class Deployments(Wire):
    """One page."""

    deployments: list[Deployment]
    total: int = 0


class DeploymentsAnswer(Wire):
    """One page in its envelope."""

    data: Deployments


class Worker(Wire):
    """One container. `public_url` may stay null for ever."""

    container_id: str
    device_id: str | None = None
    status: str | None = None
    gpus_per_container: int | None = None
    hardware: str | None = None
    public_url: str | None = None


class Workers(Wire):
    """The containers of a deployment."""

    workers: list[Worker]


class WorkersAnswer(Wire):
    """The same in their envelope."""

    data: Workers
