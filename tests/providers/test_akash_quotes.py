"""At Akash, what a job is quoted, the most it may pay and what hosts bid are one story.

Hosts price by the defaults of Akash's own script (`sandbox.supply`), the adapter by its settings.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from overspill.core.errors import NoCapacity
from overspill.core.offer import Offer
from overspill.core.snapshot import JobFacts
from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.testing.contract import drive
from overspill.testing.placing import decide, make_job

from .akash_rig import WORKLOAD, request
from .akash_sandbox_rig import SandboxRig, akash_rig

SHAPES = ((2, 8), (4, 16), (8, 32), (12, 32), (16, 64), (24, 96), (32, 128), (48, 192))
"""CPUs and GiB of memory beside one GPU, as the pods of public GPU traces ask for them."""
SMALL = ("t4", "p100", "v100-32gb")


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    async with akash_rig() as made:
        yield made


@pytest.mark.parametrize("model", SMALL)
async def test_quote_cap_and_bids_agree_whatever_stands_beside_the_gpu(
    rig: SandboxRig, model: str
) -> None:
    (offer,) = [o for o in await rig.provider.offers(None) if o.gpu_model == model]
    for number, workload in enumerate(map(_workload, SHAPES), 1):
        asked = _placed(number, offer, workload)
        step = await drive(rig, asked)
        assert step.price_usd_per_hour is not None
        assert step.price_usd_per_hour <= asked.max_usd_per_hour
        assert abs(step.price_usd_per_hour / asked.offer.price_usd_per_hour - 1) < Decimal("0.001")
        await rig.provider.close(step.handle)


async def test_by_the_gpus_price_alone_most_of_them_get_no_bid(rig: SandboxRig) -> None:
    """How it was: 22 of these 24 orders waited out their window for nothing."""
    in_vain = 0
    offers = [replace(o, beside_rates=None) for o in await rig.provider.offers(None)]
    for number, (model, shape) in enumerate(((m, s) for m in SMALL for s in SHAPES), 1):
        (offer,) = [o for o in offers if o.gpu_model == model]
        try:
            step = await drive(rig, _placed(number, offer, _workload(shape)))
        except NoCapacity:
            in_vain += 1
        else:
            await rig.provider.close(step.handle)
    assert in_vain == 22


def _workload(shape: tuple[int, int]) -> PortableWorkload:
    return replace(WORKLOAD, cpu_units=Decimal(shape[0]), memory_gib=Decimal(shape[1]))


def _placed(attempt: int, offer: Offer, workload: PortableWorkload) -> OpenRequest:
    """The request that placement makes of a job with that workload."""
    facts = JobFacts(beside=workload.beside)
    job = make_job(max_total_usd=Decimal(1000))
    found = decide(job, offer, facts={job.ref.uid: facts})
    assert found.offer is not None
    assert found.max_usd_per_hour is not None
    return replace(
        request(attempt, workload), offer=found.offer, max_usd_per_hour=found.max_usd_per_hour
    )
