"""The log of an Akash lease comes from its provider's gateway, through a token for just that."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from overspill.core.errors import AuthRejected, LeaseNotFound, ProviderError, Unavailable
from overspill.core.lease import Handle
from overspill.providers import akash_logs
from overspill.providers.akash_logs import permission
from overspill.providers.akash_wire import LeaseId
from overspill.sandbox.hosts import HostKeeper
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.markets.akash.jwt import Tokens
from overspill.testing.contract import drive

from .akash_sandbox_rig import SandboxRig, akash_rig
from .akash_sdk import ask_sdk
from .akash_spec import spec_folder

LEASE = LeaseId(dseq="1780000000000", gseq=1, oseq=1, provider=address("someone"))


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    async with akash_rig() as made:
        yield made


async def read(rig: SandboxRig, handle: Handle, tail: int = 100) -> list[bytes]:
    async with aclosing(rig.provider.logs(handle, follow=False, tail=tail)) as lines:
        return [line async for line in lines]


def claims(token: str) -> dict[str, Any]:
    middle = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=="))
    return found


async def test_the_last_lines_are_read_and_then_it_ends(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log("one\nzwei ä\nthree\n".encode())
    assert await read(rig, step.handle, tail=2) == ["zwei ä".encode(), b"three"]
    assert len(await read(rig, step.handle)) == 3


async def test_a_followed_log_ends_with_the_lease(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    async with aclosing(rig.provider.logs(step.handle, follow=True, tail=10)) as lines:
        assert await anext(lines) == b"one"
        rig.log(b"one\ntwo\n")
        assert await anext(lines) == b"two"
        await rig.provider.close(step.handle)
        assert await anext(lines, None) is None


async def test_who_stops_following_leaves_nothing_open(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    async with aclosing(rig.provider.logs(step.handle, follow=True, tail=10)) as lines:
        assert await anext(lines) == b"one"


async def test_a_followed_log_that_says_nothing_for_long_ends(
    rig: SandboxRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(akash_logs, "FOLLOWED_S", 2.0)
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    async with aclosing(rig.provider.logs(step.handle, follow=True, tail=10)) as lines:
        assert [line async for line in lines] == [b"one"]


async def test_the_token_reads_the_log_of_this_lease_and_is_short_lived(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    issued: list[str] = []
    tokens = rig.app.akash.gateway.tokens
    issue = tokens.issue
    tokens.issue = lambda *given: issued.append(issue(*given)) or issued[-1]  # type: ignore[method-assign,func-returns-value]  # seen on its way
    await read(rig, step.handle)
    (token,) = issued
    granted = claims(token)
    assert granted["exp"] - granted["iat"] == akash_logs.TOKEN_S <= 120
    (permitted,) = granted["leases"]["permissions"]
    assert permitted["provider"] == step.handle.get("provider")
    (deployment,) = permitted["deployments"]
    assert deployment == {
        "dseq": int(step.handle.external_id),
        "gseq": 1,
        "oseq": 1,
        "scope": ["logs"],
        "services": ["job"],
    }
    assert all(token not in repr(request.__dict__) for request in rig.wire.seen)
    jsonschema.validate(granted, json.loads((spec_folder() / "jwt-schema.json").read_text()))


def test_what_is_asked_for_fits_the_official_schema() -> None:
    schema = json.loads((spec_folder() / "jwt-schema.json").read_text())
    told = {"iss": address("us"), "iat": 1, "nbf": 1, "exp": 2, "version": "v1"}
    jsonschema.validate({**told, "leases": permission(LEASE)}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**told, "leases": {"access": "granular"}}, schema)


def test_the_markets_own_validator_takes_the_token_and_no_wrong_one() -> None:
    wrong = permission(LEASE)
    del wrong["permissions"][0]["deployments"][0]["gseq"]
    tokens = Tokens(address("us"))
    issued = [tokens.issue(leases, 1_780_000_000, 60) for leases in (permission(LEASE), wrong)]
    right, refused = ask_sdk("akash_witness_jwt.cjs", json.dumps(issued))
    assert right == {"isValid": True, "errors": []}
    assert not refused["isValid"]


async def test_every_exchange_with_the_console_is_in_the_official_file(rig: SandboxRig) -> None:
    spec_folder()
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    await read(rig, step.handle)
    operations = rig.wire.inner.operations  # type: ignore[attr-defined]  # Checked
    assert {"GET /v1/providers/{address}", "POST /v1/create-jwt-token"} <= operations


async def test_what_is_over_has_no_log(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound, match="no running lease"):
        await read(rig, step.handle)


@pytest.mark.parametrize("handle", [Handle("x"), Handle("x", "1")], ids=["unopened", "unknown"])
async def test_the_log_of_what_is_not_there_is_not_found(rig: SandboxRig, handle: Handle) -> None:
    with pytest.raises(LeaseNotFound):
        await read(rig, handle)


async def test_a_container_that_has_not_begun_is_said_not_shown_empty(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    with pytest.raises(Unavailable, match="code 4000"):
        await read(rig, step.handle)


async def test_a_lease_that_the_gateway_does_not_know_is_not_found(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    rig.fault("log_breaks", code=4001, lines=0)
    with pytest.raises(LeaseNotFound, match="code 4001"):
        await read(rig, step.handle)


async def test_a_log_that_breaks_off_is_an_error_after_its_lines(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\ntwo\n")
    rig.fault("log_breaks", code=4002)
    lines = rig.provider.logs(step.handle, follow=False, tail=10)
    assert await anext(lines) == b"one"
    with pytest.raises(Unavailable, match="code 4002"):
        await anext(lines)


async def test_no_more_lines_are_taken_than_were_asked_for(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\ntwo\n")
    rig.fault("log_floods")
    assert await read(rig, step.handle, tail=5) == [b"one", b"two", b"one", b"two", b"one"]


async def test_a_log_that_takes_too_long_is_given_up(
    rig: SandboxRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    monkeypatch.setattr(akash_logs, "LONGEST_S", -1.0)
    with pytest.raises(Unavailable, match="takes too long"):
        await read(rig, step.handle)


async def test_a_host_that_is_down_is_unavailable(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    (deployment,) = rig.app.chain.deployments.values()
    HostKeeper(rig.app.world, [rig.app.akash]).kill(deployment.running[0].host)
    with pytest.raises(Unavailable, match="no connection"):
        await read(rig, step.handle)


@pytest.mark.parametrize(
    ("rule", "kind", "words"),
    [
        ({"status": 401}, AuthRejected, "answered 401"),
        ({"status": 404}, LeaseNotFound, "answered 404"),
        ({"status": 503}, Unavailable, "answered 503"),
        ({"status": 200}, Unavailable, "answered 200"),
        (
            {"status": 307, "headers": {"location": "http://127.0.0.1:1/steal"}},
            Unavailable,
            "answered 307",
        ),
    ],
    ids=["401", "404", "503", "no websocket", "redirect"],
)
async def test_an_answer_that_opens_no_websocket_is_classified_and_never_followed(
    rig: SandboxRig, rule: dict[str, Any], kind: type[ProviderError], words: str
) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    rig.fault("status", path="/provider/.*/logs", **rule)
    with pytest.raises(kind, match=words):
        await read(rig, step.handle)


async def test_a_gateway_that_is_silent_is_not_waited_for_long(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    rig.config = {"requestTimeoutSeconds": "2"}
    rig.provider = rig.restarted()
    rig.fault("delay", path="/provider/.*/logs", seconds=60)
    with pytest.raises(Unavailable, match="no answer in time"):
        await read(rig, step.handle)


async def test_a_token_that_came_too_late_is_refused(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    tokens = rig.app.akash.gateway.tokens
    issue, now = tokens.issue, rig.app.world.now()
    tokens.issue = lambda leases, _, ttl: issue(leases, now - 600, ttl)  # type: ignore[method-assign]  # a slow market
    with pytest.raises(AuthRejected):
        await read(rig, step.handle)


async def test_time_passes_and_the_log_is_still_there(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    await rig.pass_time(timedelta(minutes=30))
    assert await read(rig, step.handle) == [b"one"]


@pytest.mark.parametrize(
    "action",
    ["drop_response_after_commit", "status_after_commit", "empty_list", "truncate", "oversize"],
)
async def test_a_fault_of_answers_leaves_a_stream_as_it_was_sent(
    rig: SandboxRig, action: str
) -> None:
    step = await drive(rig, rig.request())
    rig.log(b"one\n")
    rig.fault(action, path="/provider/.*/logs", count=1)
    assert await read(rig, step.handle) == [b"one"]
