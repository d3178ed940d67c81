"""GPU models as the hosts of the sandbox carry them, and what their driver would print.

Used by the supply, by markets that spell them their own way, and by the `nvidia-smi` shim.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """Model in lower case ("h100"), memory ("80Gi"), interface ("sxm" or "pcie")."""

    model: str
    ram: str
    interface: str = "pcie"

    @property
    def memory_mib(self) -> int:
        """Memory as `nvidia-smi` reports it: a little less than the label says."""
        return _REPORTED_MIB.get((self.model, self.ram), _gib(self.ram) * 1024 * 97 // 100)

    @property
    def product_name(self) -> str:
        """The name the NVIDIA driver prints."""
        ram = f"{_gib(self.ram)}GB"
        exact = _PRODUCTS.get((self.model, self.interface))
        return exact.format(ram=ram) if exact else f"NVIDIA {self.model.upper()}"


def _gib(ram: str) -> int:
    return int(ram.removesuffix("Gi"))


_PRODUCTS = {
    ("h100", "sxm"): "NVIDIA H100 {ram} HBM3",
    ("h100", "pcie"): "NVIDIA H100 PCIe",
    ("h200", "sxm"): "NVIDIA H200",
    ("a100", "sxm"): "NVIDIA A100-SXM4-{ram}",
    ("a100", "pcie"): "NVIDIA A100-PCIE-{ram}",
    ("v100", "sxm"): "Tesla V100-SXM2-{ram}",
    ("v100", "pcie"): "Tesla V100-PCIE-{ram}",
    ("p100", "pcie"): "Tesla P100-PCIE-{ram}",
    ("t4", "pcie"): "Tesla T4",
    ("a10", "pcie"): "NVIDIA A10",
    ("l4", "pcie"): "NVIDIA L4",
    ("l40s", "pcie"): "NVIDIA L40S",
    ("a40", "pcie"): "NVIDIA A40",
    ("rtx3060", "pcie"): "NVIDIA GeForce RTX 3060",
    ("rtx3090", "pcie"): "NVIDIA GeForce RTX 3090",
    ("rtx4090", "pcie"): "NVIDIA GeForce RTX 4090",
    ("rtx5090", "pcie"): "NVIDIA GeForce RTX 5090",
    ("rtxa6000", "pcie"): "NVIDIA RTX A6000",
}

_REPORTED_MIB = {
    ("h100", "80Gi"): 81559,
    ("h200", "141Gi"): 143771,
    ("a100", "80Gi"): 81920,
    ("a100", "40Gi"): 40960,
    ("v100", "32Gi"): 32768,
    ("v100", "16Gi"): 16384,
    ("p100", "16Gi"): 16384,
    ("t4", "16Gi"): 15360,
    ("a10", "24Gi"): 23028,
    ("l4", "24Gi"): 23034,
    ("l40s", "48Gi"): 46068,
    ("a40", "48Gi"): 46068,
    ("rtx3060", "12Gi"): 12288,
    ("rtx3090", "24Gi"): 24576,
    ("rtx4090", "24Gi"): 24564,
    ("rtx5090", "32Gi"): 32607,
    ("rtxa6000", "48Gi"): 49140,
}
