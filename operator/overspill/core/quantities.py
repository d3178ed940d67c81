"""Kubernetes quantities ("500m", "64Gi", "2e3") as exact decimals.

Written here because the core may not import the client library. Called by `core/portability`.
"""

import re
from decimal import Decimal

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([KMGTPE]i|[numkMGTPE]))?")

_SUFFIXES: dict[str, Decimal] = {
    **{
        suffix: Decimal(1024) ** n
        for n, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)
    },
    **{suffix: Decimal(1000) ** n for n, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    "m": Decimal("1e-3"),
    "u": Decimal("1e-6"),
    "n": Decimal("1e-9"),
}

GIB = Decimal(1024) ** 3


def parse_quantity(raw: object) -> Decimal:
    """The exact value of a quantity as Kubernetes reads it; raises ValueError with a sentence."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise ValueError(f"{raw!r} is not a Kubernetes quantity")  # noqa: TRY004  (one error type)
    found = _FORM.fullmatch(str(raw).strip())
    if found is None:
        raise ValueError(f"{str(raw)[:64]!r} is not a Kubernetes quantity")
    number, exponent, suffix = found.groups()
    return Decimal(number + (exponent or "")) * (_SUFFIXES[suffix] if suffix else 1)
