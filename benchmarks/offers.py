"""`python -m benchmarks.offers` (`make bench-offers`): what reading all markets' offers costs.

Every market's adapter asks `offers(None)` over real HTTP. The answers are the sandbox's own, their
list repeated until each market gives its share of 10,000 offers. What is judged is the CPU time
from the answer's bytes to offers in our words (HTTP, JSON, wire models, mapping) in the one thread
that an operator's event loop has: markets are awaited together there, but worked off in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import Any

import httpx

from overspill.clock import SystemClock
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.ports import Provider
from overspill.providers import adapters
from overspill.sandbox.options import SandboxOptions
from overspill.testing.markets import COMMON, NEEDS, Needs, kind_of, ready
from overspill.testing.sandbox import Sandbox

OFFERS, GOAL_MS, ROUNDS = 10_000, 300.0, 11
ALL_PRICED = "h100=2, a100-80gb=1, a100-40gb=1, l40s=1, rtx4090=1, t4=1, v100-32gb=1, p100=1"
"""Dispersed tells no price: what the account's settings price is offered, here all of it."""


@dataclass(frozen=True)
class Listing:
    """Where a market lists what it sells: the end of the path, the list's name ("": the answer
    itself is the list), and the field that tells one entry from another ("": nobody looks)."""

    path: str
    name: str
    id: str = ""


LISTINGS: Mapping[str, Listing] = {
    "akash": Listing("/gpu-prices", "models"),
    "dispersed": Listing("/gpu-registry", "data"),
    "ionet": Listing("/hardware", "data"),
    "lium": Listing("/executors", "", "id"),
    "runpod": Listing("/catalog/gpus", "gpus"),
    "salad": Listing("/gpu-classes", "items", "id"),
    "shadeform": Listing("/instances/types", "instance_types"),
    "vast": Listing("/bundles/", "offers", "id"),
}


@dataclass
class Repeated:
    """One market's answers, taken from the sandbox once, then told again; its list `times` over."""

    upstream: str
    listing: Listing
    times: int = 1
    _told: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)

    def again(self, times: int) -> None:
        """Forgets what was told."""
        self.times, self._told = times, {}

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        """Status and body."""
        key = (method, path)
        if key not in self._told:
            kept = {k: v for k, v in headers.items() if k.lower() not in {"host", "connection"}}
            url = f"{self.upstream}{path}"
            got = httpx.request(method, url, headers=kept, content=body, trust_env=False)
            is_list = got.is_success and path.partition("?")[0].endswith(self.listing.path)
            told = _many(got.content, self.listing, self.times) if is_list else got.content
            self._told[key] = (got.status_code, told)
        return self._told[key]


def _many(body: bytes, listing: Listing, times: int) -> bytes:
    document = json.loads(body)
    found = document[listing.name] if listing.name else document
    holder, name = (document, listing.name)
    if isinstance(found, dict):  # io.net: a list named `hardware` below `data`
        holder, name = found, next(k for k, v in found.items() if isinstance(v, list))
        found = holder[name]
    many = [_copy(entry, listing.id, n) for n in range(times) for entry in found]
    if not listing.name:
        return json.dumps(many).encode()
    holder[name] = many
    return json.dumps(document).encode()


def _copy(entry: dict[str, Any], id_: str, number: int) -> dict[str, Any]:
    if not id_ or not number:
        return entry
    old = entry[id_]
    return {**entry, id_: old + number * 10**7 if isinstance(old, int) else f"{old}-{number}"}


@contextlib.contextmanager
def served(answers: Repeated) -> Iterator[str]:
    """The URL where the answers are told, by a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            status, told = answers.answer(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_POST = do_GET  # noqa: N815 -- the base class looks for this name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Cost:
    """What reading one market's offers cost, in milliseconds: the best of the rounds, which is
    what the work itself takes, and the median, which holds what else the machine did."""

    market: str
    offers: int
    best_ms: float
    median_ms: float
    wall_ms: float


def provider_of(market: str, endpoint: str, key: str) -> Provider:
    """The market's adapter, as the operator makes it."""
    needs, kind = NEEDS.get(market, Needs()), kind_of(market)
    config = {**COMMON, **needs.config, "requestTimeoutSeconds": "30"}
    if market == "dispersed":
        config["pricesUsd"] = ALL_PRICED
    account = ProviderAccount(market, ProviderType(kind), endpoint=endpoint, config=config)
    secrets = {name: text.format(key=key) for name, text in needs.secrets.items()}
    return adapters()[kind](account, {"apiKey": key, **secrets}, SystemClock())


async def cost_of(market: str, upstream: str, key: str, share: int, rounds: int) -> Cost:
    """Asks once to see how often the list must be repeated, then times `rounds` readings."""
    answers = Repeated(upstream, LISTINGS[market])
    with served(answers) as url:
        provider = provider_of(market, url, key)
        few = len(await provider.offers(None))
        answers.again(math.ceil(share / few))
        found = len(await provider.offers(None))
        cpu, wall = [], []
        for _ in range(rounds):
            began, worked = time.perf_counter(), time.thread_time()
            await provider.offers(None)
            cpu.append((time.thread_time() - worked) * 1000)
            wall.append((time.perf_counter() - began) * 1000)
        await provider.aclose()  # type: ignore[attr-defined]  # every adapter of a market has it
    return Cost(market, found, min(cpu), median(cpu), median(wall))


async def measured(offers: int, rounds: int) -> list[Cost]:
    """Every market that has an adapter, one after another."""
    names = ready()
    with Sandbox.start(SandboxOptions(markets=tuple(names))) as sandbox:
        share = math.ceil(offers / len(names))
        return [
            await cost_of(name, sandbox.urls[name], sandbox.api_key, share, rounds)
            for name in names
        ]


def table(costs: Sequence[Cost]) -> str:
    """The figures, and the goal."""
    every = total(costs)
    lines = [f"{'market':12}{'offers':>8}{'CPU ms':>10}{'median':>10}{'wall':>10}{'us/offer':>10}"]
    lines += [_row(cost) for cost in (*costs, every)]
    lines.append(f"{every.offers} offers of {len(costs)} markets in {every.best_ms:.0f} ms of CPU")
    verdict = "holds" if every.best_ms <= GOAL_MS else "MISSED"
    lines.append(f"goal, 10,000 offers in {GOAL_MS:.0f} ms: {verdict}")
    return "\n".join(lines)


def total(costs: Sequence[Cost]) -> Cost:
    """All markets, one after another in one thread."""
    return Cost(
        "all",
        sum(c.offers for c in costs),
        sum(c.best_ms for c in costs),
        sum(c.median_ms for c in costs),
        sum(c.wall_ms for c in costs),
    )


def _row(cost: Cost) -> str:
    each = cost.best_ms * 1000 / max(1, cost.offers)
    times = f"{cost.best_ms:10.1f}{cost.median_ms:10.1f}{cost.wall_ms:10.1f}"
    return f"{cost.market:12}{cost.offers:8}{times}{each:10.1f}"


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offers", type=int, default=OFFERS, help="in all (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="per market (%(default)s)")
    args = parser.parse_args(argv)
    costs = asyncio.run(measured(args.offers, args.rounds))
    print(table(costs))
    return 0 if total(costs).best_ms <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
