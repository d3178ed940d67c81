"""Writes kubeconfig files; clients of the bed get nothing else and never the user's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from overspill.testing.bed.pki import KeyPair, write_private


def with_certificate(path: Path, server: str, ca: Path, user: str, pair: KeyPair) -> Path:
    """A kubeconfig that authenticates by client certificate."""
    credentials = {"client-certificate": str(pair.cert), "client-key": str(pair.key)}
    return _write(path, server, ca, user, credentials)


def with_token_file(
    path: Path, server: str, ca: Path, user: str, token_file: Path, namespace: str
) -> Path:
    """A kubeconfig whose token lies in a file of its own, as in a pod, so it can be rotated."""
    return _write(path, server, ca, user, {"tokenFile": str(token_file)}, namespace)


def read(path: Path) -> dict[str, Any]:
    """The parsed file; ours are JSON, which every YAML reader takes."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _write(
    path: Path,
    server: str,
    ca: Path,
    user: str,
    credentials: dict[str, str],
    namespace: str = "default",
) -> Path:
    context = {"cluster": "bed", "user": user, "namespace": namespace}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "bed", "cluster": {"server": server, "certificate-authority": str(ca)}}
        ],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "bed", "context": context}],
        "current-context": "bed",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(content, indent=2).encode())
    return path
