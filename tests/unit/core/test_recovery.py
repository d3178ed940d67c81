"""The judgement of one lease from what was seen of it: one row per thing that can be seen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.core.lease import Lease
from overspill.core.observation import GpuEvidence, Observation, Report
from overspill.core.reasons import Reason
from overspill.core.recovery import (
    Evidence,
    Judgement,
    Patience,
    Verdict,
    hardware_mismatch,
    judge,
    too_many_lost,
)
from overspill.core.sla import SlaClass
from overspill.core.vocabulary import ClosingReason, LeaseState, Phase, VerificationMode
from overspill.testing.placing import NOW, make_job, make_lease, node, rent

JOB = make_job()
RENTED = make_lease(JOB, rent("a1", "2"), LeaseState.ACTIVE)
HOME = make_lease(JOB, node("n1", 8), LeaseState.ACTIVE)
CLASS = SlaClass(
    "standard",
    heartbeat_grace=timedelta(seconds=300),
    pending_patience=timedelta(seconds=120),
)
PATIENCE = Patience(CLASS, start=timedelta(minutes=15))
H100 = GpuEvidence("NVIDIA H100 80GB HBM3", 81559, "GPU-1")
T4 = GpuEvidence("Tesla T4", 15360, "GPU-2")


def seen(phase: Phase, **more: Any) -> Observation:
    return Observation(phase, **more)


def said(**more: Any) -> Report:
    return replace(Report(RENTED.name, 1, 0.0, NOW, has_started=True), **more)


def judged(lease: Lease = RENTED, patience: Patience = PATIENCE, **evidence: Any) -> Judgement:
    found = {"observation": seen(Phase.RUNNING), "report": None, **evidence}
    return judge(lease, Evidence(**found), patience, NOW)


UNKNOWN = seen(Phase.UNKNOWN, reason="Unreachable")
ENDS: Mapping[str, tuple[Lease, dict[str, Any], Verdict, Any]] = {
    "its runner says that the command ended": (
        RENTED, {"report": said(exit_code=0)}, Verdict.FINISHED, 0,
    ),
    "its runner says that the command failed": (
        RENTED, {"report": said(exit_code=3)}, Verdict.FINISHED, 3,
    ),
    "the word of another attempt counts for nothing": (
        RENTED, {"report": said(exit_code=0, attempt=7)}, Verdict.KEEP, None,
    ),
    "a command that was told to stop has no outcome": (
        RENTED, {"report": said(has_stopped=True)}, Verdict.KEEP, None,
    ),
    "the pod succeeded": (HOME, {"observation": seen(Phase.SUCCEEDED)}, Verdict.FINISHED, 0),
    "the pod failed with a code": (
        HOME, {"observation": seen(Phase.FAILED, exit_code=9)}, Verdict.FINISHED, 9,
    ),
    "a pod that was told to stop has no outcome": (
        HOME, {"observation": seen(Phase.FAILED, exit_code=143), "report": said(has_stopped=True)},
        Verdict.CLOSE, ClosingReason.LOST,
    ),
    "the Job ended its pods by the clock": (
        HOME, {"observation": seen(Phase.FAILED, reason="DeadlineExceeded", exit_code=143)},
        Verdict.CLOSE, ClosingReason.DEADLINE_EXCEEDED,
    ),
    "the place failed without a code": (
        RENTED, {"observation": seen(Phase.FAILED)}, Verdict.CLOSE, ClosingReason.LOST,
    ),
    "the node is lost": (
        HOME, {"observation": seen(Phase.LOST)}, Verdict.CLOSE, ClosingReason.LOST,
    ),
    "the market ended it": (
        RENTED, {"observation": seen(Phase.TERMINATED)}, Verdict.CLOSE, ClosingReason.LOST,
    ),
    "the market has not known it for the grace": (
        RENTED, {"is_missing": True}, Verdict.CLOSE, ClosingReason.LOST,
    ),
    "the ceiling is reached": (
        replace(RENTED, hard_deadline=NOW), {}, Verdict.CLOSE, ClosingReason.DEADLINE_EXCEEDED,
    ),
    "the ceiling is reached and nobody can be asked": (
        replace(RENTED, hard_deadline=NOW), {"observation": UNKNOWN}, Verdict.CLOSE,
        ClosingReason.DEADLINE_EXCEEDED,
    ),
    "a command that ended at the ceiling has ended": (
        replace(RENTED, hard_deadline=NOW), {"report": said(exit_code=0)}, Verdict.FINISHED, 0,
    ),
    "the market charges more than agreed": (
        RENTED, {"observation": seen(Phase.RUNNING, price_usd_per_hour=Decimal("2.03"))},
        Verdict.CLOSE, ClosingReason.MISMATCH,
    ),
    "the market charges a rounding more": (
        RENTED, {"observation": seen(Phase.RUNNING, price_usd_per_hour=Decimal("2.02"))},
        Verdict.KEEP, None,
    ),
    "the host has other GPUs": (
        RENTED, {"report": said(gpus=(T4,))}, Verdict.CLOSE, ClosingReason.MISMATCH,
    ),
    "the host has the GPUs that are paid": (
        RENTED, {"report": said(gpus=(H100,))}, Verdict.KEEP, None,
    ),
    "home is not checked for its GPUs": (HOME, {"report": said(gpus=(T4,))}, Verdict.KEEP, None),
    "a child waits for a node, not too long": (
        HOME, {"observation": seen(Phase.PENDING), "phase_age_s": 120}, Verdict.KEEP, None,
    ),
    "a child waits for a node too long": (
        HOME, {"observation": seen(Phase.PENDING), "phase_age_s": 121}, Verdict.CLOSE,
        ClosingReason.WITHDRAWN,
    ),
    "a child that pulls its image is no child without a node": (
        HOME, {"observation": seen(Phase.STARTING), "phase_age_s": 9999}, Verdict.KEEP, None,
    ),
    "a rented place starts slowly": (
        RENTED, {"observation": seen(Phase.STARTING), "phase_age_s": 900}, Verdict.KEEP, None,
    ),
    "a rented place does not start": (
        RENTED, {"observation": seen(Phase.STARTING), "phase_age_s": 901}, Verdict.CLOSE,
        ClosingReason.WITHDRAWN,
    ),
    "nothing was ever seen": (RENTED, {"observation": None}, Verdict.KEEP, None),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS, ids=str)
def test_what_is_seen_decides(case: str) -> None:
    lease, evidence, verdict, expected = ENDS[case]
    found = judged(lease, **evidence)
    assert found.verdict is verdict
    if verdict is Verdict.FINISHED:
        assert found.exit_code == expected
    elif verdict is Verdict.CLOSE:
        assert found.closing is expected
        assert found.message


SILENCES: Mapping[str, tuple[dict[str, Any], ClosingReason | None, Reason | None]] = {
    "the market hangs, the workload reports": (
        {"observation": UNKNOWN, "phase_age_s": 9e9, "silence_s": 5}, None,
        Reason.MARKET_UNREACHABLE,
    ),
    "reports are cut off, the market shows it running": (
        {"silence_s": 9e9}, None, Reason.REPORTS_UNREACHABLE,
    ),
    "both are silent, not yet for the grace": (
        {"observation": UNKNOWN, "phase_age_s": 300, "silence_s": 9e9}, None,
        Reason.MARKET_UNREACHABLE,
    ),
    "both are silent for longer than the grace": (
        {"observation": UNKNOWN, "phase_age_s": 301, "silence_s": 301}, ClosingReason.LOST, None,
    ),
    "nobody expects reports, so their absence proves nothing": (
        {"observation": UNKNOWN, "phase_age_s": 9e9, "silence_s": 9e9, "expects_reports": False},
        None, Reason.MARKET_UNREACHABLE,
    ),
    "all is well": ({"silence_s": 300}, None, None),
    "it still starts, so it cannot report": (
        {"observation": seen(Phase.STARTING), "silence_s": 600}, None, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SILENCES, ids=str)
def test_silence_on_one_side_is_never_death(case: str) -> None:
    evidence, closing, degraded = SILENCES[case]
    found = judged(**{"expects_reports": True, **evidence})
    assert found.degraded is degraded
    assert (found.closing if found.verdict is Verdict.CLOSE else None) is closing


def test_home_is_never_lost_for_silence() -> None:
    found = judged(HOME, observation=UNKNOWN, phase_age_s=9e9, silence_s=9e9, expects_reports=True)
    assert found.verdict is Verdict.KEEP


NEVER_LOST = st.sampled_from([p for p in Phase if p not in (Phase.LOST, Phase.TERMINATED)])


@given(
    phase=NEVER_LOST,
    age=st.floats(0, 1e6),
    silence=st.floats(0, 300),
    is_home=st.booleans(),
)
def test_a_place_whose_workload_speaks_is_lost_only_by_the_word_of_the_place(
    phase: Phase, age: float, silence: float, is_home: bool
) -> None:
    found = judged(
        HOME if is_home else RENTED,
        observation=seen(phase),
        phase_age_s=age,
        silence_s=silence,
        expects_reports=True,
        report=said(),
    )
    lost = found.verdict is Verdict.CLOSE and found.closing is ClosingReason.LOST
    assert lost == (phase is Phase.FAILED)


def test_a_class_may_leave_the_hardware_unchecked() -> None:
    patience = replace(PATIENCE, klass=replace(CLASS, verification=VerificationMode.NONE))
    assert judged(RENTED, patience, report=said(gpus=(T4,))).verdict is Verdict.KEEP


HARDWARE: Mapping[str, tuple[tuple[GpuEvidence, ...], str]] = {
    "no evidence": ((), ""),
    "as paid": ((H100,), ""),
    "more than paid": ((H100, H100), ""),
    "another model": ((T4,), "is paid"),
    "half the memory": ((replace(H100, memory_mib=40960),), "paid"),
    "a little less memory than the label says": ((replace(H100, memory_mib=79000),), ""),
}


@pytest.mark.parametrize("case", HARDWARE, ids=str)
def test_the_host_shows_what_is_paid(case: str) -> None:
    gpus, told = HARDWARE[case]
    found = hardware_mismatch(RENTED, said(gpus=gpus))
    assert (told in found) if told else found == ""


def test_fewer_gpus_than_paid_are_a_mismatch() -> None:
    four = replace(RENTED, request=replace(RENTED.request, gpu_count=4))
    assert hardware_mismatch(four, said(gpus=(H100,) * 3)) == "3 GPUs seen, 4 are paid"


@pytest.mark.parametrize(
    ("lost", "watched", "stops"),
    [(1, 1, False), (3, 3, False), (4, 4, True), (4, 25, False), (6, 25, True), (21, 100, True)],
)
def test_many_losses_at_once_are_not_believed_at_first(
    lost: int, watched: int, stops: bool
) -> None:
    assert too_many_lost(lost, watched) is stops


def test_a_node_that_must_boot_first_is_waited_for_so_much_longer() -> None:
    booting = replace(HOME, offer=replace(HOME.offer, attributes=(("bootSeconds", "240"),)))
    waiting = Evidence(seen(Phase.PENDING), None, phase_age_s=360.0)
    assert judge(booting, waiting, PATIENCE, NOW).verdict is Verdict.KEEP
    assert judge(HOME, waiting, PATIENCE, NOW).closing is ClosingReason.WITHDRAWN
    late = judge(booting, replace(waiting, phase_age_s=361.0), PATIENCE, NOW)
    assert late.closing is ClosingReason.WITHDRAWN
