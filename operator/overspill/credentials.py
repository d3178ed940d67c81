"""Makes the adapter of a GPUProvider: reads its Secret, finds its market, builds it anew on change.

Called by `engine/accounts` through `wiring`. Credentials live in the adapter and nowhere else.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping

from overspill.core.errors import AuthRejected, Gone
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.ports import Clock, HomeView, KubeVerbs, Provider
from overspill.providers import adapters
from overspill.providers.in_cluster import Beside, InCluster


class AccountFactory:
    """`engine.accounts.Factory`: (adapter, fingerprint) of an account."""

    def __init__(
        self,
        verbs: KubeVerbs,
        home: HomeView,
        clock: Clock,
        own_cluster: str,
        reread_s: float = 30.0,
        beside: Beside | None = None,
    ) -> None:
        """A Secret is read again after `reread_s`, so that a rotated key is taken up."""
        self._beside = beside or Beside()
        self._reread_s = reread_s
        self._verbs = verbs
        self._home = home
        self._clock = clock
        self._cluster_id = own_cluster
        self._adapters = adapters()
        self._made: dict[str, tuple[Provider, str]] = {}
        self._secrets: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def __call__(self, account: ProviderAccount) -> tuple[Provider, str]:
        """Raises AuthRejected when the Secret is missing or the market unknown."""
        credentials = await self._credentials(account)
        fingerprint = _fingerprint(account, credentials)
        made = self._made.get(account.name)
        if made is None or made[1] != fingerprint:
            made = (self._build(account, credentials), fingerprint)
            self._made[account.name] = made
        return made

    def _build(self, account: ProviderAccount, credentials: Mapping[str, str]) -> Provider:
        if account.type is ProviderType.IN_CLUSTER:
            return InCluster(
                account, self._verbs, self._home, self._clock, self._cluster_id, self._beside
            )
        create = self._adapters.get(account.type)
        if create is None:
            known = ", ".join(sorted(self._adapters))
            raise AuthRejected(
                f"this version cannot speak to {account.type}; it knows {known}",
                provider=account.name,
            )
        return create(account, credentials, self._clock)

    async def _credentials(self, account: ProviderAccount) -> Mapping[str, str]:
        if account.credentials_secret is None:
            return {}
        namespace, name = account.credentials_secret
        now = self._clock.monotonic()
        cached = self._secrets.get(account.name)
        if cached is not None and now - cached[0] < self._reread_s:
            return cached[1]
        try:
            secret = await self._verbs.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except Gone:
            message = f"the Secret {namespace}/{name} does not exist; create it"
            raise AuthRejected(message, provider=account.name) from None
        found = _decoded(account, secret.get("data") or {})
        self._secrets[account.name] = (now, found)
        return found


def _decoded(account: ProviderAccount, data: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return {name: base64.b64decode(value).decode() for name, value in data.items()}
    except (binascii.Error, UnicodeDecodeError):
        message = "its credentials Secret holds bytes that are no text; write the key as text"
        raise AuthRejected(message, provider=account.name) from None


def _fingerprint(account: ProviderAccount, credentials: Mapping[str, str]) -> str:
    """Changes with the spec and the credentials; tells nothing of either."""
    text = json.dumps([account.name, account.generation, account.endpoint, dict(credentials)])
    return hashlib.sha256(text.encode()).hexdigest()
