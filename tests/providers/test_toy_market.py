"""Another market is one adapter file and one test file, and this is the test file.

`toy/toy.py` is put where adapters lie, and nothing else anywhere knows of it: the account factory
finds it, the CRD takes its word, and the contract of all markets runs on it.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from overspill import providers
from overspill.api.crd import openapi
from overspill.api.kinds import PROVIDER
from overspill.core.errors import AuthRejected, OfferRejected
from overspill.core.gpus import canonical_model
from overspill.core.snapshot import ProviderAccount
from overspill.credentials import AccountFactory
from overspill.kube.mapping import read_account
from overspill.ports import OpenRequest
from overspill.providers._settings import MarketSettings, settings_of
from overspill.testing.clock import ManualClock
from overspill.testing.contract import ProviderContract, drive
from overspill.testing.fakeapi import FakeApi
from overspill.testing.home import FakeHome
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import FaultyTransport

from .akash_rig import TOKEN, request
from .toy.toy import Toy

FOLDER = Path(__file__).parent / "toy"
KEY = "a-key-of-the-toy"
LISTING = Listing(page=2)
ACCOUNT = ProviderAccount("toy", "Toy", config={"requestsPerSecond": "100"})


@dataclass
class Market:
    """The market itself: boxes by id, as JSON."""

    boxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=lambda: ["H100"])
    made: int = 0
    price: str = "2"
    page: int = 2
    lag_s: float = 0.0
    now: Callable[[], float] = lambda: 0.0
    _listed_at: dict[str, float] = field(default_factory=dict)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One exchange."""
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return httpx.Response(401)
        what, _, box = request.url.path.strip("/").partition("/")
        if what == "kinds":
            return self._offered(int(request.url.params.get("after") or 0))
        if request.method == "POST":
            return self._sold(json.loads(request.content))
        if not box:
            return self._listed(request.url.params.get("after", ""))
        if request.method == "DELETE":
            found = self.boxes.pop(box, None)
        else:
            found = next((shown for shown in self._shown() if shown["id"] == box), None)
        return httpx.Response(200, json=found) if found else httpx.Response(404)

    def _offered(self, after: int) -> httpx.Response:
        end = after + self.page
        kinds = [
            {"id": f"one-{gpu.lower()}", "gpu": gpu, "gpus": 1, "usd_per_hour": self.price}
            for gpu in self.kinds[after:end]
        ]
        more = str(end) if end < len(self.kinds) else None
        return httpx.Response(200, json={"kinds": kinds, "next": more})

    def _listed(self, after: str) -> httpx.Response:
        rest = [box for box in self._shown() if not after or int(box["id"][1:]) > int(after[1:])]
        page = rest[: self.page]
        last = page[-1]["id"] if len(rest) > len(page) else None
        return httpx.Response(200, json={"boxes": page, "next": last})

    def _shown(self) -> list[dict[str, Any]]:
        return [box for id_, box in self.boxes.items() if self._listed_at[id_] <= self.now()]

    def _sold(self, order: dict[str, Any]) -> httpx.Response:
        self.made += 1
        box = {"id": f"b{self.made}", "tag": order["tag"], "state": "up", "gpus": 1}
        self.boxes[box["id"]] = box = {**box, "usd_per_hour": self.price}
        self._listed_at[box["id"]] = self.now() + self.lag_s
        return httpx.Response(201, json=box)


@dataclass
class ToyRig:
    """The adapter on the market, on a clock that moves by hand."""

    adapter: type[Toy] = Toy
    market: Market = field(default_factory=Market)
    clock: ManualClock = field(default_factory=ManualClock)
    secrets: tuple[str, ...] = (KEY, TOKEN)
    listing: Listing = LISTING
    shelf: Listing = LISTING
    account: ProviderAccount = ACCOUNT

    def __post_init__(self) -> None:
        self.wire = FaultyTransport(httpx.MockTransport(self.market.answer))
        self.provider: Toy = self.restarted()

    def restarted(self) -> Toy:
        config = settings_of(MarketSettings, self.account, {"apiKey": KEY}, "https://toy.invalid")
        return self.adapter(self.account, config, self.clock, self.wire)

    def request(self, attempt: int = 1) -> OpenRequest:
        asked = request(attempt)
        return replace(asked, offer=replace(asked.offer, provider="toy", offer_id="one-h100"))

    async def pass_time(self, after: timedelta) -> None:
        self.clock.advance(after.total_seconds())

    async def open_things(self) -> int:
        return len(self.market.boxes)

    async def fill(self, count: int) -> list[str]:
        for attempt in range(len(self.market.boxes) + 1, count + 1):
            await drive(self, self.request(attempt))
        return [box["tag"] for box in self.market.boxes.values()]

    async def stock(self, count: int) -> list[str]:
        self.market.kinds += [f"KIND{n}" for n in range(len(self.market.kinds), count)]
        return [canonical_model(kind) for kind in self.market.kinds]

    async def lag(self, after: timedelta) -> None:
        config = {**self.account.config, "listLagSeconds": str(after.total_seconds())}
        self.account = replace(self.account, config=config)
        self.market.lag_s, self.market.now = after.total_seconds(), self.clock.monotonic
        self.provider = self.restarted()


