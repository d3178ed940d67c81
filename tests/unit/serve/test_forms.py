"""Reading the form of a report: what is taken, what is refused."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.core.observation import GpuEvidence
from overspill.serve.book import Event, Told
from overspill.serve.forms import BadForm, read_form

LEAST = {"lease": "gl-1", "attempt": "2", "event": "heartbeat"}


def test_reads_every_field() -> None:
    body = urlencode(
        [
            *{**LEAST, "event": "exited", "exit_code": "137"}.items(),
            ("checkpoint_uri", "s3://b/a b&c"),
            ("checkpoint_step", "12"),
            ("progress", "55"),
            ("gpu", "NVIDIA A100-SXM4-80GB, 81920, GPU-1"),
            ("gpu", "NVIDIA A100-SXM4-80GB, 81920, GPU-2"),
        ]
    )

    assert read_form(body.encode()) == Told(
        lease="gl-1",
        attempt=2,
        event=Event.EXITED,
        exit_code=137,
        checkpoint_uri="s3://b/a b&c",
        checkpoint_step=12,
        progress_percent=55,
        gpus=tuple(GpuEvidence("NVIDIA A100-SXM4-80GB", 81920, f"GPU-{n}") for n in (1, 2)),
    )


def test_reads_the_least() -> None:
    assert read_form(urlencode(LEAST).encode()) == Told("gl-1", 2, Event.HEARTBEAT)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lease": ""}, "lease"),
        ({"lease": "x" * 3000}, "lease"),
        ({"lease": "a\nb"}, "lease"),
        ({"event": "dance"}, "event"),
        ({"event": "exited"}, "exit_code"),
        ({"attempt": "-1"}, "attempt"),
        ({"attempt": "9" * 30}, "attempt"),
        ({"exit_code": "256"}, "exit_code"),
        ({"exit_code": "٣"}, "exit_code"),
        ({"progress": "101"}, "progress"),
        ({"checkpoint_step": "1e3"}, "checkpoint_step"),
        ({"checkpoint_uri": "s3://\x00"}, "checkpoint_uri"),
        ({"gpu": "H100"}, "gpu"),
        ({"gpu": "H100, much, GPU-1"}, "gpu"),
    ],
)
def test_refuses_by_the_name_of_the_field(changes: dict[str, str], field: str) -> None:
    with pytest.raises(BadForm, match=field):
        read_form(urlencode({**LEAST, **changes}).encode())


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a=1" for _ in range(200)), b"", b"{}"])
def test_refuses_what_is_no_form(body: bytes) -> None:
    with pytest.raises(BadForm):
        read_form(body)


@given(st.binary(max_size=400))
def test_rubbish_is_refused_or_read_but_never_more(body: bytes) -> None:
    try:
        told = read_form(body)
    except BadForm:
        return
    assert told.lease


@given(st.dictionaries(st.sampled_from([*LEAST, "exit_code", "progress", "gpu"]), st.text()))
def test_rubbish_in_fields_is_refused_or_in_bounds(fields: dict[str, str]) -> None:
    try:
        told = read_form(urlencode({**LEAST, **fields}, errors="replace").encode())
    except BadForm:
        return
    assert told.exit_code is None or 0 <= told.exit_code <= 255
    assert told.progress_percent is None or 0 <= told.progress_percent <= 100


@pytest.mark.parametrize(
    ("trip", "rtt_ms"),
    [
        ("0.000021,0.084521", 84.5),
        ("0.004,0.004", None),
        ("0.2,0.1", None),
        ("0.0,999.0", None),
        ("1e3,2", None),
        ("", None),
    ],
)
def test_a_round_trip_is_what_it_took_to_connect_once_the_name_was_known(
    trip: str, rtt_ms: float | None
) -> None:
    found = read_form(urlencode({**LEAST, "trip": trip}).encode())
    assert found == Told("gl-1", 2, Event.HEARTBEAT, rtt_ms=rtt_ms)
