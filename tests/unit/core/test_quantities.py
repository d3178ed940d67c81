"""Kubernetes quantities are read exactly."""

from decimal import Decimal

import pytest

from overspill.core.quantities import parse_quantity


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("1", "1"),
        (2, "2"),
        ("500m", "0.5"),
        ("1.5", "1.5"),
        ("64Gi", str(64 * 2**30)),
        ("1Ei", str(2**60)),
        ("128M", "128000000"),
        ("2k", "2000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("2E", "2000000000000000000"),
        ("100n", "1e-7"),
        (".5", "0.5"),
        ("1.", "1"),
        ("-1", "-1"),
    ],
)
def test_a_quantity_has_its_exact_value(raw: object, value: str) -> None:
    assert parse_quantity(raw) == Decimal(value)


@pytest.mark.parametrize("raw", ["", "Gi", "1GB", "1 Gi", "lots", "0x10", "1KI", None, [], True])
def test_anything_else_is_refused_with_a_sentence(raw: object) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse_quantity(raw)
