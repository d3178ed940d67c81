"""`python -m benchmarks.chaos_moments`: how soon it is seen and mended, with default settings.

A home node falls silent, a leader is killed or told to end, an operator dies in the middle of a
create, capacity returns at home. Real API server and controllers with their own defaults; nothing
is compressed but what the markets' accounts say of themselves. A node is looked at every half
second by the tests' clock, so each figure is late by that much at most.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.deaths import burst, dies, hurry
from tests.cluster.manifests import lasting, template
from tests.cluster.proofs import SWIFT, leads, patch, sla_class, until_leads

from benchmarks.chaos_lines import Line, print_lines
from benchmarks.storm import default_settings
from overspill.testing.bed import Bed, BedOptions, until
from overspill.testing.markets import COMMON, market_stack
from overspill.testing.operator import OperatorProcess, free_port
from overspill.testing.stack import Stack

Show = Callable[[str], None]
MARKETS = ("salad", "vast")
"""Of class A and of class B."""
NODES = ("moment-1", "moment-2")
EAGER = "eager"
LOOK_S = 0.1
LOST_S, DECIDED_S, BACK_S = 45.0, 2.0, 30.0
KILLED_S, TOLD_S = 20.0, 3.0
RESOLVED_S = {"salad": 30.0, "vast": float(COMMON["quarantineSeconds"]) + 30.0}


@dataclass
class Place:
    """What it is measured on."""

    stack: Stack
    bed: Bed
    standby: OperatorProcess
    show: Show

    def lease(self, namespace: str, attempt: int) -> dict[str, Any]:
        """One attempt's lease; {} until there is one."""
        found = (x for x in self.stack.leases(namespace) if x["spec"]["attempt"] == attempt)
        return next(found, {})

    def took(self, what: str, claim: Callable[[], object], limit_s: float) -> float:
        """Seconds from now until a claim holds. Raises TimeoutError."""
        began = time.monotonic()
        until(claim, what, limit_s, LOOK_S)
        seconds = time.monotonic() - began
        self.show(f"  timing {what}: {seconds:.1f} s")
        return seconds


def main() -> int:
    """0 when every figure is met."""
    lines = run(lambda text: print(text, flush=True))
    print_lines(lines)
    return 0 if all(line.is_met for line in lines) else 1


def run(show: Show) -> list[Line]:
    """All of it, on a control plane of its own."""
    with _place(show) as place:
        return [*_losses(place), _failback(place), *_leaders(place), *_deaths(place)]


@contextmanager
def _place(show: Show) -> Iterator[Place]:
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        bed = closing.enter_context(
            Bed.start(BedOptions(real_node="no", fast_node_loss=False), show)
        )
        settings = default_settings()
        stack = closing.enter_context(market_stack(bed, folder, MARKETS, settings))
        hurry(stack)
        home = {"policy": "WhenCheaper", "minSavingPercent": 1, "cooldownSeconds": 3}
        sla_class(stack, EAGER, failback=home)
        standby = _second(stack)
        closing.callback(standby.stop)
        yield Place(stack, bed, standby, show)


def _second(stack: Stack) -> OperatorProcess:
    first = stack.operator
    ports = {
        "OVERSPILL_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "OVERSPILL_REPORT_LISTEN": f"0.0.0.0:{free_port()}",
    }
    return OperatorProcess(
        first.kubeconfig, first.workdir, {**first.environment, **ports}, "second"
    )


def _losses(place: Place, rounds: int = 3) -> list[Line]:
    """A node falls silent under a job; the other has room."""
    for name in NODES:
        place.bed.nodes.add(name, gpus=8)  # what the old one leaves behind is not in the way
    lost, decided = [], []
    for _ in range(rounds):
        with place.stack.cluster.namespace("moments") as namespace:
            seen, went_on = _loss(place, namespace)
            lost.append(seen)
            decided.append(went_on)
    for name in NODES:
        place.bed.nodes.delete(name)
    return [
        _line("node loss: Lost <= 45 s", lost, LOST_S),
        _line("node loss: decision and lease <= 2 s later", decided, DECIDED_S),
    ]


