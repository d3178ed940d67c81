"""The page about providers tells of each market what would end a bill without us, as declared."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from overspill.kube.mapping import read_account
from overspill.providers import adapters
from overspill.testing.clock import ManualClock
from overspill.testing.markets import account_of, ready

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE))


def declared(market: str) -> tuple[str, str]:
    """The market's type, and what its adapter says."""
    urls = dict.fromkeys(ready(), "http://127.0.0.1:9")
    served = cast("Any", SimpleNamespace(urls=urls, api_key="a-key"))
    secret, provider = account_of(market, served)
    provider["metadata"]["resourceVersion"] = "1"
    account = read_account(provider)
    adapter = adapters()[account.type](account, secret["stringData"], ManualClock())
    return str(account.type), adapter.capabilities.ending.by.value


@pytest.mark.parametrize("market", ready())
async def test_what_ends_a_bill_is_told_as_it_is_declared(market: str) -> None:
    kind, by = declared(market)
    assert ROWS.get(kind) == by


@pytest.mark.parametrize("kind", sorted(adapters()))
def test_every_adapter_has_its_row(kind: str) -> None:
    assert re.search(rf"^\| `{kind}` \| `\w+\.py` \|", PAGE, re.MULTILINE)
