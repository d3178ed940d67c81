"""A market sandbox for tests and the demo: a process of its own, driven by plain calls.

`with Sandbox.start() as market: ...`; several at once are fine. Everything here talks HTTP to it,
as the operator under test does.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from overspill.sandbox.ledger import Entry, parse
from overspill.sandbox.options import SandboxOptions

_WITH_US = "--until-stdin-closes"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0


@dataclass(slots=True)
class Sandbox:
    """One running sandbox.

    `url` is the first market's, `urls` every market's; `bridge_address` is where its leases reach
    this machine ("" when they run nothing), `is_isolated` says whether they have namespaces.
    """

    url: str
    api_key: str
    bridge_address: str
    process: "subprocess.Popen[str]" = field(repr=False)
    is_isolated: bool = False
    urls: dict[str, str] = field(default_factory=dict)
    _client: httpx.Client = field(default_factory=httpx.Client, repr=False)

    @classmethod
    def start(cls, options: SandboxOptions | None = None, *, log: Path | None = None) -> Self:
        """Starts one and waits until it listens; `log` takes what it says on stderr."""
        command = [sys.executable, "-m", "overspill.sandbox", *arguments(options), _WITH_US]
        source = str(Path(__file__).parents[2])
        errors = log.open("w", encoding="utf-8") if log else None
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # held open: the sandbox ends with us, however we end
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        if errors is not None:
            errors.close()
        assert process.stdout is not None  # noqa: S101 -- it is a pipe
        first = process.stdout.readline()
        if not first:
            process.stdout.close()
            assert process.stdin is not None  # noqa: S101 -- it is a pipe
            process.stdin.close()
            raise RuntimeError(f"The sandbox ended with {process.wait(_STOP_TIMEOUT_S)} at start.")
        facts = json.loads(first)
        client = httpx.Client(base_url=facts["url"], timeout=_START_TIMEOUT_S, trust_env=False)
        return cls(
            url=facts["url"],
            api_key=facts["api_key"],
            bridge_address=facts["bridge_address"],
            process=process,
            is_isolated=facts["is_isolated"],
            urls=facts["urls"],
            _client=client,
        )

    def ledger(self) -> list[Entry]:
        """Every entry so far."""
        return parse(self._get("/_sandbox/ledger")["entries"])

    def summary(self) -> dict[str, Any]:
        """What is open, counts and USD per key, doubles."""
        return self._get("/_sandbox/summary")

    def hosts(self) -> list[dict[str, Any]]:
        """The simulated hosts."""
        found: list[dict[str, Any]] = self._get("/_sandbox/hosts")["hosts"]
        return found

    def fault(self, action: str, /, **rule: Any) -> int:
        """Installs a fault rule and returns its id."""
        return int(self._post("/_sandbox/faults", {"action": action, **rule})["id"])

    def struck(self, rule: int) -> int:
        """How often a rule has struck so far."""
        rules = self._get("/_sandbox/faults")["rules"]
        found = next(entry for entry in rules if entry["id"] == rule)
        return max(0, int(found["hits"]) - int(found["after"]))

    def clear_fault(self, rule: int) -> None:
        """Removes one rule."""
        self._client.delete(f"/_sandbox/faults/{rule}").raise_for_status()

    def clear_faults(self) -> None:
        """Removes every fault rule."""
        self._client.delete("/_sandbox/faults").raise_for_status()

    def kill_host(
        self, host: str, *, close_after_s: float | None = None, reason: str = "unstable"
    ) -> None:
        """The host (name or address) vanishes; its leases stay active unless told to close."""
        end = {} if close_after_s is None else {"close_after_s": close_after_s, "reason": reason}
        self._post(f"/_sandbox/hosts/{host}/kill", end)

    def revive_host(self, host: str) -> None:
        """The host is back with empty disks."""
        self._post(f"/_sandbox/hosts/{host}/revive", {})

    def price(self, host: str, usd_per_gpu_hour: Decimal) -> None:
        """What the host asks from now on."""
        self._post(f"/_sandbox/hosts/{host}/price", {"usd_per_gpu_hour": str(usd_per_gpu_hour)})

    def advance(self, seconds: float) -> None:
        """Jumps the sandbox's clock forward."""
        self._post("/_sandbox/clock/advance", {"seconds": seconds})

    def wallet(self, usd: Decimal, market: str = "") -> None:
        """Sets the money in one market's account, or in each."""
        self._post("/_sandbox/wallet", {"usd": str(usd), "market": market})

    def cut(self, lease: str) -> None:
        """Takes a lease's network away; `lease` is its id or its key, here and below."""
        self._post(f"/_sandbox/leases/{lease}/cut", {})

    def heal(self, lease: str) -> None:
        """Gives the network back."""
        self._post(f"/_sandbox/leases/{lease}/heal", {})

    def end_lease(self, lease: str, *, reason: str = "unstable", after_s: float = 0) -> None:
        """The host ends the lease."""
        self._post(f"/_sandbox/leases/{lease}/close", {"reason": reason, "after_s": after_s})

    def reclaim(self, lease: str, *, window_s: float = 3600) -> None:
        """The host takes the lease back after the window."""
        self._post(f"/_sandbox/leases/{lease}/reclaim", {"window_s": window_s})

    def finish(self, lease: str, exit_code: int = 0) -> None:
        """The lease's programs exit."""
        self._post(f"/_sandbox/leases/{lease}/finish", {"exit_code": exit_code})

    def logs(self, lease: str) -> dict[str, str]:
        """Copy name → what it printed."""
        found: dict[str, str] = self._get(f"/_sandbox/leases/{lease}/logs")["logs"]
        return found

    def stop(self) -> None:
        """Ends it and everything it runs; fine to call twice."""
        self._client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(_STOP_TIMEOUT_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _get(self, path: str) -> dict[str, Any]:
        return self._checked(self._client.get(path))

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._checked(self._client.post(path, json=body))

    def _checked(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise RuntimeError(f"The sandbox refused {answer.request.url.path}: {answer.text}")
        body: dict[str, Any] = answer.json()
        return body


def arguments(options: SandboxOptions | None) -> Sequence[str]:
    """The command line of the options."""
    given = options or SandboxOptions()
    made = [
        f"--market={','.join(given.markets)}",
        f"--listen={given.host}:{given.port}",
        f"--api-key={given.api_key}",
        f"--seed={given.seed}",
        f"--time-scale={given.time_scale}",
        f"--wallet-usd={given.wallet_usd}",
        f"--deposit-usd={given.deposit_usd}",
        f"--restart-backoff={given.restart_backoff_s}",
    ]
    made += [f"--ledger={given.ledger}"] if given.ledger else []
    made += [f"--supply={given.supply}"] if given.supply else []
    made += [f"--supply-trace={path}" for path in given.supply_traces]
    made += [f"--bridge-cidr={given.bridge_cidr}"] if given.bridge_cidr else []
    made += [f"--share={path}" for path in given.share]
    made += ["--allow-exec"] if given.allow_exec else []
    made += [] if given.isolate else ["--no-isolation"]
    made += ["--trial"] if given.trial else []
    made += [_WITH_US] if given.until_stdin_closes else []
    return made
