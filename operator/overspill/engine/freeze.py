"""Freezes a placement decision into the GPULease that will be recorded (R1).

What is written here is what will be asked of the place, byte for byte, however often it is sent.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from overspill.core.copies import SERVICE_LABEL
from overspill.core.copies_money import caps_of
from overspill.core.decision import Decision
from overspill.core.job import Job
from overspill.core.lease import JobRef, Lease, lease_name
from overspill.core.offer import Offer
from overspill.core.portability import portable
from overspill.core.vocabulary import Workload
from overspill.core.workload import LeaseRequest, PortableWorkload
from overspill.engine.context import Engine
from overspill.engine.drain import newest_checkpoint
from overspill.runner.wrap import RunnerMode, wrapped, wrapped_template

UNLIMITED = timedelta(days=366)
"""How long a job without any limit of its own may stay at home in one piece."""

OWN_DEADLINE_MARGIN_S = 60

PRICE_HEADROOM = Decimal("1.10")
"""An auction may end a little above its estimate, never above the job's own cap."""


def frozen_lease(
    engine: Engine, job: Job, decision: Decision, attempt: int, *, home: bool
) -> Lease:
    """The lease to record. `decision.offer` is already cut to the job's size.

    The digest of its Secrets is added by the caller, which has read them.
    """
    offer = decision.offer
    if offer is None:
        raise ValueError(f"{job.ref.name}: a decision to place needs an offer")
    deadline = decision.hard_deadline or engine.clock.now() + UNLIMITED
    if not home and (decision.hard_deadline is None or decision.max_total_usd is None):
        raise ValueError(f"{job.ref.name}: nothing is rented without a cap and a deadline")
    name = lease_name(engine.cluster.cluster_id, job.ref.uid, attempt)
    draft = Lease(
        name=name,
        namespace=job.ref.namespace,
        uid="",
        resource_version="",
        job=JobRef(job.ref.namespace, job.ref.name, job.ref.uid),
        attempt=attempt,
        provider=offer.provider,
        cluster_id=engine.cluster.cluster_id,
        offer=offer,
        request=LeaseRequest(gpu_count=job.gpu.count),
        max_usd_per_hour=decision.max_usd_per_hour or _hourly_cap(job, offer),
        max_total_usd=_total_cap(engine, decision, offer, deadline),
        hard_deadline=deadline.replace(microsecond=0),
        created_at=engine.clock.now(),
        is_home=home,
    )
    request = _home_request(engine, job, draft, decision) if home else _request(engine, job, draft)
    return replace(draft, request=request)


def _total_cap(engine: Engine, decision: Decision, offer: Offer, deadline: datetime) -> Decimal:
    """The job's own cap; without one (home only) what it can cost until the deadline."""
    if decision.max_total_usd is not None:
        return decision.max_total_usd
    hours = Decimal((deadline - engine.clock.now()).total_seconds()) / 3600
    return (offer.price_usd_per_hour * hours).quantize(Decimal("0.01"))


def _hourly_cap(job: Job, offer: Offer) -> Decimal:
    price = offer.price_usd_per_hour
    wanted = price if offer.is_firm else price * PRICE_HEADROOM
    most, _ = caps_of(job)
    if most is not None:
        wanted = min(wanted, most)
    return wanted.quantize(Decimal("0.000001"))


def _home_request(engine: Engine, job: Job, lease: Lease, decision: Decision) -> LeaseRequest:
    url = engine.settings.home_report_url if job.checkpoint else ""
    env = environment(engine, job, lease, url, RunnerMode.EXIT)
    return LeaseRequest(
        gpu_count=job.gpu.count,
        num_nodes=job.num_nodes,
        template=_marked(
            job, wrapped_template(job.template, env, with_runner=job.checkpoint is not None)
        ),
        home_node=decision.home_node,
        report_url=url,
        active_deadline_seconds=_own_deadline(engine, job, lease),
        grace_period_seconds=_grace(job.template),
        labels=tuple(sorted(job.labels.items())),
    )


def _marked(job: Job, template: dict[str, Any]) -> dict[str, Any]:
    """The pods of a service bear its name, so that one selector finds those of all copies."""
    if job.workload is not Workload.INFERENCE:
        return template
    meta = template.get("metadata") or {}
    labels = {**(meta.get("labels") or {}), SERVICE_LABEL: job.owner_name or job.ref.name}
    return {**template, "metadata": {**meta, "labels": labels}}


def _request(engine: Engine, job: Job, lease: Lease) -> LeaseRequest:
    workload = portable(job.template, job.gpu.count).workload
    if workload is None:
        raise ValueError(f"{job.ref.name}: placement chose a market for a job that cannot travel")
    url = engine.settings.report_url
    env = environment(engine, job, lease, url, RunnerMode.HOLD)
    return LeaseRequest(
        gpu_count=job.gpu.count,
        num_nodes=job.num_nodes,
        workload=_with_runner(job, workload, env),
        report_url=url,
        active_deadline_seconds=_own_deadline(engine, job, lease),
        grace_period_seconds=_grace(job.template),
    )


def _with_runner(
    job: Job, workload: PortableWorkload, env: tuple[tuple[str, str], ...]
) -> PortableWorkload:
    """Every rented batch job runs under the runner; a service only reports."""
    merged = dict(workload.env) | dict(env)
    ports = workload.ports
    if job.workload is Workload.INFERENCE and job.endpoint_port and job.endpoint_port not in ports:
        ports = (*ports, job.endpoint_port)
    return replace(
        workload,
        command=wrapped(workload.command, workload.args),
        args=(),
        env=tuple(sorted(merged.items())),
        ports=ports,
    )


def environment(
    engine: Engine, job: Job, lease: Lease, report_url: str, mode: RunnerMode
) -> tuple[tuple[str, str], ...]:
    """What every workload may know of itself; docs/designs/0001."""
    known: Mapping[str, str] = {
        "OVERSPILL_LEASE": lease.name,
        "OVERSPILL_ATTEMPT": str(lease.attempt),
        "OVERSPILL_JOB": f"{job.ref.namespace}/{job.ref.name}",
        "OVERSPILL_CLUSTER_ID": lease.cluster_id,
        "OVERSPILL_REPORT_URL": report_url,
        "OVERSPILL_RUNNER_MODE": mode.value,
        "OVERSPILL_GRACE_SECONDS": str(_grace(job.template)),
        "OVERSPILL_HARD_DEADLINE": str(int(lease.hard_deadline.timestamp())),
    }
    if job.checkpoint is None:
        return tuple(known.items())
    base = job.checkpoint.uri.rstrip("/")
    checkpoint = {
        "OVERSPILL_CHECKPOINT_URI": f"{base}/{lease.name}",
        "OVERSPILL_RESUME_URI": newest_checkpoint(engine, job, lease.attempt),
    }
    return tuple((dict(known) | checkpoint).items())


def _own_deadline(engine: Engine, job: Job, lease: Lease) -> int | None:
    """Seconds after which the child ends itself, should nobody be there to end it.

    The engine closes at the hard deadline; the margin leaves the first word to it.
    """
    if job.active_deadline is None:
        return None
    left = (lease.hard_deadline - engine.clock.now()).total_seconds()
    return max(1, int(left)) + OWN_DEADLINE_MARGIN_S


def _grace(template: Mapping[str, object]) -> int:
    """Seconds. The API server takes a negative one for 1, and so do we."""
    spec = template.get("spec")
    found = spec.get("terminationGracePeriodSeconds") if isinstance(spec, Mapping) else None
    if not isinstance(found, int):
        return 30
    return 1 if found < 0 else found
