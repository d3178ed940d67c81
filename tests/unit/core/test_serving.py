"""Copies of a service: spread so that the promise holds, at least cost, none less than ready."""

from dataclasses import replace

import pytest

from overspill.core.serving import Host, Service, Spread, spread

FIRM = Host("firm", 3.0, is_reliable=True)


def spot(name: str, usd: float = 1.0, loss: float = 0.02, **more: object) -> Host:
    return replace(Host(name, usd, loss=loss, life_h=3.0), **more)


def service(needed: int = 6, **more: object) -> Service:
    return replace(Service(needed, start_h=0.05, until_next_h=0.05), **more)


def left(found: Spread, *lost: str) -> int:
    return sum(count for name, count in found.copies.items() if name not in lost)


def test_without_a_promise_it_is_the_cheapest() -> None:
    found = spread([FIRM, spot("a", 1.2), spot("b")], service())
    assert found.copies == {"b": 6}


def test_a_strict_promise_bears_the_loss_of_any_host() -> None:
    hosts = [FIRM, spot("a"), spot("b", 1.1), spot("c", 1.2)]
    found = spread(hosts, service(promised=0.999))
    assert all(left(found, name) >= 6 for name in found.copies)
    assert "firm" not in found.copies
    assert found.short <= 3 * service(promised=0.999).allowed


def test_a_loose_promise_costs_less_than_a_strict_one() -> None:
    hosts = [FIRM, spot("a", loss=0.004), spot("b", loss=0.004), spot("c", loss=0.004)]
    loose = spread(hosts, service(promised=0.99))
    strict = spread(hosts, service(promised=0.9995))
    assert loose.usd_per_hour < strict.usd_per_hour
    assert sum(loose.copies.values()) == 6


def test_on_demand_is_taken_where_nothing_else_holds_the_promise() -> None:
    risky = [FIRM, spot("a", loss=0.3), spot("b", loss=0.3)]
    assert spread(risky, service(promised=0.999)).copies == {"firm": 6}
    down = [FIRM, spot("a", is_up=False)]
    assert spread(down, service()).copies == {"firm": 6}


def test_on_demand_is_not_taken_where_spot_starts_as_fast() -> None:
    # One host was lost this moment; nobody ready is replaced by something three times the price.
    hosts = [FIRM, spot("a", ready=3, held=3), spot("b", is_up=False), spot("c", 1.1)]
    found = spread(hosts, service(promised=0.99))
    assert "firm" not in found.copies
    assert found.copies.get("a", 0) >= 3


def test_what_is_ready_stays_until_its_replacement_is() -> None:
    hosts = [replace(FIRM, ready=6, held=6), spot("a", held=6)]
    waiting = spread(hosts, service())
    assert waiting.copies == {"a": 6, "firm": 6}
    done = spread([replace(FIRM, ready=6, held=6), spot("a", ready=6, held=6)], service())
    assert done.copies == {"a": 6}


def test_a_missed_past_makes_it_stricter_and_a_kept_one_looser() -> None:
    fresh = service(promised=0.99)
    missed = replace(fresh, elapsed_h=48.0, missed_h=0.6)
    kept = replace(fresh, elapsed_h=48.0)
    assert missed.allowed < fresh.allowed < kept.allowed
    assert replace(fresh, elapsed_h=10.0, missed_h=5.0).allowed == 0.0
    assert replace(kept, missed_h=0.48).attained == pytest.approx(0.99)
    assert service().allowed == 1.0


def test_a_moment_of_risk_is_weighed_and_what_is_used_up_is_not_risked() -> None:
    # Young hosts go often; two of them with spares cost more than the risk of a while.
    hosts = [FIRM, spot("a", loss=0.012), spot("b", 1.5, loss=0.012)]
    fresh = service(promised=0.99)
    assert fresh.allowed < spread(hosts, fresh).short
    assert spread(hosts, replace(fresh, elapsed_h=10.0, missed_h=0.5)).copies == {"firm": 6}


def test_nothing_that_is_down_is_named_and_no_service_needs_no_copy() -> None:
    hosts = [FIRM, spot("a", is_up=False), spot("b")]
    assert "a" not in spread(hosts, service(promised=0.999)).copies
    assert spread(hosts, service(0)).copies == {}


@pytest.mark.parametrize("needed", [1, 2, 5, 17])
@pytest.mark.parametrize("promised", [None, 0.99, 0.999])
def test_there_are_always_enough(needed: int, promised: float | None) -> None:
    hosts = [FIRM, *(spot(n, 1.0 + i / 10, 0.01 * (i + 1)) for i, n in enumerate("abcd"))]
    found = spread(hosts, service(needed, promised=promised))
    assert sum(found.copies.values()) >= needed
    assert found.short <= 2 * service(needed, promised=promised).allowed
    assert found.usd_per_hour <= 3.0 * needed
