"""Twelve disasters on a control plane of their own: no leak, no double, nothing wanted ended.

The oracle is the market's ledger. The jobs that nobody strikes keep their first lease through all
of them but the last, which takes every record away.
"""

import logging
from collections.abc import Iterator

import pytest

from .disasters import DISASTERS, SINGLE, Disaster
from .ruins import Rig, mend, rig, verdict

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def ruins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("disasters")) as made:
        for disaster in SINGLE:
            disaster.strike(made)
        yield made


@pytest.mark.parametrize("disaster", DISASTERS, ids=lambda one: one.name)
def test_nothing_is_leaked_doubled_or_wrongly_ended(ruins: Rig, disaster: Disaster) -> None:
    if disaster not in SINGLE:
        disaster.strike(ruins)
    try:
        log.info("%s: %s", disaster.name, disaster.seen(ruins))
        verdict(ruins)
    finally:
        mend(ruins)
