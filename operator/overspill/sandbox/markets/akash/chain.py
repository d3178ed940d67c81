"""The simulated chain and the console's managed wallet over it.

Decides what every call and every passing block does to deployments, bids, leases and escrow, and
tells the ledger before anyone is answered. Called by the routes, the control surface and the
timeline; hands running leases to the executor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Unpack

from overspill.sandbox.gpus import Gpu
from overspill.sandbox.ledger import Columns, Event
from overspill.sandbox.markets.akash import errors
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.markets.akash.bidding import Bidding
from overspill.sandbox.markets.akash.errors import ApiError
from overspill.sandbox.markets.akash.escrow import drain, wanted_top_up
from overspill.sandbox.markets.akash.manifest import manifest_hash, manifest_json
from overspill.sandbox.markets.akash.sdl import parse_sdl
from overspill.sandbox.markets.akash.services import workload
from overspill.sandbox.markets.akash.state import (
    BLOCK_S,
    GENESIS_HEIGHT,
    UACT_PER_USD,
    Bid,
    Deployment,
    Escrow,
    Lease,
    Order,
    usd,
    usd_per_hour,
)
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World

MARKET = "akash"
OWNER = address("overspill-sandbox-wallet")


@dataclass(frozen=True, slots=True)
class AkashOptions:
    """How this console account behaves."""

    wallet_usd: Decimal = Decimal(10_000)
    deposit_usd: Decimal = Decimal(5)
    managed_deposits: bool = True
    trial: bool = False
    bid_lifetime_s: float = 300.0
    leaseless_s: float = 600.0
    manifest_timeout_s: float = 300.0
    restart_backoff_s: float = 10.0


class Chain:
    """Deployments by dseq, and the rules by which they change."""

    def __init__(self, world: World, options: AkashOptions) -> None:
        self.world = world
        self.options = options
        self.wallet = options.wallet_usd * UACT_PER_USD
        self.deployments: dict[str, Deployment] = {}
        self._genesis = world.now()
        self._bidding = Bidding(world, self.height, options.bid_lifetime_s)

    def height(self, at: float | None = None) -> int:
        """The block at a time."""
        now = self.world.now() if at is None else at
        return GENESIS_HEIGHT + int((now - self._genesis) // BLOCK_S)

    def get(self, dseq: str) -> Deployment:
        """The deployment, or 404."""
        found = self.deployments.get(dseq)
        if found is None:
            raise ApiError(404, "Deployment not found")
        return found

    def create(self, sdl_text: str, deposit: float | None) -> Deployment:
        """Opens a deployment under a dseq of our own choice and asks the hosts for bids."""
        try:
            made = self._open(sdl_text, deposit)
        except ApiError as error:
            self.world.ledger.write(
                Event.CREATE_REFUSED,
                market=MARKET,
                key=key_of(sdl_text),
                detail={"message": error.message},
            )
            raise
        for order in made.orders:
            self._bidding.ask(made, order)
        self.world.timeline.at(
            made.created_at + self.options.leaseless_s, lambda at: self._sweep_leaseless(made, at)
        )
        return made

    def lease(self, wanted: Sequence[Mapping[str, Any]], manifest: str) -> Deployment:
        """Takes the bids, all at once; a repeat on a leased deployment only sends the manifest."""
        deployment = self.get(str(wanted[0]["dseq"]))
        self._log(Event.LEASE_RECEIVED, deployment, str(wanted[0].get("provider", "")))
        try:
            if not deployment.running:
                bids = [self._bidding.take(deployment, lease) for lease in wanted]
                for bid in bids:
                    self._take(deployment, bid)
            self._send_manifest(deployment, manifest)
        except ApiError as error:
            self._log(Event.LEASE_REFUSED, deployment, detail={"message": error.message})
            raise
        return deployment

    def update(self, dseq: str, sdl_text: str) -> Deployment:
        """Gives running leases a new manifest; resources and placements must stay the same."""
        deployment = self.get(dseq)
        if deployment.state != "active":
            raise ApiError(400, "Deployment closed")
        sdl = parse_sdl(sdl_text)
        if [g.slice for g in sdl.groups] != [o.group.slice for o in deployment.orders]:
            raise ApiError(400, "Invalid deployment hash")
        deployment.sdl, deployment.manifest = sdl, manifest_json(sdl)
        deployment.hash = manifest_hash(deployment.manifest)
        for lease in deployment.running:
            self.world.executor.stop(deployment.lease_name(lease))
        self._send_manifest(deployment, deployment.manifest)
        return deployment

    def close(self, dseq: str, reason: str = "lease_closed_owner") -> None:
        """Ends everything and pays the rest of the escrow back; silent when already closed."""
        deployment = self.get(dseq)
        self._log(Event.CLOSE_RECEIVED, deployment)
        if self.world.faults.take("close_sticks", key=deployment.key) is None:
            self.end(deployment, reason)

    def end(self, deployment: Deployment, reason: str) -> None:
        """Closes the deployment now."""
        if deployment.state == "closed":
            return
        self.settle(deployment)
        if deployment.state == "closed":
            return
        for lease in deployment.running:
            self.end_lease(deployment, lease, reason)
        self._finish(deployment, "closed")

    def end_lease(self, deployment: Deployment, lease: Lease, reason: str) -> None:
        """Ends one lease; its deployment and the rest of its escrow stay until closed."""
        self.settle(deployment)
        if not lease.is_running:
            return
        dry = reason.endswith("insufficient_funds")
        lease.state = "insufficient_funds" if dry else "closed"
        lease.reason, lease.closed_height = reason, self.height()
        lease.host.rented.pop(deployment.lease_name(lease), None)
        self.world.executor.stop(deployment.lease_name(lease))
        order = deployment.order(lease.gseq)
        if order is not None:
            order.state = "insufficient_funds" if dry else "closed"
        why = {"reason": reason}
        self._log(Event.CHARGED, deployment, lease.provider, usd=usd(lease.charged), detail=why)
        self._log(Event.LEASE_CLOSED, deployment, lease.provider, detail=why)

    def reclaim(self, deployment: Deployment, lease: Lease, window_s: float) -> None:
        """The host wants the lease back and says when."""
        lease.state = "reclaiming"
        self.world.timeline.at(
            self.world.now() + window_s,
            lambda _: self.end_lease(deployment, lease, "lease_closed_reason_decommission"),
        )

    def settle(self, deployment: Deployment) -> None:
        """Pays the hosts for the blocks since the last time; an empty escrow ends the leases."""
        height = self.height()
        added = min(wanted_top_up(deployment, height), self.wallet)
        self.wallet -= added
        deployment.escrow.funds += added
        deployment.escrow.deposited += added
        if not drain(deployment, height):
            self._run_dry(deployment)

    def settle_all(self) -> None:
        """Brings every escrow up to the present block."""
        for deployment in list(self.deployments.values()):
            if deployment.state == "active":
                self.settle(deployment)

    def leases_of(self, host: Host) -> list[tuple[Deployment, Lease]]:
        """Every running lease on a host."""
        return [
            (deployment, lease)
            for deployment in self.deployments.values()
            for lease in deployment.running
            if lease.host is host
        ]

    def _open(self, sdl_text: str, deposit: float | None) -> Deployment:
        options, now = self.options, self.world.now()
        sdl = parse_sdl(sdl_text)
        if not options.managed_deposits and deposit is None:
            raise ApiError(400, "deposit is required")
        amount = options.deposit_usd if options.managed_deposits else Decimal(str(deposit))
        if amount * 2 < 1:
            raise ApiError(400, "Failed to create deployment: Deposit too low")
        if options.trial:
            for other in list(self.deployments.values()):
                if other.state == "active" and not other.leases:
                    self.end(other, "lease_closed_owner")
        if self.wallet < amount * UACT_PER_USD:
            raise ApiError(402, errors.NO_BALANCE, code="payment_required")
        self.wallet -= amount * UACT_PER_USD
        made = self._new_deployment(sdl, amount * UACT_PER_USD, now)
        self.deployments[made.dseq] = made
        self._log(Event.CREATED, made, detail={"escrow_usd": str(amount)})
        return made

    def _new_deployment(self, sdl: Any, deposit: Decimal, now: float) -> Deployment:
        dseq = int(now * 1000)
        while str(dseq) in self.deployments:
            dseq += 1  # the chain would refuse a second one in the same millisecond
        manifest, key = manifest_json(sdl), sdl.groups[0].name
        lag = self.world.faults.take("list_lag", key=key)
        return Deployment(
            dseq=str(dseq),
            owner=OWNER,
            key=key,
            sdl=sdl,
            manifest=manifest,
            hash=manifest_hash(manifest),
            height=self.height(),
            created_at=now,
            listed_at=now + (lag.number("seconds", 30) if lag else 0),
            escrow=Escrow(deposit, deposit, self.height()),
            orders=[Order(n, group) for n, group in enumerate(sdl.groups, start=1)],
        )

    def _take(self, deployment: Deployment, bid: Bid) -> None:
        for other in deployment.bids:
            if other.gseq == bid.gseq and other.state == "open":
                other.state = "active" if other is bid else "lost"
        order = deployment.order(bid.gseq)
        assert order is not None  # noqa: S101 -- the bid was made for it
        order.state = "active"
        self.settle(deployment)
        gpu = self._gpu(deployment, bid, order.group.slice.gpus)
        lease = Lease(bid.gseq, bid.host, bid.provider, bid.price, self.height(), gpu)
        lease.hides_endpoints = bool(self.world.faults.take("empty_endpoints", key=deployment.key))
        bid.host.rented[deployment.lease_name(lease)] = order.group.slice
        deployment.leases.append(lease)
        self._log(
            Event.LEASED,
            deployment,
            bid.provider,
            usd_per_hour=usd_per_hour(bid.price),
            detail={"host": bid.host.name, "gpus": order.group.slice.gpus},
        )
        self._plan_loss(deployment, lease)

    def _gpu(self, deployment: Deployment, bid: Bid, count: int) -> Gpu | None:
        if not count:
            return None
        lie = self.world.faults.take("wrong_gpu", key=deployment.key, provider=bid.host.name)
        if lie is not None:
            return Gpu(**lie.params["gpu"])
        return bid.host.lies_as or bid.host.gpu

    def _plan_loss(self, deployment: Deployment, lease: Lease) -> None:
        now, timeline = self.world.now(), self.world.timeline
        context = {"key": deployment.key, "provider": lease.host.name}
        if rule := self.world.faults.take("lease_closes", **context):
            reason = closed_reason(rule.text("reason", "unstable"))
            timeline.at(
                now + rule.number("seconds", 0),
                lambda _: self.end_lease(deployment, lease, reason),
            )
        if rule := self.world.faults.take("reclaiming", **context):
            window = rule.number("window_s", 3600)
            timeline.at(
                now + rule.number("seconds", 0), lambda _: self.reclaim(deployment, lease, window)
            )
        timeline.at(
            now + self.options.manifest_timeout_s,
            lambda _: self._check_manifest(deployment, lease),
        )

    def _check_manifest(self, deployment: Deployment, lease: Lease) -> None:
        if not lease.manifest_received:
            self.end_lease(deployment, lease, "lease_closed_reason_manifest_timeout")

    def _send_manifest(self, deployment: Deployment, manifest: str) -> None:
        for lease in deployment.running:
            refused = self.world.faults.take("manifest_refused", key=deployment.key)
            if refused or manifest_hash(manifest) != deployment.hash:
                raise errors.not_delivered(
                    deployment.dseq, lease.provider, 422, "manifest version validation failed"
                )
            if not lease.host.online:
                raise errors.not_delivered(
                    deployment.dseq, lease.provider, 503, "the provider cannot be reached"
                )
            lease.manifest_received = True
            self.world.executor.start(workload(deployment, lease, self.options.restart_backoff_s))

    def _sweep_leaseless(self, deployment: Deployment, _at: float) -> None:
        if deployment.state == "active" and not deployment.leases:
            self.end(deployment, "lease_closed_owner")

    def _run_dry(self, deployment: Deployment) -> None:
        for lease in deployment.running:
            self.end_lease(deployment, lease, "lease_closed_reason_insufficient_funds")
        self._finish(deployment, "overdrawn")

    def _finish(self, deployment: Deployment, escrow_state: str) -> None:
        escrow = deployment.escrow
        deployment.state, escrow.state = "closed", escrow_state
        for order in deployment.orders:
            order.state = "closed" if order.state in {"open", "active"} else order.state
        for bid in deployment.bids:
            bid.state = "closed" if bid.state == "open" else bid.state
        self.wallet += escrow.funds
        escrow.funds = Decimal(0)
        self._log(Event.CLOSED, deployment)

    def _log(
        self,
        event: Event,
        deployment: Deployment,
        host: str = "",
        **columns: Unpack[Columns],
    ) -> None:
        columns["id"], columns["provider"] = deployment.dseq, host
        self.world.ledger.write(event, market=MARKET, key=deployment.key, **columns)


def closed_reason(word: str) -> str:
    """`unstable` and its kin as the chain spells them."""
    if word == "owner":
        return "lease_closed_owner"
    return word if word.startswith("lease_closed_") else f"lease_closed_reason_{word}"


def key_of(sdl_text: str) -> str:
    """The first placement's name, as far as it can be read; for the record of refused creates."""
    try:
        return parse_sdl(sdl_text).groups[0].name
    except (ApiError, LookupError, TypeError, ValueError, AttributeError):
        return ""
