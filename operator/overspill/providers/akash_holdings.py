"""Everything an Akash wallet holds, complete or an error, with the key of each.

The own list tells leases and escrow but no names; the public list of the chain tells the
placement names, which are our keys. Used by `akash.py` for `leases` and for closing by key.
"""

from overspill.core.errors import LeaseNotFound, Unavailable
from overspill.core.lease import PREFIX, Handle
from overspill.core.observation import HeldLease
from overspill.providers import akash_wire as wire
from overspill.providers._http import Call
from overspill.providers.akash_api import Api
from overspill.providers.akash_observe import created_at, ended, live_lease
from overspill.providers.akash_prices import Rates

PAGE = 500
MOST_PAGES = 200
"""A hundred thousand deployments; more means that the market pages in a circle."""


class Holdings:
    """Reads the lists. Remembers the wallet's address, which only a deployment tells."""

    def __init__(self, api: Api, chain_api_version: str) -> None:
        self._api = api
        self._chain = f"/akash/deployment/{chain_api_version}/deployments"
        self._owners: set[str] = set()

    async def all(self) -> list[tuple[wire.Held, str]]:
        """Every open deployment with its key. Raises Unavailable when any part is missing."""
        own = {held.deployment.id.dseq: held for held in await self._own()}
        self._owners |= {held.deployment.id.owner for held in own.values()}
        names: dict[str, str] = {}
        for owner in sorted(self._owners):
            names.update(await self._names(owner))
        for dseq in names.keys() - own.keys():
            # one list lags behind the other: the deployment itself decides
            found = await self._found(dseq)
            own.update({dseq: found} if found else {})
        return [
            (held, names[dseq] if dseq in names else await self._placement_name(held))
            for dseq, held in sorted(own.items())
            if held.deployment.state == "active"
        ]

    def held_lease(self, held: wire.Held, key: str, rates: Rates) -> HeldLease:
        """One of ours or another's, as the engine sees it."""
        lease = live_lease(held)
        dseq = held.deployment.id.dseq
        return HeldLease(
            Handle(key, dseq),
            is_live=True,
            created_at=created_at(dseq),
            price_usd_per_hour=rates.usd_per_hour(lease.price) if lease else None,
            observation=ended(held, rates),
        )

    async def _own(self) -> list[wire.Held]:
        found: dict[str, wire.Held] = {}
        skip = 0
        for _ in range(MOST_PAGES):
            call = Call(
                "GET",
                "/v1/deployments",
                "list the deployments",
                params={"skip": skip, "limit": PAGE},
            )
            listed = (await self._api.http.read(call, wire.HeldListAnswer)).data
            found.update({held.deployment.id.dseq: held for held in listed.deployments})
            # a market may give smaller pages than asked for
            skip += len(listed.deployments)
            if not listed.pagination.has_more:
                return self._complete(found, listed.pagination.total)
        raise self._incomplete("the list of deployments does not end")

    def _complete(self, found: dict[str, wire.Held], total: int | None) -> list[wire.Held]:
        """Pages by offset lose entries when something closes between two of them."""
        if total is not None and len(found) < total:
            raise self._incomplete(f"only {len(found)} of {total} deployments were listed")
        return list(found.values())

    async def _names(self, owner: str) -> dict[str, str]:
        names: dict[str, str] = {}
        params: dict[str, str | int] = {
            "filters.owner": owner,
            "filters.state": "active",
            "pagination.limit": PAGE,
        }
        for _ in range(MOST_PAGES):
            call = Call("GET", f"{self._chain}/list", "list the placement names", params=params)
            listed = await self._api.http.read(call, wire.NamedList)
            names.update({d.deployment.id.dseq: _key(d) for d in listed.deployments})
            if not listed.pagination.next_key:
                return names
            params = {**params, "pagination.key": listed.pagination.next_key}
        raise self._incomplete("the list of placement names does not end")

    async def _found(self, dseq: str) -> wire.Held | None:
        try:
            return await self._api.held(dseq)
        except LeaseNotFound:
            return None

    async def _placement_name(self, held: wire.Held) -> str:
        """The key of one that the public list lacked. Not to know it is not to be complete."""
        ident = held.deployment.id
        call = Call(
            "GET",
            f"{self._chain}/info",
            "read a placement name",
            params={"id.owner": ident.owner, "id.dseq": ident.dseq},
        )
        try:
            return _key(await self._api.http.read(call, wire.NamedDeployment))
        except LeaseNotFound:
            raise self._incomplete(f"nobody tells the name of deployment {ident.dseq}") from None

    def _incomplete(self, why: str) -> Unavailable:
        name = self._api.name
        return Unavailable(f"{name}: could not list the leases: {why}", provider=name)


def _key(named: wire.NamedDeployment) -> str:
    """Our key among the placement names; else the first name, which is nobody's key."""
    names = [group.group_spec.name for group in named.groups]
    return next((n for n in names if n.startswith(f"{PREFIX}-")), names[0] if names else "")
