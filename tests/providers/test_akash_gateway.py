"""A provider's gateway is a stranger's machine: where we go, whom we believe, what we let in."""

import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from overspill.core.errors import ProviderError, Unavailable
from overspill.providers.akash_address import PublicNames, is_public, why_not
from overspill.providers.akash_gateway import LONGEST_LINE, Gateway
from overspill.testing.contract import drive

from .akash_sandbox_rig import SandboxRig, akash_rig
from .akash_tls import Chain, chain_node, listening, own_certificate, tls_gateway

TOKEN = "head.a-token-that-nobody-may-see.signature"


@dataclass
class World:
    """A lease on the sandbox, its provider's gateway behind TLS, and a node of the chain."""

    rig: SandboxRig
    chain: Chain
    provider: str
    pem: str

    async def read(self) -> list[bytes]:
        lines = self.rig.provider.logs(self.step.handle, follow=False, tail=10)
        async with aclosing(lines):
            return [line async for line in lines]

    async def begin(self) -> None:
        self.step = await drive(self.rig, self.rig.request())
        self.provider = self.step.handle.get("provider")
        self.rig.log(b"one\n")


@pytest.fixture
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    days = getattr(request, "param", 30)
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(chain_node())
        rig = await stack.enter_async_context(akash_rig(chainEndpoint=chain.url))
        made = World(rig, chain, "", "")
        await made.begin()
        made.pem, trust = own_certificate(tmp_path, made.provider, days)
        base = await stack.enter_async_context(tls_gateway(rig.app, trust))
        rig.fault("gateway_elsewhere", uri=f"{base}/provider/{made.provider}")
        yield made


async def test_a_certificate_that_the_chain_records_is_believed(world: World) -> None:
    world.chain.recorded[world.provider, "valid"] = world.pem
    assert await world.read() == [b"one"]
    assert world.chain.asked == [world.provider]


async def test_one_that_nobody_vouches_for_gets_no_token(world: World) -> None:
    seen = _authorizations(world.rig)
    with pytest.raises(Unavailable, match="neither a public authority nor the chain"):
        await world.read()
    assert seen == []


async def test_another_providers_certificate_is_none_of_this_one(world: World) -> None:
    world.chain.recorded["akash1other", "valid"] = world.pem
    with pytest.raises(Unavailable, match="neither a public authority nor the chain"):
        await world.read()


async def test_a_certificate_that_is_not_the_recorded_one_is_refused(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other, _ = own_certificate(tmp_path / "other", world.provider)
    world.chain.recorded[world.provider, "valid"] = other
    with pytest.raises(Unavailable, match="neither a public authority nor the chain"):
        await world.read()


@pytest.mark.parametrize("world", [-1], indirect=True, ids=["expired"])
async def test_a_recorded_certificate_that_is_over_is_refused(world: World) -> None:
    world.chain.recorded[world.provider, "valid"] = world.pem
    with pytest.raises(Unavailable, match="neither a public authority nor the chain"):
        await world.read()


async def test_a_revoked_certificate_is_not_asked_for(world: World) -> None:
    world.chain.recorded[world.provider, "revoked"] = world.pem
    with pytest.raises(Unavailable, match="neither a public authority nor the chain"):
        await world.read()


async def test_a_record_that_is_no_certificate_is_passed_over(world: World) -> None:
    world.chain.recorded[world.provider, "valid"] = "-----BEGIN NONSENSE-----"
    with pytest.raises(Unavailable, match="neither a public authority nor the chain"):
        await world.read()


async def test_a_chain_that_is_down_is_unavailable(world: World) -> None:
    world.rig.config = {"chainEndpoint": "http://127.0.0.1:1"}
    world.rig.provider = world.rig.restarted()
    with pytest.raises(Unavailable, match="could not read the provider's certificates"):
        await world.read()


def _authorizations(rig: SandboxRig) -> list[str]:
    """The headers that reach the gateway from now on."""
    found: list[str] = []
    tokens = rig.app.akash.gateway.tokens
    allows = tokens.allows

    def noted(token: str, *given: object) -> bool:
        found.append(token)
        return allows(token, *given)  # type: ignore[arg-type]  # passed on as it came

    tokens.allows = noted  # type: ignore[method-assign]  # seen on its way
    return found


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://provider.example:8443", ""),
        ("https://203.0.114.7:8443", ""),
        ("https://[2606:4700::1]:8443", ""),
        ("http://provider.example:8443", "not https"),
        ("ftp://provider.example", "not https"),
        ("https://127.0.0.1:8443", "not a public one"),
        ("https://10.0.0.1", "not a public one"),
        ("https://169.254.169.254/latest", "not a public one"),
        ("https://100.64.0.1", "not a public one"),
        ("https://0.0.0.0", "not a public one"),
        ("https://224.0.0.1", "not a public one"),
        ("https://[::1]:8443", "not a public one"),
        ("https://[fe80::1]", "not a public one"),
        ("https://[fd00::1]", "not a public one"),
        ("https://[::ffff:10.0.0.1]", "not a public one"),
        ("https://[2002:a00:1::]", "not a public one"),
        ("https://[64:ff9b::a00:1]", "not a public one"),
        ("https://user:pass@provider.example", "is none"),
        ("https://provider.example?x=1", "is none"),
        ("https://provider.example#x", "is none"),
        ("https://provider.example:0", "is none"),
        ("https://provider.example:99999", "is none"),
        ("https://[::1", "is none"),
        ("https://pröv.example", "is none"),
        ("", "is none"),
    ],
)
def test_where_we_would_go(url: str, why: str) -> None:
    assert why in why_not(url, allows_local=False)
    assert bool(why_not(url, allows_local=False)) == bool(why)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8443/provider/x", "https://10.0.0.1"])
