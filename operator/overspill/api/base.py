"""The base of every API model: camelCase names, lenient reading, exact writing.

Reading ignores unknown fields (an older operator meets a newer CRD); a value it cannot
understand is refused with the path of the field. Called by whoever reads or prints our kinds.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from overspill.api.rules import Rule

ACRONYMS = {
    word.lower(): word
    for word in (
        "CPU",
        "GPU",
        "GiB",
        "ID",
        "MTBF",
        "RTT",
        "SLA",
        "UID",
        "URI",
        "URIs",
        "URL",
        "USD",
    )
}


def json_name(attribute: str) -> str:
    """`max_total_usd` → `maxTotalUSD`: the first word stays small, acronyms are kept whole."""
    first, *rest = attribute.split("_")
    return first + "".join(ACRONYMS.get(word, word.capitalize()) for word in rest)


class UnreadableError(ValueError):
    """An object holds something we cannot understand; the message names the field."""


class ApiModel(BaseModel):
    """One object of the API. Docstrings below fields become `kubectl explain`."""

    model_config = ConfigDict(
        alias_generator=json_name,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    cel_rules: ClassVar[tuple[Rule, ...]] = ()
    """Rules over the fields of this object, enforced by the API server."""

    schema_extra: ClassVar[Mapping[str, Any]] = {}
    """Further schema keywords of the object (`minProperties`…)."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Writes the class's rules into its schema."""
        found = handler(core_schema)
        schema = handler.resolve_ref_schema(found)  # the definition that `found` refers to
        schema.update(cls.schema_extra)
        if cls.cel_rules:
            schema["x-kubernetes-validations"] = [rule.to_json() for rule in cls.cel_rules]
        return found

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """The object in `content`; raises UnreadableError with a sentence naming the field."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise UnreadableError(_complaint(cls.__name__, error)) from None

    def to_json(self) -> dict[str, Any]:
        """The object as the API server wants it; fields without a value are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _complaint(kind: str, error: ValidationError) -> str:
    """One sentence for the first wrong field; values are not repeated (they may be secret)."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = re.sub(r"\.\[", "[", ".".join(_step(step) for step in first["loc"])) or "the object"
    more = error.error_count() - 1
    rest = f" (and {more} more)" if more else ""
    return f"{kind}: {path}: {first['msg'][:1].lower()}{first['msg'][1:]}{rest}"


def _step(step: int | str) -> str:
    return f"[{step}]" if isinstance(step, int) else step
