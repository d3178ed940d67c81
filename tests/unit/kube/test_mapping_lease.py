"""A lease survives the way to the API server and back with every field."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.api.lease import GPULease
from overspill.core.lease import Lease
from overspill.core.offer import Offer
from overspill.core.workload import LeaseRequest
from overspill.kube.mapping import Unreadable, lease_manifest, lease_status, read_lease
from overspill.testing.kube_samples import AT, full_lease, full_offer, full_request, planned_lease


def server_answer(lease: Lease) -> dict:
    """What the API server would give back for the lease."""
    obj = lease_manifest(lease)
    obj["metadata"] |= {
        "uid": lease.uid,
        "resourceVersion": lease.resource_version,
        "creationTimestamp": "2026-03-01T12:30:15Z",
    }
    return {**obj, "status": lease_status(lease, AT)}


def test_every_field_of_a_lease_survives_the_round_trip():
    lease = full_lease()
    assert read_lease(server_answer(lease)) == lease


def test_a_planned_home_lease_survives_the_round_trip():
    template = {"spec": {"containers": [{"name": "main", "image": "x", "env": []}]}}
    request = LeaseRequest(gpu_count=1, template=template, home_node="node-7")
    lease = planned_lease(uid="u", resource_version="1", is_home=True, request=request)
    assert read_lease(server_answer(lease)) == lease


@pytest.mark.parametrize(
    "sample",
    [full_offer(), full_request(), full_lease()],
    ids=["offer", "request", "lease"],
)
def test_the_sample_leaves_no_field_at_its_default(sample: Offer | LeaseRequest | Lease):
    excused = {"home_node", "template", "is_home", "has_finalizer", "deletion_requested"}
    excused |= {"resolution"}  # written by people, see test_mapping_resolution
    # of catalogues: no lease's offer has them
    excused |= {"least_gpus", "beside_rates", "beside_free", "beside_total"}
    same = {f.name for f in fields(sample) if getattr(sample, f.name) == f.default} - excused
    assert same == set()


def test_the_api_model_knows_every_field_that_is_written():
    written = server_answer(full_lease())
    known = GPULease.read(written).to_json()
    assert missing(written["spec"], known["spec"]) == []
    assert missing(written["status"], known["status"]) == []


def missing(written: object, known: object, path: str = "") -> list[str]:
    """Paths that were written but that the model dropped or changed."""
    if isinstance(written, dict) and isinstance(known, dict):
        return [m for k, v in written.items() for m in missing(v, known.get(k), f"{path}.{k}")]
    return [] if written == known else [f"{path}: {written!r} became {known!r}"]


def test_no_status_yet_means_planned():
    obj = server_answer(planned_lease(uid="u", resource_version="1"))
    del obj["status"]
    assert read_lease(obj).state == "Planned"


def test_a_condition_without_a_time_gets_the_time_of_writing():
    bare = {"type": "Stalled", "status": "True", "reason": "X", "message": ""}
    status = lease_status(full_lease(conditions=(bare,)), AT)
    assert status["conditions"][0]["lastTransitionTime"] == "2026-03-01T12:30:15Z"


def test_a_handle_that_knows_nothing_yet_is_still_a_handle():
    lease = full_lease()
    assert lease.handle is not None
    empty = replace(lease, handle=replace(lease.handle, external_id="", data=()))
    assert read_lease(server_answer(empty)).handle == empty.handle


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("spec", "provider"), None, "spec.provider is missing"),
        (("spec", "offer", "pricePerHourUSD"), "cheap", "spec.offer.pricePerHourUSD is not a"),
        (("spec", "offer", "pricePerHourUSD"), "NaN", "spec.offer.pricePerHourUSD is not a"),
        (("spec", "hardDeadlineTime"), "soon", "spec.hardDeadlineTime is not an RFC 3339 time"),
        (("spec", "request", "env"), [1], "spec.request.env[0] is not an object"),
        (("status", "state"), "Sleeping", "status.state is not one of Planned"),
        (("status", "permit", "seq"), "4", "status.permit.seq is not a whole number"),
        (("metadata", "finalizers"), "x", "metadata.finalizers is not a list"),
    ],
)
def test_an_unreadable_field_is_named(path: tuple[str, ...], value: object, complaint: str):
    obj = server_answer(full_lease())
    inner = obj
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(Unreadable) as caught:
        read_lease(obj)
    assert str(caught.value).startswith(complaint)


money = st.decimals(min_value=0, max_value=10**9, allow_nan=False, places=9)
moments = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001  (hypothesis adds the zone)
    max_value=datetime(2090, 1, 1),  # noqa: DTZ001  (as above)
    timezones=st.just(UTC),
)


@given(price=money, bill=money, since=moments, hours=st.integers(0, 10_000))
def test_any_money_and_any_time_survive(price: Decimal, bill: Decimal, since: datetime, hours: int):
    lease = full_lease(
        price_usd_per_hour=price,
        billed_usd=bill,
        active_since=since,
        closed_at=since + timedelta(hours=hours),
    )
    assert read_lease(server_answer(lease)) == lease
