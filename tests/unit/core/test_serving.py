"""Copies of a service: spread so that the promise holds, at least cost."""

from dataclasses import replace

import pytest

from overspill.core.serving import SHORT_PRICE, Host, Service, Spread, best

FIRM = Host("firm", 3.0, is_reliable=True)


def spot(name: str, usd: float = 1.0, loss: float = 0.02, **more: object) -> Host:
    return replace(Host(name, usd, loss=loss, life_h=3.0), **more)


def service(needed: int = 6, **more: object) -> Service:
    return replace(Service(needed, start_h=0.05, until_next_h=0.05), **more)


def left(found: Spread, *lost: str) -> int:
    return sum(count for name, count in found.copies.items() if name not in lost)


def test_without_a_promise_it_is_the_cheapest() -> None:
    found = best([FIRM, spot("a", 1.2), spot("b")], service())
    assert found.copies == {"b": 6}


def test_a_strict_promise_bears_the_loss_of_any_host() -> None:
    hosts = [FIRM, spot("a"), spot("b", 1.1), spot("c", 1.2)]
    found = best(hosts, service(promised=0.999))
    assert all(left(found, name) >= 6 for name in found.copies)
    assert "firm" not in found.copies
    assert found.short <= 3 * service(promised=0.999).allowed


def test_a_loose_promise_costs_less_than_a_strict_one() -> None:
    hosts = [FIRM, spot("a", loss=0.004), spot("b", loss=0.004), spot("c", loss=0.004)]
    loose = best(hosts, service(promised=0.99))
    strict = best(hosts, service(promised=0.9995))
    assert loose.usd_per_hour < strict.usd_per_hour
    assert sum(loose.copies.values()) == 6


def test_on_demand_is_taken_where_nothing_else_holds_the_promise() -> None:
    risky = [FIRM, spot("a", loss=0.3), spot("b", loss=0.3)]
    assert best(risky, service(promised=0.999)).copies == {"firm": 6}
    down = [FIRM, spot("a", is_up=False)]
    assert best(down, service()).copies == {"firm": 6}


def test_on_demand_is_not_taken_where_spot_starts_as_fast() -> None:
    # One host was lost this moment; nobody ready is replaced by something three times the price.
    hosts = [FIRM, spot("a", held=3), spot("b", is_up=False), spot("c", 1.1)]
    found = best(hosts, service(promised=0.99))
    assert "firm" not in found.copies
    assert found.copies.get("a", 0) >= 3


def test_a_missed_past_makes_it_stricter_and_a_kept_one_looser() -> None:
    fresh = service(promised=0.99)
    missed = replace(fresh, elapsed_h=48.0, missed_h=0.6)
    kept = replace(fresh, elapsed_h=48.0)
    assert missed.allowed < fresh.allowed < kept.allowed
    assert replace(fresh, elapsed_h=10.0, missed_h=5.0).allowed == 0.0
    assert service().allowed == 1.0


def test_a_moment_of_risk_is_weighed_and_what_is_used_up_is_not_risked() -> None:
    # Young hosts go often; two of them with spares cost more than the risk of a while.
    hosts = [FIRM, spot("a", loss=0.012), spot("b", 1.5, loss=0.012)]
    fresh = service(promised=0.99)
    assert fresh.allowed < best(hosts, fresh).short
    assert best(hosts, replace(fresh, elapsed_h=10.0, missed_h=1.5)).copies == {"firm": 6}


def test_a_strict_promise_is_kept_day_by_day_and_a_loose_one_over_a_week() -> None:
    loose, strict = service(promised=0.99), service(promised=0.999)
    assert replace(loose, missed_h=0.3).allowed > 0, "more than a day allows"
    assert strict.allowed > 0
    assert replace(strict, missed_h=0.05).allowed == 0, "one loss"
    assert replace(strict, missed_h=0.05, elapsed_h=48.0).allowed > 0


def test_with_few_losses_left_each_weighs_the_more() -> None:
    few, many = (service(promised=0.999, elapsed_h=h) for h in (12.0, 700.0))
    assert many.weight * many.allowed == pytest.approx(SHORT_PRICE)
    assert few.weight * few.allowed > 4 * SHORT_PRICE
    assert service().weight == SHORT_PRICE


def test_what_is_lost_together_is_no_spare_for_each_other() -> None:
    hosts = [FIRM, spot("a", loss=0.004), spot("b", 1.1, loss=0.004)]
    apart = service(promised=0.999, elapsed_h=12.0)
    together = replace(apart, together={frozenset("ab"): 0.9})
    assert best(hosts, apart).copies == {"a": 6, "b": 6}
    assert best(hosts, together).short > 4 * best(hosts, apart).short
    assert best(hosts, together).copies != {"a": 6, "b": 6}


def test_nothing_that_is_down_is_named_and_no_service_needs_no_copy() -> None:
    hosts = [FIRM, spot("a", is_up=False), spot("b")]
    assert "a" not in best(hosts, service(promised=0.999)).copies
    assert best(hosts, service(0)).copies == {}


@pytest.mark.parametrize("needed", [1, 2, 5, 17])
@pytest.mark.parametrize("promised", [None, 0.99, 0.999])
def test_there_are_always_enough(needed: int, promised: float | None) -> None:
    hosts = [FIRM, *(spot(n, 1.0 + i / 10, 0.01 * (i + 1)) for i, n in enumerate("abcd"))]
    found = best(hosts, service(needed, promised=promised))
    assert sum(found.copies.values()) >= needed
    assert found.short <= 2 * service(needed, promised=promised).allowed
    assert found.usd_per_hour <= 3.0 * needed
