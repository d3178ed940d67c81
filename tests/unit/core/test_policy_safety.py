"""The net: what may be taken away is used only while the fallback can still make it."""

import pytest

from overspill.core.policy_safety import Footing, is_safe

START = 0.2
STEP = 1.0


def _footing(slack: float, at_risk: float = 0.0) -> Footing:
    return Footing(slack, STEP, START, at_risk)


@pytest.mark.parametrize(
    ("slack", "cold", "expected"),
    [
        pytest.param(1.2, None, True, id="a step of idling still leaves the fallback's start"),
        pytest.param(1.1, None, False, id="idling would eat the fallback's start"),
        pytest.param(0.2, 0.0, True, id="work keeps the slack, so what runs may run on"),
        pytest.param(0.1, 0.0, False, id="what runs may not: its loss would be a miss"),
        pytest.param(0.4, 0.2, True, id="a start is paid out of the slack"),
        pytest.param(0.3, 0.2, False, id="a start that would leave too little"),
        pytest.param(
            1.2, 5.0, True, id="of a long start only what lies before the next step counts"
        ),
    ],
)
def test_is_safe(slack: float, cold: float | None, expected: bool) -> None:
    assert is_safe(_footing(slack), cold) is expected


def test_work_at_risk_needs_slack_of_its_own() -> None:
    assert is_safe(_footing(0.7, at_risk=0.5), 0.0)
    assert not is_safe(_footing(0.6, at_risk=0.5), 0.0)


def test_idling_puts_no_work_at_risk() -> None:
    assert is_safe(_footing(1.2, at_risk=0.5), None)
