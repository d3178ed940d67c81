"""Every spelling that a market, a node label or a trace uses meets at one canonical name."""

from decimal import Decimal

import pytest

from overspill.core import gpus
from overspill.core.gpus import GPUS, canonical_model, gpu_info, has_memory, interconnect_of
from overspill.core.vocabulary import InterconnectClass

SPELLINGS = {
    # node labels of GPU feature discovery
    "NVIDIA-H100-80GB-HBM3": "h100",
    "Tesla-T4": "t4",
    "A100-SXM4-40GB": "a100-40gb",
    "NVIDIA-A100-SXM4-80GB": "a100-80gb",
    "NVIDIA-GH200-480GB": "gh200",
    "Tesla-V100-SXM2-32GB": "v100-32gb",
    # RunPod
    "NVIDIA GeForce RTX 4090": "rtx4090",
    "NVIDIA A100 80GB PCIe": "a100-80gb",
    "NVIDIA H100 NVL": "h100-nvl",
    "NVIDIA RTX 6000 Ada Generation": "rtx6000-ada",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "rtxpro6000",
    "NVIDIA RTX 4000 SFF Ada Generation": "rtx4000-sff-ada",
    "NVIDIA GeForce RTX 4080 SUPER": "rtx4080-super",
    "Tesla V100-FHHL-16GB": "v100-16gb",
    # Vast, Shadeform, Salad, Lium and price catalogues
    "RTX 4090": "rtx4090",
    "H100 SXM": "h100",
    "A100_80G": "a100-80gb",
    "A100_80G_PCIE": "a100-80gb",
    "RTX 4090 (24 GB)": "rtx4090",
    "H100_SXM5": "h100",
    "RTX6000-Ada": "rtx6000-ada",
    "RTXPRO6000-WK": "rtxpro6000",
    "L40S_PCIE": "l40s",
    "A6000 (48 GB)": "rtxa6000",
    "Quadro RTX 6000 (24 GB)": "rtx6000",
    "3080Ti (12 GB)": "rtx3080-ti",
    "rtx-pro-server-6000": "rtxpro6000",
    "H100 HGX (80GB)": "h100",
    # Akash
    "rtxa6000": "rtxa6000",
    "pro6000se": "rtxpro6000",
    "h200nvl": "h200-nvl",
    "rtx4000sada": "rtx4000-sff-ada",
    # the openb trace
    "V100M16": "v100-16gb",
    "V100M32": "v100-32gb",
    "P100": "p100",
    "G2": "g2",
    "G3": "g3",
    # nobody we know
    "NVIDIA G9": "g9",
    "g9-pcie": "g9",
    "G9 SXM5": "g9",
    "AMD Instinct MI300X OAM": "amd-instinct-mi300x-oam",
    "": "",
}


@pytest.mark.parametrize(("raw", "canonical"), SPELLINGS.items(), ids=lambda v: v or "nothing")
def test_a_spelling_has_one_canonical_name(raw: str, canonical: str) -> None:
    assert canonical_model(raw) == canonical


@pytest.mark.parametrize("name", sorted(GPUS))
def test_a_canonical_name_stays_itself(name: str) -> None:
    assert canonical_model(name) == name


@pytest.mark.parametrize(
    ("raw", "memory", "canonical"),
    [
        pytest.param("a100", "80", "a100-80gb", id="Akash's a100 with 80Gi is the large one"),
        pytest.param("a100", "64", "a100-40gb", id="an odd 64 GB one is not sold as 80"),
        pytest.param("a100", None, "a100-40gb", id="an A100 of unknown memory is the small one"),
        pytest.param("v100", "31.75", "v100-32gb", id="a driver's 31.75 GiB is the 32 GB card"),
        pytest.param("h100", "79.6", "h100", id="a driver's 79.6 GiB is the ordinary H100"),
        pytest.param("h100", "93.6", "h100-nvl", id="an H100 with 94 GB is the NVL"),
        pytest.param("A100-SXM4-40GB", "80", "a100-40gb", id="the memory in the name wins"),
    ],
)
def test_memory_decides_between_variants(raw: str, memory: str | None, canonical: str) -> None:
    assert canonical_model(raw, Decimal(memory) if memory else None) == canonical


@pytest.mark.parametrize(
    "raw", ["A100-SXM4-40GB-MIG-1g.5gb", "NVIDIA-H100-80GB-HBM3-SHARED", "Tesla-T4-SHARED"]
)
def test_a_slice_is_never_taken_for_the_whole_gpu(raw: str) -> None:
    assert canonical_model(raw) not in GPUS


@pytest.mark.parametrize(
    ("raw", "fabric"),
    [
        ("NVIDIA A100-SXM4-80GB", InterconnectClass.NVLINK),
        ("NVIDIA H100 80GB HBM3", InterconnectClass.NVLINK),
        ("NVIDIA H100 PCIe", InterconnectClass.PCIE),
        ("h100", InterconnectClass.PCIE),
        ("NVIDIA B200", InterconnectClass.NVLINK),
        ("G2", InterconnectClass.NONE),
    ],
)
def test_a_name_gives_its_fabric_away(raw: str, fabric: InterconnectClass) -> None:
    assert interconnect_of(raw) is fabric


def test_the_data_sheet_tells_memory_and_compute_capability() -> None:
    info = gpu_info("h100")
    assert info is not None
    assert (info.memory_gib, info.compute_capability) == (Decimal(80), (9, 0))
    assert gpu_info("g2") is None


def test_a_card_that_reports_a_little_less_still_has_its_memory() -> None:
    assert has_memory(Decimal("79.6"), Decimal(80))
    assert not has_memory(Decimal(40), Decimal(80))


def test_a_very_long_name_is_read_and_not_remembered() -> None:
    kept = gpus._canonical.cache_info().currsize
    assert canonical_model("NVIDIA H100 PCIe" + " " * 200) == "h100"
    assert gpus._canonical.cache_info().currsize == kept
