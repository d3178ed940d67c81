"""Manifest and hash are those of the market's own SDK, byte for byte."""

import json
from pathlib import Path
from typing import Any

import pytest

from overspill.sandbox.markets.akash.manifest import manifest_hash, manifest_json
from overspill.sandbox.markets.akash.sdl import parse_sdl

GOLDEN: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "providers" / "golden" / "akash_manifests.json").read_text()
)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_manifest_and_hash_equal_the_sdk(name: str) -> None:
    pair = GOLDEN[name]
    sdl = parse_sdl(pair["sdl"])
    assert manifest_json(sdl) == pair["manifest"]
    assert manifest_hash(manifest_json(sdl)) == pair["hash"]
    assert [group.name for group in sdl.groups] == pair["names"]
