"""L0: the whole protocol is clean in every explored state, and every ablation fails."""

import pytest

from .model import ABLATIONS, FULL, LARGE, Variant, check


@pytest.mark.parametrize("variant", FULL, ids=lambda v: v.name)
def test_the_protocol_is_clean(variant: Variant) -> None:
    states, wrong = check(variant)
    assert wrong == ""
    assert states > 1_000, "a model this small has not been explored"


@pytest.mark.slow
@pytest.mark.parametrize("variant", LARGE, ids=lambda v: v.name)
def test_the_protocol_is_clean_with_more_faults(variant: Variant) -> None:
    assert check(variant)[1] == ""


@pytest.mark.parametrize("variant", ABLATIONS, ids=lambda v: v.name)
def test_every_ablation_fails(variant: Variant) -> None:
    states, wrong = check(variant)
    assert wrong not in ("", "too many states")
    assert not wrong.startswith("stuck"), f"a weaker protocol must do harm, not wait: {states}"