def test_a_sandbox_may_have_its_hosts_beside_it(url: str) -> None:
    assert why_not(url, allows_local=True) == ""


async def test_a_name_that_leads_here_is_not_resolved() -> None:
    assert is_public("localhost"), "a name is judged by where it leads"
    with pytest.raises(OSError, match="not public"):
        await PublicNames(allows_local=False).resolve("localhost", 8443)
    found = await PublicNames(allows_local=True).resolve("localhost", 8443)
    assert "127.0.0.1" in {one["host"] for one in found}


async def test_a_name_that_leads_here_is_not_gone_to() -> None:
    with pytest.raises(Unavailable, match="no connection"):
        await _read(_gateway("https://localhost:1"))


async def test_an_address_of_ours_is_not_gone_to() -> None:
    for base in ("https://127.0.0.1:1", "http://provider.example"):
        with pytest.raises(Unavailable):
            await _read(_gateway(base))


def _gateway(base: str, *, is_local: bool = False) -> Gateway:
    async def pins() -> list[str]:
        return []

    return Gateway("akash", base, SecretStr(TOKEN), pins, timeout_s=10, is_local=is_local)


async def _read(gateway: Gateway, idle_s: float = 20.0) -> list[bytes]:
    async with aclosing(gateway.lines("/lease/1/1/1/logs", {}, idle_s)) as lines:
        return [line async for line in lines]


async def _against(talk: object, idle_s: float = 20.0) -> list[bytes]:
    """Reads from a gateway that does as told with the websocket."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        await talk(stream)  # type: ignore[operator]  # a coroutine function of one stream
        return stream

    app = web.Application()
    app.add_routes([web.get("/lease/1/1/1/logs", answer)])
    async with listening(app, None) as port:
        return await _read(_gateway(f"http://127.0.0.1:{port}", is_local=True), idle_s)


async def _nonsense(stream: web.WebSocketResponse) -> None:
    await stream.send_str("<html>")


async def _bytes(stream: web.WebSocketResponse) -> None:
    await stream.send_bytes(b"\x00")


async def _huge(stream: web.WebSocketResponse) -> None:
    await stream.send_json({"name": "job-0", "message": "x" * 2 * 1024 * 1024})


@pytest.mark.parametrize("talk", [_nonsense, _bytes, _huge], ids=["no json", "bytes", "too long"])
async def test_what_the_api_does_not_promise_is_unavailable(talk: object) -> None:
    with pytest.raises(Unavailable, match="not what its API promises") as caught:
        await _against(talk)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert TOKEN not in told
    assert "<html>" not in told


async def test_a_long_line_is_cut() -> None:
    async def long(stream: web.WebSocketResponse) -> None:
        await stream.send_json({"name": "job-0", "message": "x" * 2 * LONGEST_LINE})

    assert await _against(long) == [b"x" * LONGEST_LINE]


async def test_a_silence_ends_the_reading() -> None:
    async def silent(stream: web.WebSocketResponse) -> None:
        await stream.send_json({"name": "job-0", "message": "one"})
        async for _ in stream:  # until the client leaves
            pass

    assert await _against(silent, idle_s=2.0) == [b"one"]


async def test_a_refusal_tells_no_token() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": "http://127.0.0.1:1/"})

    app = web.Application()
    app.add_routes([web.get("/lease/1/1/1/logs", refuse)])
    async with listening(app, None) as port:
        with pytest.raises(ProviderError) as caught:
            await _read(_gateway(f"http://127.0.0.1:{port}", is_local=True))
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert TOKEN not in told
    assert TOKEN not in repr(_gateway("https://provider.example"))
