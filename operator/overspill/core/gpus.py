"""The one spelling of every GPU, and what is known of each from its data sheet.

Adapters pass the market's or the node's own name through `canonical_model` before anything else
sees it; placement compares canonical names only. A name that leaves a variant open (A100, V100)
means its smallest, so that a place is never believed to have more memory than it said. Slices
of a GPU (MIG, shared) keep a name of their own: they are never taken for the whole one.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from overspill.core.vocabulary import InterconnectClass

MEMORY_TOLERANCE = Decimal("0.95")
"""Drivers report a little less than the data sheet (an 80 GB card shows 79.6 GiB)."""

_LONGEST_KEPT = 128
"""Characters of a name that is remembered; a market that sends longer ones fills no memory."""


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """Data sheet of a model. `interconnect` is the weakest form it is sold in."""

    memory_gib: Decimal
    compute_capability: tuple[int, int]
    interconnect: InterconnectClass = InterconnectClass.PCIE


def canonical_model(raw: str, memory_gib: Decimal | None = None) -> str:
    """The canonical name for what a market, a node label or a user wrote.

    `memory_gib` decides between variants where the name does not say (Akash: `h100` and `80Gi`).
    Unknown names come back lower-case with dashes, so that equal spellings still meet.
    """
    read = _canonical if len(raw) <= _LONGEST_KEPT else _canonical.__wrapped__
    return read(raw, memory_gib)


@lru_cache(maxsize=4096)
def _canonical(raw: str, memory_gib: Decimal | None) -> str:
    """Markets list thousands of machines and few models: a name is read once, then remembered."""
    words = re.findall(r"[a-z0-9.]+", raw.lower())
    if "mig" in words or "shared" in words:
        return _sanitised(words)
    named_memory, rest = _split_memory([w for w in words if w not in _NOISE])
    compact = "".join(rest)
    compact = _ALIASES.get(compact, compact)
    if compact in _VARIANTS:
        return _variant(compact, named_memory or memory_gib)
    return _BY_COMPACT.get(compact) or _sanitised(words)


def gpu_info(model: str) -> GpuInfo | None:
    """Data sheet of a canonical model, None for one that is not listed."""
    return GPUS.get(model)


def interconnect_of(raw: str) -> InterconnectClass:
    """The fabric that a market's own name gives away ("A100-SXM4-80GB", "H100 PCIe")."""
    read = _fabric if len(raw) <= _LONGEST_KEPT else _fabric.__wrapped__
    return read(raw)


@lru_cache(maxsize=4096)
def _fabric(raw: str) -> InterconnectClass:
    words = set(re.findall(r"[a-z0-9.]+", raw.lower()))
    if "pcie" in words:
        return InterconnectClass.PCIE
    is_h100_sxm = "h100" in words and "hbm3" in words
    if is_h100_sxm or any(w in {"hgx", "dgx", "nvl"} or w.startswith("sxm") for w in words):
        return InterconnectClass.NVLINK
    info = gpu_info(canonical_model(raw))
    return info.interconnect if info else InterconnectClass.NONE


def has_memory(actual_gib: Decimal, needed_gib: Decimal) -> bool:
    """Whether a GPU has the memory asked for, with the tolerance that drivers need."""
    return actual_gib >= needed_gib * MEMORY_TOLERANCE


def _gpus(
    major: int, minor: int, interconnect: InterconnectClass, **models: int
) -> dict[str, GpuInfo]:
    return {
        name.replace("_", "-"): GpuInfo(Decimal(memory), (major, minor), interconnect)
        for name, memory in models.items()
    }


_PCIE, _NVLINK = InterconnectClass.PCIE, InterconnectClass.NVLINK

