"""Lium's nodes: of GPUs that are all alike the first is read, and they are counted."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from overspill.providers.lium_offers import model_of
from overspill.providers.lium_wire import GpuDetail, Node

H100: dict[str, Any] = {"name": "NVIDIA H100 PCIe", "capacity": 81559}


@pytest.mark.parametrize(
    ("gpu", "count", "first"),
    [
        ({"details": [H100, H100]}, 2, GpuDetail(name=H100["name"], capacity=Decimal(81559))),
        ({"details": []}, 0, None),
        ({"details": None, "count": 4}, 0, None),
        ({}, 0, None),
        (None, 0, None),
    ],
    ids=["two alike", "none", "null, whatever it counts", "not told", "no GPUs at all"],
)
def test_details_are_counted(gpu: Any, count: int, first: GpuDetail | None) -> None:
    node = Node.model_validate({"id": "n", "specs": {"gpu": gpu}})
    assert (node.specs.gpu.count, node.specs.gpu.first) == (count, first)


def test_a_node_without_a_name_is_called_by_its_first_gpu() -> None:
    node = Node.model_validate({"id": "n", "specs": {"gpu": {"details": [H100]}}})
    assert model_of(node)[0] == "h100"


@pytest.mark.parametrize("gpu", ["h100", {"details": "h100"}], ids=["a text", "a text inside"])
def test_what_is_no_list_is_refused(gpu: Any) -> None:
    with pytest.raises(ValidationError):
        Node.model_validate({"id": "n", "specs": {"gpu": gpu}})
