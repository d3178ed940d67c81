"""L5 without a cluster: whatever the CRD lets through, reading, planning and writing bear it."""

import random
from collections.abc import Iterator

import pytest

from overspill.core.jobstatus import Facts, status_document
from overspill.core.placement import plan
from overspill.core.portability import malformed, portable
from overspill.core.vocabulary import Workload
from overspill.kube.mapping.job import read_job
from overspill.providers.in_cluster_child import child_job
from overspill.runner.wrap import wrapped_template
from overspill.testing.home import home_request
from overspill.testing.placing import NOW, node, rent, world

from .specs import LEAVES, Path, Spec, good, put, values

ENV = (("OVERSPILL_LEASE", "gl-1"),)


def document(spec: Spec) -> Spec:
    meta = {"name": "a", "namespace": "team", "uid": "u-1", "resourceVersion": "1"}
    meta |= {"creationTimestamp": "2026-09-01T12:00:00Z"}
    return {"kind": "GPUJob", "metadata": meta, "spec": spec}


def bear(spec: Spec) -> None:
    """What the operator does with a spec, without its ports."""
    job = read_job(document(spec))
    assert job.workload in Workload
    portable(job.template, job.gpu.count)
    offers = [node("n1", 8), rent("a1", "2", 8)]
    for decision in plan(world([job], offers), NOW):
        status_document(Facts(job, [], decision), NOW)
    if malformed(job.template):
        return
    for with_runner in (True, False):
        wrapped = wrapped_template(job.template, ENV, with_runner=with_runner)
        child_job(home_request(template=wrapped), frozenset({"nvidia.com/gpu"}))


def legal(path: Path) -> Iterator[Spec]:
    for burst in ("Never", "Only"):
        for value in values(path):
            if value.word != "invalid":
                yield put(good(random.Random(1), burst), path, value.content)  # noqa: S311  (fixed)


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_whatever_is_legal_is_borne(path: Path) -> None:
    for spec in legal(path):
        bear(spec)


def test_every_leaf_has_values_to_try() -> None:
    assert all(len(values(path)) >= 2 for path in LEAVES)
