"""The same credentials for kopf's own client as for ours; read afresh at every login."""

from dataclasses import dataclass
from pathlib import Path

from overspill.kube import credentials


@dataclass(frozen=True, slots=True)
class Login:
    """Where the API server is and what proves who we are; files by path."""

    server: str
    ca_path: str | None
    token: str | None
    certificate_path: str | None
    private_key_path: str | None


async def login(kubeconfig: Path | None) -> Login:
    """Reads what `credentials.load` reads. Raises NoCluster."""
    found = await credentials.load(kubeconfig)
    if found.refresh_api_key_hook is not None:
        outcome = found.refresh_api_key_hook(found)
        if outcome is not None:
            await outcome
    bearer = str(found.api_key.get("BearerToken") or "")
    return Login(
        server=found.host,
        ca_path=found.ssl_ca_cert or None,
        token=bearer.removeprefix("Bearer ") or None,
        certificate_path=found.cert_file or None,
        private_key_path=found.key_file or None,
    )
