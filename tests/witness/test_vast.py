"""Vast.ai's own client drives the sandbox, and asks for the same thing as our adapter does."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from overspill.core.workload import PortableWorkload
from overspill.providers.vast_request import body_of
from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

from .intent import intent, offered

Witness = Callable[..., dict[str, Any]]
LABEL = "gl-c1u5ter8-witness"

WORKLOAD = PortableWorkload(
    image="python:3.12",
    command=("/bin/sh", "-c", "echo witness; sleep 100"),
    env=(("GREETING", "hello"),),
    ports=(8080,),
    disk_gib=Decimal("18.6"),
)


def test_a_whole_lease_life(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("vast",))) as market:
        seen = witness("vast_life.py", market.url, market.api_key, LABEL)
        assert market.summary()["held"] == {}
        events = [entry.event for entry in market.ledger() if entry.key.startswith(LABEL)]
    assert (seen["offer"]["gpu_name"], seen["offer"]["num_gpus"]) == ("H100 SXM", 1)
    assert seen["made"]["success"] is True
    shown = seen["seen"]
    assert shown["id"] == seen["made"]["new_contract"] == seen["listed"][0]
    assert shown["label"] == LABEL
    assert shown["image_args"] == ["-c", "echo witness; sleep 100"]
    assert shown["extra_env"] == {"GREETING": "hello", "-p 8080:8080": "1"}
    assert shown["dph_total"] < 3
    assert 9_999 < seen["credit"] <= 10_000
    assert seen["renamed"] == f"{LABEL}-2"
    assert seen["destroyed"]["success"] is True
    assert seen["after"] is None
    assert events[:3] == ["create_received", "created", "leased"]
    assert events[-1] == "closed"


def test_for_the_same_intent_our_body_is_the_clients(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("vast",))) as market:
        theirs = witness("vast_life.py", market.url, market.api_key, LABEL)["body"]
    ours = body_of(intent(LABEL, offered("vast", "1"), WORKLOAD))
    # what the client sends empty is what the market takes for unset
    meant = {name: value for name, value in theirs.items() if value not in (None, False)}
    assert meant == {name: ours[name] for name in meant}
    assert set(ours) - set(meant) == {"target_state"}