def _loss(place: Place, namespace: str) -> tuple[float, float]:
    stack = place.stack
    stack.apply_job(namespace, "job", _home_job(3600))
    stack.until_phase(namespace, "job", "Running")
    node = stack.job(namespace, "job")["status"]["placement"]["place"].removeprefix("home/")
    place.bed.nodes.lose(node)
    try:
        seen = place.took("a silent node is lost", lambda: _closing(place, namespace), 120)
        went_on = place.took("its job is sent elsewhere", lambda: place.lease(namespace, 2), 60)
    finally:
        place.bed.nodes.restore(node)
    return seen, went_on


def _closing(place: Place, namespace: str) -> bool:
    status = place.lease(namespace, 1).get("status") or {}
    return (status.get("closing") or {}).get("reason") == "Lost"


def _failback(place: Place) -> Line:
    """A job rents because home has no such GPU; then a node with it appears."""
    stack, rates = place.stack, {"v100-32gb": "0.01", "v100": "0.01"}
    patch(stack, "gpp/home", {"spec": {"ratesUSD": rates}})
    wanted = {"count": 1, "models": ["v100-32gb", "v100"]}
    spec = {**_home_job(36000), "gpu": wanted, "slaClassName": EAGER}
    spec |= {"deadline": {"workSeconds": 36000}, "placement": {"burst": "Allowed"}}
    with stack.cluster.namespace("moments") as namespace:
        stack.apply_job(namespace, "back", spec)
        until(lambda: place.lease(namespace, 1), "a lease outside", 120)
        stack.until_phase(namespace, "back", "Running", timeout_s=180)
        gpu = {"product": "Tesla-V100-SXM2-32GB", "memory_mib": 32768, "family": "volta"}
        place.bed.nodes.add("moment-v100", gpus=1, compute=(7, 0), **gpu)
        took = place.took("the way home is decided", lambda: place.lease(namespace, 2), 120)
    place.bed.nodes.delete("moment-v100")
    return _line("node loss: failback <= 30 s", [took], BACK_S)


def _leaders(place: Place) -> list[Line]:
    """The leader dies, and later another is told to end."""
    first, second = place.stack.operator, place.standby
    until_leads(first)
    second.restart()
    second.wait_ready()
    first.kill()
    killed = place.took("the standby leads after kill -9", lambda: leads(second), 60)
    first.restart()
    first.wait_ready()
    second.send(signal.SIGTERM)
    told = place.took("the standby leads after SIGTERM", lambda: leads(first), 60)
    return [
        _line("leader failover: after kill -9 <= 20 s", [killed], KILLED_S),
        _line("leader failover: on SIGTERM <= 3 s", [told], TOLD_S),
    ]


def _deaths(place: Place) -> list[Line]:
    """The operator dies when a market has made what it asked for, before that is recorded."""
    return [
        _line(f"crash to resolved, {market}", [_death(place, market)], RESOLVED_S[market])
        for market in MARKETS
    ]


def _death(place: Place, market: str) -> float:
    operator = place.stack.operator
    operator.environment["OVERSPILL_FAILPOINT"] = f"{market}.open:after:1"
    operator.restart()
    operator.wait_ready()
    with place.stack.cluster.namespace("moments") as namespace:
        place.stack.apply_job(namespace, "job", burst(market, "sleep 600"))
        if not dies(operator):
            raise TimeoutError(f"{market}.open was never passed")
        operator.environment["OVERSPILL_FAILPOINT"] = ""
        operator.restart()  # as a kubelet does

        def is_resolved() -> bool:
            state = (place.lease(namespace, 1).get("status") or {}).get("state")
            return state in ("Active", "Closed")

        return place.took(f"{market}: what was made is known again", is_resolved, 300)


def _home_job(lasts_s: int) -> dict[str, Any]:
    """A job for simulated nodes."""
    return {
        "workload": "Batch",
        "gpu": {"count": 1},
        "slaClassName": SWIFT,
        "budget": {"maxTotalUSD": "50"},
        "placement": {"burst": "Never"},
        "template": template("sh", "-c", "sleep 600", **lasting(lasts_s)),
    }


def _line(goal: str, seconds: list[float], limit_s: float) -> Line:
    told = f"{max(seconds):.1f} s" + (f", worst of {len(seconds)}" if len(seconds) > 1 else "")
    return Line(goal, f"{told} (at most {limit_s:g} s)", max(seconds) <= limit_s)


if __name__ == "__main__":
    sys.exit(main())
