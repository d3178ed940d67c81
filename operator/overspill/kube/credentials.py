"""Finds the API server and what proves who we are, and keeps that proof fresh.

Called by `verbs.connect`. The client reads the token file of a kubeconfig once, at load, and
that of a pod once a minute [client 37.0.2]; a token that is rotated and revoked would stop us.
So the file is looked at before every call and read again when it changed.
"""

import os
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import client
from kubernetes.aio.config import incluster_config, kube_config

from overspill.core.errors import OverspillError

IN_POD_TOKEN = Path(incluster_config.SERVICE_TOKEN_FILENAME)


class NoCluster(OverspillError):  # noqa: N818  (named by what to do next, like its siblings)
    """It was not said which cluster to use, or the answer cannot be read."""


class TokenFile:
    """A bearer token in a file that others rewrite. Hands out the newest content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def read(self) -> str:
        """The token now in the file; the last good one while the file cannot be read."""
        try:
            found = self._path.stat()
            mark = (found.st_ino, found.st_mtime_ns, found.st_size)
            if mark != self._seen:
                self._take(self._path.read_text().strip(), mark)
        except OSError as error:
            if not self._token:
                raise NoCluster(f"reading the token file {self._path} failed") from error
        return self._token

    def _take(self, token: str, mark: tuple[int, int, int]) -> None:
        """An empty file is one that is just being rewritten: look again next time."""
        if token:
            self._token, self._seen = token, mark


async def load(kubeconfig: Path | None) -> Any:
    """The client's Configuration: a given kubeconfig, else KUBECONFIG, else the pod we run in.

    Never `~/.kube/config`: nobody's current context is used by accident.
    """
    configuration = client.Configuration()
    chosen = kubeconfig or _from_environment()
    if chosen is not None:
        await _load_file(configuration, chosen)
    elif os.environ.get(incluster_config.SERVICE_HOST_ENV_NAME):
        _load_pod(configuration)
    else:
        raise NoCluster(
            "no cluster was named: give a kubeconfig, set KUBECONFIG, or run inside a pod"
        )
    configuration.retries = None  # one call is one request; "did it happen?" must have an answer
    return configuration


def _from_environment() -> Path | None:
    named = os.environ.get("KUBECONFIG", "")
    return Path(named) if named else None


def _load_pod(configuration: Any) -> None:
    incluster_config.load_incluster_config(configuration, try_refresh_token=False)
    _refresh_from(TokenFile(IN_POD_TOKEN), configuration)


async def _load_file(configuration: Any, path: Path) -> None:
    try:
        user = _current_user(path)
        loader = await kube_config.load_kube_config(
            config_file=str(path), client_configuration=configuration, persist_config=False
        )
    except (kube_config.ConfigException, OSError, yaml.YAMLError, *_MALFORMED) as error:
        raise NoCluster(f"reading the kubeconfig {path} failed: {error}") from error
    if user.get("tokenFile"):
        _refresh_from(TokenFile(path.parent / user["tokenFile"]), configuration)
    elif "exec" in user:
        _refresh_by_plugin(loader, configuration)


_MALFORMED = (TypeError, KeyError, AttributeError)
"""What we and the client stumble over in YAML that is not a kubeconfig."""


def _current_user(path: Path) -> dict[str, Any]:
    """The user of the current context, as written in the file."""
    content = yaml.safe_load(path.read_text())
    contexts = {c["name"]: c.get("context") or {} for c in content.get("contexts") or []}
    name = contexts.get(content.get("current-context"), {}).get("user")
    users = {u["name"]: u.get("user") or {} for u in content.get("users") or []}
    return users.get(name) or {}


def _refresh_from(token_file: TokenFile, configuration: Any) -> None:
    def refresh(target: Any) -> None:
        target.api_key["BearerToken"] = f"Bearer {token_file.read()}"

    refresh(configuration)
    configuration.refresh_api_key_hook = refresh


def _refresh_by_plugin(loader: Any, configuration: Any) -> None:
    async def refresh(target: Any) -> None:
        await loader.load_from_exec_plugin()  # runs the plugin only when its token expired
        if getattr(loader, "token", None):
            target.api_key["BearerToken"] = loader.token

    configuration.refresh_api_key_hook = refresh
