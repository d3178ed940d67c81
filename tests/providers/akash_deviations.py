"""Where we read the official Akash specification otherwise than it is written, and why."""

from typing import Any

DEVIATIONS: dict[str, str] = {
    "^d+$": "44 patterns of dseq and its kin lost a backslash; we check ^\\d+$ instead",
}
"""What is changed in the stored OpenAPI before anything is validated against it."""


def mended(node: Any) -> Any:
    """The specification with the deviations applied, as JSON schema.

    What OpenAPI 3.0 says in its own way is said in that of the schema: `nullable` becomes a type,
    an excluded minimum its number.
    """
    if isinstance(node, list):
        return [mended(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    changed = {name: mended(value) for name, value in node.items() if name != "nullable"}
    if changed.get("pattern") == "^d+$":
        changed["pattern"] = r"^\d+$"
    if changed.get("exclusiveMinimum") is True:
        changed["exclusiveMinimum"] = changed.pop("minimum")
    if node.get("nullable") is True:
        return {"anyOf": [changed, {"type": "null"}]}
    return changed
