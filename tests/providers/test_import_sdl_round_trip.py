"""What our own generator writes comes back as the GPUJob that makes the same SDL again."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from overspill.cli.import_sdl_job import Wish, imported
from overspill.core.portability import portable
from overspill.core.vocabulary import Workload
from overspill.ports import OpenRequest
from overspill.providers.akash_sdl import Asked, sdl_document, sdl_text

from .akash_spec import sdl_schema, spec_folder
from .test_akash_manifest import CASES

ASKED = Asked(region="us-west", auditors=("akash1a",))


def again(request: OpenRequest, job: dict[str, Any]) -> dict[str, Any]:
    """The SDL of the imported job, on the same offer."""
    spec = job["spec"]
    workload = portable(spec["template"], spec["gpu"]["count"]).workload
    assert workload is not None
    made = replace(
        request,
        workload=workload,
        secrets={},
        gpu_count=spec["gpu"]["count"],
        max_usd_per_hour=Decimal(spec["budget"]["maxHourlyUSD"]),
    )
    return sdl_document(made, ASKED)


@pytest.mark.parametrize("name", CASES, ids=lambda name: name)
def test_it_comes_back_whole(name: str) -> None:
    before = sdl_document(CASES[name], ASKED)
    found = imported(sdl_text(before), Wish(workload=Workload.BATCH))
    assert found.faults == ()
    assert found.job is not None
    after = again(CASES[name], found.job)
    for document in (before, after):  # where a variable stands does not matter
        document["services"]["job"]["env"].sort()
    assert after == before
    assert found.job["spec"]["placement"] == {"regions": ["us-west"]}


@pytest.mark.parametrize("name", CASES, ids=lambda name: name)
def test_what_is_read_is_what_the_official_schema_allows(name: str) -> None:
    jsonschema.validate(sdl_document(CASES[name], ASKED), sdl_schema(spec_folder()))
