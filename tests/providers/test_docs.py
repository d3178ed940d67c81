"""The page about providers holds every setting, and every deviation from an official file."""

from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from overspill.providers.akash_config import Config as AkashConfig
from overspill.providers.dispersed_config import Config as DispersedConfig
from overspill.providers.lium_config import Config as LiumConfig
from overspill.providers.runpod_config import Config as RunPodConfig
from overspill.providers.salad_config import Config as SaladConfig
from overspill.providers.shadeform_config import Config as ShadeformConfig
from overspill.providers.vast_config import Config as VastConfig

from . import runpod_rig, salad_rig, shadeform_rig, vast_rig

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")

MARKETS: dict[str, tuple[type[BaseModel], dict[str, str]]] = {
    "Akash": (AkashConfig, {}),  # its deviations stand in a table of the tests
    "Vast.ai": (VastConfig, vast_rig.DEVIATIONS),
    "RunPod": (RunPodConfig, runpod_rig.DEVIATIONS),
    "SaladCloud": (SaladConfig, salad_rig.DEVIATIONS),
    "Lium": (LiumConfig, {}),  # there is no official file
    "Shadeform": (ShadeformConfig, shadeform_rig.DEVIATIONS),
    "Dispersed (Experimental)": (DispersedConfig, {}),  # there is no official file
}
"""Section of the page → the settings and the deviations that it must tell."""


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("title", MARKETS)
def test_every_setting_is_explained(title: str) -> None:
    names = set(MARKETS[title][0].model_fields) - {"api_key", "endpoint"}
    missing = [name for name in names if f"`{to_camel(name)}`" not in section(title)]
    assert missing == []


@pytest.mark.parametrize("title", MARKETS)
def test_every_deviation_is_listed(title: str) -> None:
    deviations = MARKETS[title][1]
    assert [where for where in deviations if f"| {where} |" not in section(title)] == []
