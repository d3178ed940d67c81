"""What the adapters of markets begin with: an account, its settings, its API, and their times.

How a lease is opened, seen and ended stands in each market's own file.
"""

from datetime import timedelta
from typing import ClassVar, Generic, Protocol, TypeVar

from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import BillEnd
from overspill.core.worst_case import Ending
from overspill.ports import Capabilities, Clock, IdempotencyClass
from overspill.providers._fresh import Unseen
from overspill.providers._http import MarketHttp
from overspill.providers._settings import MarketSettings

PERMIT_MARGIN = timedelta(seconds=10)
LEAST_GRACE = timedelta(seconds=10)


class Connected(Protocol):
    """A market's API, typed by its own file."""

    @property
    def http(self) -> MarketHttp:
        """Its connections."""


SettingsT = TypeVar("SettingsT", bound=MarketSettings)
ApiT = TypeVar("ApiT", bound=Connected)


class Market(Generic[SettingsT, ApiT]):
    """One account at a market: the beginning of a `ports.Provider`, less its five calls."""

    noun: ClassVar[str]
    """The market's word for what a lease is there."""

    def __init__(
        self,
        account: ProviderAccount,
        config: SettingsT,
        clock: Clock,
        api: ApiT,
        capabilities: Capabilities,
    ) -> None:
        self.name = account.name
        self.capabilities = capabilities
        self._account, self._config, self._clock, self._api = account, config, clock, api
        self._unseen = Unseen(account.name, self.noun, clock, capabilities.not_found_grace)

    async def aclose(self) -> None:
        """Ends the connections."""
        await self._api.http.aclose()


def capabilities_of(
    config: MarketSettings,
    idempotency: IdempotencyClass,
    ending: Ending,
    *,
    can_set_command: bool = True,
    lists_whole: bool = False,
    least_grace: timedelta = LEAST_GRACE,
) -> Capabilities:
    """Those of a market that tells no end of a command, so that batch jobs need reports there."""
    timeout = timedelta(seconds=config.request_timeout_seconds)
    lag = timedelta(seconds=config.list_lag_seconds)
    return Capabilities(
        idempotency=idempotency,
        lists_whole=lists_whole,
        list_lag=lag,
        quarantine=timedelta(seconds=config.quarantine_seconds),
        request_timeout=timeout,
        permit_validity=timeout + PERMIT_MARGIN,
        can_set_command=can_set_command,
        restarts_exited=True,
        has_dead_mans_switch=ending.by in (BillEnd.DEADLINE, BillEnd.PREPAID),
        ending=ending,
        offer_ttl=timedelta(seconds=config.offers_every_seconds),
        not_found_grace=max(2 * lag, least_grace),
    )