class TestToy(ProviderContract):
    @pytest.fixture
    async def rig(self) -> ToyRig:
        return ToyRig()


async def test_a_dearer_box_is_deleted_and_refused() -> None:
    rig = ToyRig(market=Market(price="99"))
    with pytest.raises(OfferRejected):
        await rig.provider.open(rig.request())
    assert await rig.open_things() == 0


async def test_its_offers_are_in_our_words() -> None:
    (offer,) = await ToyRig().provider.offers(None)
    assert (offer.gpu_model, offer.price_usd_per_hour) == ("h100", Decimal(2))


@pytest.fixture
def beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one file lies where adapters lie."""
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(FOLDER)])


GIVEN = {
    "apiVersion": "overspill.dev/v1alpha1",
    "kind": "GPUProvider",
    "metadata": {"name": "toy", "resourceVersion": "1", "uid": "u"},
    "spec": {
        "type": "Toy",
        "endpoint": "https://toy.invalid",
        "credentialsSecretRef": {"namespace": "overspill-system", "name": "toy"},
    },
}


async def factory() -> AccountFactory:
    api = FakeApi()
    secret = {"metadata": {"name": "toy"}, "data": {"apiKey": "a2V5"}}
    await api.put("/api/v1/namespaces/overspill-system/secrets/toy", secret)
    return AccountFactory(api, FakeHome(), ManualClock(), "c1u5ter8")


@pytest.mark.usefixtures("beside_the_others")
async def test_a_gpuprovider_of_that_word_gets_that_adapter() -> None:
    jsonschema.validate(GIVEN, openapi(PROVIDER))
    provider, _ = await (await factory())(read_account(GIVEN))
    assert type(provider).__name__ == "Toy"
    assert provider.name == "toy"


async def test_a_word_that_nobody_speaks_is_told_with_the_words_that_are_known() -> None:
    with pytest.raises(AuthRejected, match=r"cannot speak to Toy; it knows Akash, .*Vast"):
        await (await factory())(read_account(GIVEN))


async def test_another_package_brings_a_market_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = tmp_path / "toy_market-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-market\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text("[overspill.providers]\ntoy = toy_market\n")
    (tmp_path / "toy_market.py").write_text((FOLDER / "toy.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    provider, _ = await (await factory())(read_account(GIVEN))
    assert type(provider).__module__ == "toy_market"


def test_nothing_else_knows_of_it() -> None:
    root = Path(__file__).parents[2]
    told = [
        path
        for folder in ("operator", "crds", "helm", "manifests", "tests")
        for path in (root / folder).rglob("*")
        if path.suffix in {".py", ".yaml"} and re.search(r"\bToy\b", path.read_text("utf-8"))
    ]
    ours = {FOLDER / "toy.py", Path(__file__), Path(__file__).with_name("test_contract_kit.py")}
    assert set(told) <= ours


MARKETS = sorted(Path(providers.__path__[0]).glob("[a-z]*.py"))


@pytest.mark.parametrize("path", MARKETS, ids=lambda path: path.stem)
def test_markets_do_not_know_each_other(path: Path) -> None:
    """A file of a market bears its name; it imports its own and what all share."""
    market = path.stem.split("_")[0] if not path.stem.startswith("in_") else "in_cluster"
    used = re.findall(r"overspill\.providers\.(\w+)", path.read_text("utf-8"))
    assert [name for name in used if not name.startswith((market, "_"))] == []
