"""The page about providers holds every setting, and every deviation from an official file."""

from pathlib import Path

import pytest
from pydantic.alias_generators import to_camel

from overspill.providers.runpod_config import Config as RunPodConfig
from overspill.providers.vast_config import Config as VastConfig

from . import runpod_rig, vast_rig

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "config"), [("Vast.ai", VastConfig), ("RunPod", RunPodConfig)], ids=["vast", "runpod"]
)
def test_every_setting_is_explained(
    title: str, config: type[VastConfig] | type[RunPodConfig]
) -> None:
    names = set(config.model_fields) - {"api_key", "endpoint"}
    missing = [name for name in names if f"`{to_camel(name)}`" not in section(title)]
    assert missing == []


@pytest.mark.parametrize(
    ("title", "deviations"),
    [("Vast.ai", vast_rig.DEVIATIONS), ("RunPod", runpod_rig.DEVIATIONS)],
    ids=["vast", "runpod"],
)
def test_every_deviation_is_listed(title: str, deviations: dict[str, str]) -> None:
    assert [where for where in deviations if f"| {where} |" not in section(title)] == []
