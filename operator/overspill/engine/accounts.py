"""The provider accounts: one live adapter per GPUProvider, its circuit and its cached offers.

`Accounts` follows the view; adapters are rebuilt when the spec or the credentials change.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from overspill.core.errors import ClusterUnavailable, OverspillError, ProviderError, Unavailable
from overspill.core.offer import Offer
from overspill.core.snapshot import ProviderAccount, ProviderHealth
from overspill.core.vocabulary import ProviderType
from overspill.engine.circuit import Circuit
from overspill.engine.gate import EffectGate, GatedProvider
from overspill.ports import Clock, Exposure, Provider, Treasury

log = logging.getLogger(__name__)

Factory = Callable[[ProviderAccount], Awaitable[tuple[Provider, str]]]
"""Builds the adapter of an account; the second value changes when its credentials do."""

OFFER_DEADLINE_S = 10.0
EMPTY_S = 30.0
"""A market that lists nothing at all is asked again after this time: markets rarely sell out
whole, but their lists fail."""
RETRY_S = 5.0
"""A market that could not be asked is asked again after this time, or when its circuit allows."""


@dataclass(slots=True)
class Account:
    """One account in use."""

    spec: ProviderAccount
    provider: GatedProvider | None
    circuit: Circuit
    fingerprint: str = ""
    offers: Sequence[Offer] = ()
    asked_at: float = float("-inf")
    offers_error: str = ""
    refreshing: bool = field(default=False)
    balance_usd: Decimal | None = None
    """Where the market tells it; as of the last refresh of offers."""
    at_stake_usd: Decimal | None = None
    """What the account can still lose; the balance, and escrows where the market has them."""
    offers_at: float = float("-inf")
    """When the offers were last answered, on the monotonic clock."""

    @property
    def is_home(self) -> bool:
        """Home is asked at every plan; markets are asked once per offer lifetime."""
        return self.spec.type is ProviderType.IN_CLUSTER


class Accounts:
    """All accounts by GPUProvider name."""

    def __init__(self, factory: Factory, gate: EffectGate, clock: Clock) -> None:
        self._factory = factory
        self._gate = gate
        self._clock = clock
        self.by_name: dict[str, Account] = {}

    async def follow(self, specs: Sequence[ProviderAccount]) -> None:
        """Makes the accounts match the GPUProviders; a broken one never stops the others."""
        for name in set(self.by_name) - {s.name for s in specs}:
            # A deleted GPUProvider keeps its adapter while leases may still have to be closed.
            self.by_name[name].spec = replace(self.by_name[name].spec, suspended=True)
        for spec in specs:
            await self._follow_one(spec)

    async def _follow_one(self, spec: ProviderAccount) -> None:
        account = self.by_name.setdefault(spec.name, Account(spec, None, Circuit(spec.name)))
        try:
            provider, fingerprint = await self._factory(spec)
        except ClusterUnavailable:
            return  # nothing is known of its Secret: what was built goes on
        except OverspillError as error:
            account.circuit.obstacle, account.spec = str(error)[:256], spec
            return
        except Exception as error:
            # A bug in one adapter is that account's alone.
            log.exception("%s: its adapter could not be built", spec.name)
            told = f"its adapter could not be built ({type(error).__name__}); see the log"
            account.circuit.obstacle, account.spec = told, spec
            return
        account.circuit.obstacle = ""
        if account.provider is None or account.fingerprint != fingerprint:
            account.provider = GatedProvider(provider, self._gate)
            account.fingerprint = fingerprint
            account.circuit = Circuit(spec.name)
            account.asked_at = float("-inf")
        account.spec = spec

    def provider(self, name: str) -> GatedProvider | None:
        """The adapter of an account, None while it cannot be built."""
        found = self.by_name.get(name)
        return found.provider if found else None

    def health(self) -> dict[str, ProviderHealth]:
        """What placement should know of each account."""
        return {name: a.circuit.health() for name, a in self.by_name.items()}

    def note(self, name: str, error: ProviderError | None, *, has_paid: bool = False) -> None:
        """Feeds the circuit with the outcome of a call made elsewhere."""
        account = self.by_name.get(name)
        if account is None:
            return
        if error is None:
            account.circuit.succeeded(self._clock.monotonic(), has_paid=has_paid)
        else:
            account.circuit.failed(error, self._clock.monotonic())

    async def refresh_offers(self) -> bool:
        """Asks every market whose offers are too old, all at once; True when something changed."""
        due = [a for a in self.by_name.values() if self._is_due(a)]
        changed = await asyncio.gather(*(self._refresh(a) for a in due))
        return any(changed)

    async def home_offers(self) -> list[Offer]:
        """Fresh offers of home; they come from memory."""
        found: list[Offer] = []
        for account in self.by_name.values():
            if account.is_home and account.provider and not account.spec.suspended:
                account.offers = await account.provider.offers(None)
                found.extend(account.offers)
        return found

    def market_offers(self) -> list[Offer]:
        """The cached offers of all markets; what was not renewed in time is marked, not had."""
        markets = [a for a in self.by_name.values() if not a.is_home]
        return [o for a in markets for o in (_expired(a) if self._is_old(a) else a.offers)]

    def _is_old(self, account: Account) -> bool:
        """A quote is good for two lifetimes and a little: one late answer does no harm."""
        if account.provider is None:
            return False  # marked as unusable anyway
        ttl = account.provider.capabilities.offer_ttl.total_seconds()
        return self._clock.monotonic() - account.offers_at > 2 * ttl + EMPTY_S

    def _is_due(self, account: Account) -> bool:
        if account.is_home or account.provider is None or account.refreshing:
            return False
        now = self._clock.monotonic()
        ttl = account.provider.capabilities.offer_ttl.total_seconds()
        if not account.offers:
            ttl = min(ttl, EMPTY_S)
        if account.circuit.reason or account.offers_error:
            ttl = RETRY_S  # its answer is also what closes the circuit again
        return account.circuit.allows(now) and now - account.asked_at >= ttl

    async def _refresh(self, account: Account) -> bool:
        asked = account.provider
        assert asked is not None  # noqa: S101  (is_due checked; narrows the type)
        account.refreshing = True
        before = (account.offers, account.circuit.health())
        try:
            async with asyncio.timeout(OFFER_DEADLINE_S):
                offers = tuple(await asked.offers(None))
            if account.provider is not asked:
                return False
            account.offers = offers
            account.offers_error, account.offers_at = "", self._clock.monotonic()
            await self._refresh_balance(account)
            self.note(account.spec.name, None)
        except ProviderError as error:
            self._failed(account, asked, error)
        except TimeoutError:
            silence = f"no offers within {OFFER_DEADLINE_S:.0f} s"
            self._failed(account, asked, Unavailable(silence, provider=account.spec.name))
        finally:
            account.refreshing = False
            # What an adapter said that was replaced meanwhile is no answer of the new one: it is
            # still to be asked, and not in a quarter of an hour.
            if account.provider is asked:
                account.asked_at = self._clock.monotonic()
        return before != (account.offers, account.circuit.health())

    async def _refresh_balance(self, account: Account) -> None:
        treasury = account.provider.inner if account.provider else None
        if not isinstance(treasury, Treasury):
            return
        async with asyncio.timeout(OFFER_DEADLINE_S):
            account.balance_usd = await treasury.balance_usd()
            is_exposed = isinstance(treasury, Exposure)
            stake = await treasury.at_stake_usd() if is_exposed else account.balance_usd
            account.at_stake_usd = stake

    def _failed(self, account: Account, asked: GatedProvider, error: ProviderError) -> None:
        if account.provider is not asked:
            return
        account.offers_error = str(error)
        account.circuit.failed(error, self._clock.monotonic())


def _expired(account: Account) -> list[Offer]:
    why = "the quote has expired: the market did not renew it in time"
    return [replace(o, unavailable_reason=o.unavailable_reason or why) for o in account.offers]
