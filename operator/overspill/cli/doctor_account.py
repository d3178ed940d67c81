"""Examines one market account with the caller's rights. Used by `doctor` and its live run."""

import asyncio
from decimal import Decimal

from overspill.cli.accounts import adapter_of, closed, credentials_of
from overspill.cli.cluster import Cluster
from overspill.cli.doctor_checks import Examined, Records, examine
from overspill.cli.errors import CliError
from overspill.cli.ledger import lease_view
from overspill.clock import SystemClock
from overspill.core.snapshot import ProviderAccount
from overspill.kube.resources import Kind


def examined(cluster: Cluster, account: ProviderAccount) -> Examined:
    """Everything about one account; raises CliError when it cannot even be asked."""
    credentials = credentials_of(cluster, account, f"Examining {account.name}")
    records = records_of(cluster, account.name)

    async def ask() -> Examined:
        provider = adapter_of(account, credentials)
        try:
            return await examine(provider, records, SystemClock())
        finally:
            await closed(provider)

    return asyncio.run(ask())


def records_of(cluster: Cluster, account: str) -> Records | None:
    """What the cluster has written down of an account; None when the caller may not look."""
    try:
        leases = cluster.list_all(Kind.LEASE, everywhere=True)
    except CliError:
        return None
    ours = [v for v in map(lease_view, leases) if v.provider == account and v.is_open]
    clusters = [obj["spec"].get("clusterID", "") for obj in leases]
    hourly = sum((v.usd_per_hour or Decimal(0) for v in ours if v.is_charging), Decimal(0))
    return Records(next(iter(clusters), ""), frozenset(v.name for v in ours), hourly)
