"""The scalar types of the API: money, durations, names, quantities, each with its bounds.

Every bound stands twice: for pydantic and in the schema that the API server enforces.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from overspill.api.rules import Cel, Merge, Rule

Text = StringConstraints
"""Bounds of a string."""

QUANTITY_PATTERN = (
    r"^\+?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
"""apimachinery's quantity, without a minus sign."""
URI_PATTERN = r"^[a-zA-Z][a-zA-Z0-9+.-]{0,15}://[^\s]*$"
LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SUBDOMAIN = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"


def _plain(value: Decimal) -> str:
    return f"{value:f}"


def _decimal_schema(pattern: str, length: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": length})


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_written = PlainSerializer(_plain, return_type=str, when_used="json")
_positive = Rule("quantity(self).isGreaterThan(quantity('0'))", "must be more than 0")

PositiveUSD = Annotated[
    Decimal,
    Field(gt=0),
    _written,
    _decimal_schema(r"^[0-9]{1,9}(\.[0-9]{1,6})?$", 16),
    Cel((_positive,)),
]
"""Dollars a person writes as a limit: more than 0, at most six decimals."""
RateUSD = Annotated[
    Decimal, Field(ge=0), _written, _decimal_schema(r"^[0-9]{1,9}(\.[0-9]{1,6})?$", 16)
]
"""Dollars a person writes as a price: 0 is a price."""
ExactUSD = Annotated[
    Decimal, Field(ge=0), _written, _decimal_schema(r"^[0-9]{1,12}(\.[0-9]{1,50})?$", 64)
]
"""Dollars the operator writes, not rounded."""
SignedUSD = Annotated[Decimal, _written, _decimal_schema(r"^-?[0-9]{1,12}(\.[0-9]{1,50})?$", 64)]
"""A difference of dollars the operator writes."""
ExactNumber = Annotated[
    Decimal, Field(ge=0), _written, _decimal_schema(r"^[0-9]{1,12}(\.[0-9]{1,50})?$", 64)
]
"""An exact number that is not money, written as a decimal string."""
Ratio = Annotated[
    Decimal,
    Field(ge=0, le=1),
    _written,
    _decimal_schema(r"^(0(\.[0-9]{1,12})?|1(\.0{1,12})?)$", 14),
]
"""A share from 0 to 1, written as a decimal string."""

Quantity = Annotated[
    str,
    BeforeValidator(lambda raw: str(raw) if isinstance(raw, int) else raw),
    Text(pattern=QUANTITY_PATTERN, max_length=32),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": QUANTITY_PATTERN,
            "maxLength": 32,
        }
    ),
]
"""A Kubernetes quantity: "80Gi", 85899345920."""

Instant = Annotated[
    AwareDatetime,
    AfterValidator(lambda moment: moment.astimezone(UTC)),
    PlainSerializer(_stamp, return_type=str, when_used="json"),
]
"""An instant, RFC 3339; written in UTC."""
Seconds = Annotated[int, Field(ge=0, le=315_360_000)]
"""A duration in whole seconds, at most ten years."""
SignedSeconds = Annotated[int, Field(ge=-315_360_000, le=315_360_000)]
"""A difference of times in whole seconds."""
PositiveSeconds = Annotated[int, Field(ge=1, le=315_360_000)]
"""A duration of at least one second."""
Count = Annotated[int, Field(ge=0, le=2_147_483_647)]
"""A number of things."""
Generation = Annotated[int, Field(ge=0, le=9_007_199_254_740_991)]
"""A number that only grows: a generation, a step. The API server reads bounds as floats, so no
bound passes 2**53.
"""
ExitCode = Annotated[int, Field(ge=-2_147_483_647, le=2_147_483_647)]
"""The exit code of a command."""
Percent = Annotated[int, Field(ge=0, le=100)]
"""Whole percent."""
Version = Annotated[str, Text(pattern=r"^[0-9]{1,2}\.[0-9]{1,2}$", max_length=5)]
"""`major.minor`."""

Label = Annotated[str, Text(pattern=LABEL, min_length=1, max_length=63)]
"""A name that fits a label: lower-case letters, digits and dashes."""
ObjectName = Annotated[str, Text(pattern=SUBDOMAIN, min_length=1, max_length=253)]
"""The name of a Kubernetes object."""
ModelName = Annotated[str, Text(pattern=r"^[a-z0-9]([-._a-z0-9]*[a-z0-9])?$", max_length=63)]
"""A canonical GPU model: h100, a100-80gb, rtx4090."""
RegionName = Annotated[
    str, Text(pattern=r"^[A-Za-z0-9]([-_./A-Za-z0-9]*[A-Za-z0-9])?$", max_length=63)
]
"""A region or a part of one: eu, us-west."""
Uid = Annotated[str, Text(min_length=1, max_length=64)]
"""The uid of a Kubernetes object."""
Word = Annotated[str, Text(max_length=253)]
"""A short text of the operator's."""
Line = Annotated[str, Text(max_length=1024)]
"""A line of text."""
Message = Annotated[str, Text(max_length=32768)]
"""Sentences for a person."""
ReasonWord = Annotated[
    str, Text(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", min_length=1, max_length=128)
]
"""One CamelCase word. The words are a closed list (docs/conditions.md); the schema leaves the
list open so that a status write is never refused for a word."""
URI = Annotated[str, Text(pattern=URI_PATTERN, max_length=2048)]
"""An absolute URI."""
Environ = Annotated[str, Text(pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=253)]
"""The name of an environment variable."""
Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP port."""

SET = Merge("set")
"""A list whose order means nothing."""
ATOMIC = Merge("atomic")
"""A list that is replaced as a whole: its order means something."""