GPUS: dict[str, GpuInfo] = {
    # datacentre, newest first
    **_gpus(10, 3, _NVLINK, b300=288, gb300=288),
    **_gpus(10, 0, _NVLINK, b200=180, gb200=186),
    **_gpus(9, 0, _NVLINK, h200=141, h100_nvl=94, gh200=96, h20=96, h800=80),
    **_gpus(9, 0, _PCIE, h100=80, h200_nvl=141),
    **_gpus(8, 9, _PCIE, l4=24, l40=48, l40s=48),
    **_gpus(8, 6, _PCIE, a2=16, a10=24, a10g=24, a16=16, a40=48),
    **_gpus(8, 0, _PCIE, a100_40gb=40, a100_80gb=80, a30=24),
    **_gpus(8, 0, _NVLINK, a800=80),
    **_gpus(7, 5, _PCIE, t4=16, t4g=16),
    **_gpus(7, 0, _PCIE, v100_16gb=16, v100_32gb=32),
    **_gpus(6, 1, _PCIE, p4=8, p40=24),
    **_gpus(6, 0, _PCIE, p100=16),
    **_gpus(5, 2, _PCIE, m60=8),
    **_gpus(3, 7, _PCIE, k80=12),
    # workstation
    **_gpus(12, 0, _PCIE, rtxpro4500=32, rtxpro5000=48, rtxpro6000=96),
    **_gpus(8, 9, _PCIE, rtx2000_ada=16, rtx4000_ada=20, rtx4000_sff_ada=20, rtx4500_ada=24),
    **_gpus(8, 9, _PCIE, rtx5000_ada=32, rtx5880_ada=48, rtx6000_ada=48),
    **_gpus(8, 6, _PCIE, rtxa2000=6, rtxa4000=16, rtxa4500=20, rtxa5000=24, rtxa6000=48),
    **_gpus(7, 5, _PCIE, rtx4000=8, rtx5000=16, rtx6000=24, rtx8000=48),
    # gaming
    **_gpus(12, 0, _PCIE, rtx5070=12, rtx5070_ti=16, rtx5080=16, rtx5090=32),
    **_gpus(8, 9, _PCIE, rtx4060=8, rtx4060_ti=8, rtx4070=12, rtx4070_ti=12, rtx4070_super=12),
    **_gpus(8, 9, _PCIE, rtx4080=16, rtx4080_super=16, rtx4090=24),
    **_gpus(8, 6, _PCIE, rtx3060=12, rtx3060_ti=8, rtx3070=8, rtx3080=10, rtx3080_ti=12),
    **_gpus(8, 6, _PCIE, rtx3090=24, rtx3090_ti=24),
    **_gpus(7, 5, _PCIE, rtx2060=6, rtx2070=8, rtx2080=8, rtx2080_ti=11),
    **_gpus(6, 1, _PCIE, gtx1060=6, gtx1070=8, gtx1070_ti=8, gtx1080=8, gtx1080_ti=11),
}
"""Every listed model by canonical name; memory in GiB as sold."""

_VARIANTS: dict[str, tuple[str, ...]] = {
    "a100": ("a100-40gb", "a100-80gb"),
    "v100": ("v100-16gb", "v100-32gb"),
    "h100": ("h100", "h100-nvl"),
}
"""Names sold with different memory, smallest first."""

_BY_COMPACT = {name.replace("-", ""): name for name in GPUS}

_NOISE_WORDS = (
    "nvidia tesla geforce quadro generation gpu graphics pcie sxm sxm2 sxm3 sxm4 sxm5 sxm6 "
    "hgx dgx hbm2 hbm2e hbm3 hbm3e fhhl mega edition blackwell server workstation wk ws se we "
    "mq max q"
)
_NOISE = frozenset(_NOISE_WORDS.split())
"""Words that name a brand, a form or a fabric, not another model (see `interconnect_of`)."""

_ALIASES: dict[str, str] = {
    **{f"a{n}": f"rtxa{n}" for n in (2000, 4000, 4500, 5000, 6000)},
    **{f"rtx{n}s": f"rtx{n}super" for n in (4070, 4080)},
    **{
        f"{n}{suffix}": f"rtx{n}{suffix}" for n in (3080, 3090, 4090, 5090) for suffix in ("", "ti")
    },
    **{f"pro6000{suffix}": "rtxpro6000" for suffix in ("", "se", "we", "mq", "ws", "wk")},
    **{f"rtxpro6000{suffix}": "rtxpro6000" for suffix in ("se", "we", "mq", "ws", "wk")},
    "rtx4000sada": "rtx4000sffada",
    "rtx2000eada": "rtx2000ada",
    "h100pcie": "h100",
    "h100sxm": "h100",
    "h100sxm5": "h100",
}


def _split_memory(words: list[str]) -> tuple[Decimal | None, list[str]]:
    """Takes "80gb", "80 GB", "80Gi" or the M16 of "V100M16" out of the name."""
    text = re.sub(r"\b([av]100)m(\d+)\b", r"\1 \2gb", " ".join(words))
    found = re.search(r"\b(\d+) ?(?:g|gb|gi|gib)\b", text)
    if not found:
        return None, text.split()
    return Decimal(found.group(1)), (text[: found.start()] + text[found.end() :]).split()


def _variant(family: str, memory_gib: Decimal | None) -> str:
    smallest, *larger = _VARIANTS[family]
    fitting = [
        name
        for name in larger
        if memory_gib is not None and has_memory(memory_gib, GPUS[name].memory_gib)
    ]
    return fitting[-1] if fitting else smallest


def _sanitised(words: list[str]) -> str:
    """Brand and fabric go here too: a market tells the fabric, the driver does not."""
    kept = [w for w in words if w not in _UNTOLD and not re.fullmatch(r"sxm\d?", w)]
    return "-".join(kept).strip(".")


_UNTOLD = {"nvidia", "tesla", "geforce", "pcie"}
