"""Dispersed's answers, as far as we read them. Fields we do not need are ignored.

From the official examples (`compute_examples`): job, list of jobs, list of runs, `node_urls`; from
the documentation: that a single run has `logs`, "container output", in no told form. Not documented
in public, and therefore read only where they are there: the entries of the GPU registry, and `node`
of a run.
"""

from decimal import Decimal
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator


class Wire(BaseModel):
    """Frozen, and deaf to fields that the market adds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Gpu(Wire):
    """One kind of the registry."""

    name: str = Field(validation_alias=AliasChoices("name", "gpu_name"))
    vram_gb: Decimal | None = Field(
        default=None, validation_alias=AliasChoices("vram_gb", "min_vram_gb")
    )
    available: int | None = Field(
        default=None, validation_alias=AliasChoices("available", "available_count")
    )


class Gpus(Wire):
    """A page of the registry."""

    data: list[Gpu]


class Job(Wire):
    """One job; the official client reads it bare and inside `data`."""

    uuid: str
    status: str = "PENDING"
    title: str | None = None
    created_at_ms: int | None = None
    max_timeout_run_ms: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _unwrapped(cls, raw: Any) -> Any:
        return _inner(raw)


class Jobs(Wire):
    """One page."""

    data: list[Job]


class NodeUrl(Wire):
    """Where a port of a run came out. `description` is free text."""

    description: str | None = None
    hostname: str
    port: int
    protocol: str | None = None
    tls: bool | None = None


class Node(Wire):
    """What a run really got, where the market tells it."""

    uuid: str | None = None
    gpu_name: str | None = None
    gpu_count: int | None = None
    vram_gb: Decimal | None = None
    price_per_hour_usd: Decimal | None = None


class Run(Wire):
    """One attempt of the market to run a job."""

    uuid: str
    job_uuid: str | None = None
    status: str = ""
    started_at_ms: int | None = None
    node_urls: list[NodeUrl] | None = None
    node: Node | None = None


class Runs(Wire):
    """The attempts of one job."""

    data: list[Run]


class RunLog(Wire):
    """A single run, which alone carries what its container printed."""

    logs: str | list[str] | None = Field(default=None, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _unwrapped(cls, raw: Any) -> Any:
        return _inner(raw)

    def text(self) -> str:
        """The output as one text, each entry of a list being a line."""
        if isinstance(self.logs, list):
            return "".join(entry.rstrip("\n") + "\n" for entry in self.logs)
        return self.logs or ""


def _inner(raw: Any) -> Any:
    """What is inside `data`, or the thing itself."""
    inner = raw.get("data") if isinstance(raw, dict) else None
    return inner if isinstance(inner, dict) else raw
