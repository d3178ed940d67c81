"""The adapter of an account, with the caller's own right to its credentials.

Used by `logs` and `doctor`: who may read the Secret may speak to the market, nobody else.
"""

import base64
from typing import Any

from overspill.cli.cluster import Cluster
from overspill.cli.errors import CliError
from overspill.clock import SystemClock
from overspill.core.errors import ProviderError
from overspill.core.snapshot import ProviderAccount
from overspill.providers import adapters


def adapter_of(account: ProviderAccount, credentials: dict[str, str]) -> Any:
    """The account's adapter; a sentence when it cannot be built."""
    create = adapters().get(account.type)
    if create is None:
        raise CliError(f"This build of Overspill does not speak to {account.type}.")
    try:
        return create(account, credentials, SystemClock())
    except ProviderError as error:
        raise CliError(f"{account.name} cannot be used: {error}") from error


def credentials_of(cluster: Cluster, account: ProviderAccount, what_for: str) -> dict[str, str]:
    """The Secret's content. `what_for` begins the sentence of a refusal."""
    if account.credentials_secret is None:
        return {}
    namespace, name = account.credentials_secret
    try:
        data = cluster.secret(namespace, name).get("data") or {}
    except CliError as error:
        raise CliError(
            f"{what_for} needs the right to read its Secret {namespace}/{name}: {error}"
        ) from error
    try:
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
    except ValueError:
        message = f"The Secret {namespace}/{name} holds bytes that are no text: write keys as text."
        raise CliError(message) from None


async def closed(provider: Any) -> None:
    """Adapters that hold connections have `aclose`; the port does not ask for it."""
    close = getattr(provider, "aclose", None)
    if close is not None:
        await close()
