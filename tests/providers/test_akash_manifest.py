"""The rebuilt manifest is byte for byte what the market's own SDK makes of the same SDL.

Two witnesses: a golden pair that the SDK made (in this repository), and the SDK itself where
node and the package are (`AKASH_SDK_DIR`).
"""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from overspill.core.workload import PortableWorkload
from overspill.providers.akash_manifest import is_hash_of, manifest
from overspill.providers.akash_sdl import Asked, sdl_document, sdl_text

from .akash_rig import H100, WORKLOAD, request
from .akash_sdk import ask_sdk

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"

ODD = PortableWorkload(
    image="ghcr.io/a/b@sha256:00",
    command=("/bin/sh", "-c", 'printf "%s\\n" "<&>" \u2028 😀 \x7f\t $$ 0o14'),
    args=("1e3", "0x1f", "1:30", "~", "", "null", "- a", "# no", "a: b"),
    env=(("EMPTY", ""), ("QUOTES", "'\""), ("LINES", "a\nb\n"), ("YES", "yes")),
    ports=(8080, 80, 22),
    cpu_units=Decimal("0.1"),
    memory_gib=Decimal("0.3"),
    disk_gib=Decimal(1),
)

CASES = {
    "usual": request(),
    "odd strings and several ports": request(workload=ODD),
    "no port": request(workload=replace(WORKLOAD, ports=())),
    "in a working directory": request(workload=replace(WORKLOAD, working_dir="/work dir")),
    "any gpu of two": replace(
        request(), gpu_count=2, offer=replace(H100, attributes=(("model", "rtx4090"),))
    ),
    "gpu without a name": replace(request(), offer=replace(H100, attributes=())),
}


@pytest.mark.parametrize("name", CASES, ids=lambda name: name)
def test_it_equals_the_golden_one(name: str) -> None:
    golden = json.loads((GOLDEN / "akash_manifests.json").read_text())[name]
    document = sdl_document(CASES[name], Asked())
    assert sdl_text(document) == golden["sdl"]
    assert manifest(document) == golden["manifest"]
    assert is_hash_of(golden["hash"], manifest(document))


@pytest.mark.parametrize("name", CASES, ids=lambda name: name)
def test_the_markets_own_sdk_makes_the_same(name: str) -> None:
    document = sdl_document(CASES[name], Asked(region="us-west", auditors=("akash1a",)))
    made = ask_sdk("akash_witness.cjs", sdl_text(document))
    assert manifest(document) == made["manifest"]
    assert is_hash_of(made["hash"], manifest(document))
    assert made["names"] == [CASES[name].key]


def test_another_value_has_another_hash() -> None:
    one = manifest(sdl_document(request(), Asked()))
    other = manifest(
        sdl_document(replace(request(), secrets={"OVERSPILL_REPORT_TOKEN": "x"}), Asked())
    )
    golden = json.loads((GOLDEN / "akash_manifests.json").read_text())["usual"]["hash"]
    assert is_hash_of(golden, one)
    assert not is_hash_of(golden, other)
