"""The log of a rented lease, from its market, with the caller's own right to the credentials.

Used by `logs`. Markets that give no log get a sentence that says what to do instead.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from overspill.cli.accounts import adapter_of, closed, credentials_of
from overspill.cli.cluster import Cluster, Json
from overspill.cli.errors import CliError
from overspill.core.errors import LeaseNotFound, ProviderError
from overspill.core.lease import Handle, Lease
from overspill.core.snapshot import ProviderAccount
from overspill.kube.mapping import Unreadable, read_account, read_lease
from overspill.kube.resources import Kind

_ALL = 10_000
"""Lines asked of a market when nobody said --tail; markets want a number."""


def market_log(cluster: Cluster, lease: Json, *, follow: bool, tail: int | None) -> Iterator[bytes]:
    """Lines of the workload's output without their ends, oldest first."""
    try:
        found = read_lease(lease)
        account = read_account(cluster.get(Kind.PROVIDER, found.provider))
    except Unreadable as error:
        raise CliError(f"The record of the lease cannot be read: {error}.") from error
    handle = _handle(found)
    what_for = f"The log of a rented job comes from {account.name} and"
    credentials = credentials_of(cluster, account, what_for)
    with asyncio.Runner() as runner:
        provider = adapter_of(account, credentials)
        if not hasattr(provider, "logs"):
            raise CliError(_no_log(account, handle))
        lines: AsyncIterator[bytes] = provider.logs(handle, follow=follow, tail=tail or _ALL)
        try:
            while (line := runner.run(_next(lines))) is not None:
                yield line
        except LeaseNotFound as error:
            raise CliError(f"{account.name} does not know the lease any more: {error}") from error
        except ProviderError as error:
            raise CliError(f"Reading the log from {account.name} failed: {error}") from error
        finally:
            runner.run(_left(lines))
            runner.run(closed(provider))


async def _next(lines: AsyncIterator[bytes]) -> bytes | None:
    return await anext(lines, None)


async def _left(lines: AsyncIterator[bytes]) -> None:
    """Ends a stream that is read no further (`logs | head`), from the outside in."""
    if isinstance(lines, AsyncGenerator):
        await lines.aclose()


def _handle(lease: Lease) -> Handle:
    if lease.handle is None or not lease.handle.external_id:
        raise CliError(f"{lease.provider} has not opened lease {lease.name} yet: no log so far.")
    return lease.handle


def _no_log(account: ProviderAccount, handle: Handle) -> str:
    return (
        f"{account.type} gives no log through its API: open {handle.external_id} in its console, "
        "or let the job write its log beside its checkpoints."
    )
