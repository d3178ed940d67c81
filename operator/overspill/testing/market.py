"""A market in memory, of any idempotency class, with a ledger that is the truth of every test.

It lies on purpose: lost answers, late execution, lagging lists. Used by simulations of the
engine; the real markets' shapes are the sandbox's business.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from overspill.core.errors import (
    LeaseNotFound,
    NoCapacity,
    OpenUncertain,
    RateLimited,
    Unavailable,
)
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.core.vocabulary import CapacityType, Phase, TrustTier
from overspill.ports import Capabilities, Clock, IdempotencyClass, OpenRequest, OpenStep


@dataclass
class Held:
    """One thing the market sold."""

    external_id: str
    key: str
    created_at: datetime
    phase: Phase = Phase.RUNNING
    ended_at: datetime | None = None
    exit_code: int | None = None
    visible_from: float = 0.0
    usd_per_hour: Decimal = Decimal(0)

    @property
    def is_live(self) -> bool:
        """Whether it still bills."""
        return self.ended_at is None

    def cost_usd(self, now: datetime) -> Decimal:
        """What was taken for it, by the second."""
        ran_s = Decimal(((self.ended_at or now) - self.created_at).total_seconds())
        return self.usd_per_hour * ran_s / 3600


@dataclass
class Lies:
    """How often what goes wrong; probabilities per call, seconds for delays."""

    lose_answer: float = 0.0
    fail_before: float = 0.0
    fail_read: float = 0.0
    late_s: float = 0.0
    late: float = 0.0
    list_lag_s: float = 0.0
    hang_s: float = 0.0
    """How long the caller of a late create waits for its answer."""
    fail_after: float = 0.0
    """An end is carried out, its answer is a 5xx."""
    empty_list: float = 0.0
    """A list that says 200 and holds nothing."""
    partial_list: float = 0.0
    """How often a list that says 200 leaves one thing out (a page that was lost)."""
    refuse: float = 0.0
    throttle: float = 0.0


@dataclass
class FakeMarket:
    """`ports.Provider`. `sold` is the append-only ledger; `creates` counts requests received."""

    clock: Clock
    name: str = "market"
    klass: IdempotencyClass = IdempotencyClass.B
    lies: Lies = field(default_factory=Lies)
    dice: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  (seeded)
    price: Decimal = Decimal("2.00")
    gpus: int = 64
    sold: list[Held] = field(default_factory=list)
    creates: list[str] = field(default_factory=list)
    closed_while_active: list[str] = field(default_factory=list)
    full: bool = False
    lists_whole: bool = False
    """Whether the list shows all that `observe` tells."""
    tells_bill: bool = False
    """Whether an observation tells the bill so far. What is gone tells none."""
    run_s: float | None = None
    """How long a workload runs until it succeeds by itself; None: until a test says so."""
    on_create: Callable[[str], None] = lambda _key: None
    """Told of every create that is carried out, before it is."""
    on_close: Callable[["Held"], None] = lambda _held: None
    """Told of every end of something that bills, before it is carried out."""

    def __post_init__(self) -> None:
        self.capabilities = Capabilities(
            idempotency=self.klass,
            lists_whole=self.lists_whole,
            list_lag=timedelta(seconds=self.lies.list_lag_s),
            quarantine=timedelta(seconds=60),
            not_found_grace=timedelta(seconds=30 + self.lies.list_lag_s),
        )

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """One divisible offer of H100s."""
        return [
            Offer(
                provider=self.name,
                offer_id="h100",
                place=f"{self.name}/somewhere",
                capacity_type=CapacityType.ON_DEMAND,
                trust_tier=TrustTier.CLOUD,
                gpu_model="h100",
                gpu_count=self.gpus,
                price_usd_per_hour=self.price * self.gpus,
                gpu_memory_gib=Decimal(80),
                is_divisible=True,
                as_of=self.clock.now(),
            )
        ]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Sells one lease per request received, unless class A recognises the key."""
        if request.handle is not None and request.handle.external_id:
            return self._known(request, request.handle)
        if self._happens(self.lies.fail_before):
            raise OpenUncertain("the connection broke", provider=self.name)
        if self.full or self._happens(self.lies.refuse):
            raise NoCapacity("nothing left", provider=self.name)
        if self._happens(self.lies.throttle):
            wait = timedelta(seconds=3)
            raise RateLimited("not now", provider=self.name, retry_after=wait)
        if self._happens(self.lies.late):
            asyncio.get_running_loop().call_later(self.lies.late_s, self._sell, request)
            await self.clock.sleep(self.lies.hang_s)
            raise OpenUncertain("no answer in time", provider=self.name)
        held = self._sell(request)
        await self.clock.sleep(0.05)
        if self._happens(self.lies.lose_answer):
            raise OpenUncertain("the answer was lost", provider=self.name)
        return self._complete(request, held)

    async def observe(self, handle: Handle) -> Observation:
        """The phase of what was sold."""
        self._maybe_unreadable()
        held = next((h for h in self.sold if h.external_id == handle.external_id), None)
        if held is None or not held.is_live:
            raise LeaseNotFound("gone", provider=self.name)
        return self._observation(held)

    async def close(self, handle: Handle) -> None:
        """Ends what has that id."""
        self._maybe_unreadable()
        for held in self.sold:
            if held.external_id == handle.external_id and held.is_live:
                self.on_close(held)
                held.ended_at = self.clock.now()
                self.closed_while_active.append(held.key)
        if self._happens(self.lies.fail_after):
            raise Unavailable("ended, but answered 502", provider=self.name)

    async def leases(self) -> Sequence[HeldLease]:
        """What is live and already listed."""
        self._maybe_unreadable()
        if self._happens(self.lies.empty_list):
            return []
        now = self.clock.monotonic()
        echoes = self.klass is not IdempotencyClass.D
        return [
            HeldLease(
                Handle(h.key if echoes else "", h.external_id),
                is_live=True,
                created_at=h.created_at,
                price_usd_per_hour=h.usd_per_hour or None,
                observation=self._observation(h) if self.lists_whole else None,
            )
            for h in self.sold
            if h.is_live and h.visible_from <= now and not self._happens(self.lies.partial_list)
        ]

    def live(self) -> list[Held]:
        """What bills now, whatever the lists say."""
        return [h for h in self.sold if h.is_live]

    def finish(self, key: str, exit_code: int = 0) -> None:
        """The workload of a lease ends."""
        for held in self.sold:
            if held.key == key and held.is_live:
                held.phase = Phase.SUCCEEDED if exit_code == 0 else Phase.FAILED
                held.exit_code = exit_code

    def vanish(self, key: str) -> None:
        """The host of a lease goes away and stops billing."""
        for held in self.sold:
            if held.key == key and held.is_live:
                held.ended_at = self.clock.now()

    def _observation(self, held: Held) -> Observation:
        self._age(held)
        billed = held.cost_usd(self.clock.now()) if self.tells_bill else None
        return Observation(held.phase, exit_code=held.exit_code, billed_usd=billed)

    def _age(self, held: Held) -> None:
        """A workload that ran long enough has succeeded."""
        ran = (self.clock.now() - held.created_at).total_seconds()
        if self.run_s is not None and ran >= self.run_s and held.exit_code is None:
            held.phase, held.exit_code = Phase.SUCCEEDED, 0

    def _known(self, request: OpenRequest, handle: Handle) -> OpenStep:
        """A step with a handle only reads: what is there is complete, what is gone is refused."""
        for held in self.live():
            if held.external_id == handle.external_id:
                return self._complete(request, held)
        raise NoCapacity("it has ended meanwhile", provider=self.name)

    def _complete(self, request: OpenRequest, held: Held) -> OpenStep:
        handle = Handle(request.key, held.external_id)
        return OpenStep(handle, is_complete=True, price_usd_per_hour=self._price(request))

    def _price(self, request: OpenRequest) -> Decimal:
        return self.price * request.gpu_count * request.num_nodes

    def _sell(self, request: OpenRequest) -> Held:
        self.on_create(request.key)
        self.creates.append(request.key)
        known = [h for h in self.sold if h.key == request.key and h.is_live]
        if known and self.klass is IdempotencyClass.A:
            return known[0]
        visible = self.clock.monotonic() + self.lies.list_lag_s
        held = Held(
            f"x{len(self.sold)}",
            request.key,
            self.clock.now(),
            visible_from=visible,
            usd_per_hour=self._price(request),
        )
        self.sold.append(held)
        return held

    def _maybe_unreadable(self) -> None:
        if self._happens(self.lies.fail_read):
            raise Unavailable("no answer", provider=self.name)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self.dice.random() < probability
