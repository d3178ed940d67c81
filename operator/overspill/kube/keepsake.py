"""`ports.Keepsake` in a ConfigMap of the operator's own namespace, which the chart makes.

The operator may read and patch this one object by name and create none: without it nothing is
kept, and that is said.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from overspill.core.errors import ClusterUnavailable, Gone
from overspill.kube.answers import Refused
from overspill.ports import KubeVerbs

NAME = "overspill-past"
KEY = "past"


class ConfigMapKeepsake:
    """One value under `binaryData`; belongs to one event loop."""

    def __init__(self, verbs: KubeVerbs, namespace: str) -> None:
        self._verbs = verbs
        self._path = f"/api/v1/namespaces/{namespace}/configmaps/{NAME}"

    async def read(self) -> bytes | None:
        """What was kept; None where there is nothing. Raises ClusterUnavailable."""
        try:
            found = await self._verbs.get(self._path)
        except Gone:
            return None
        except Refused as error:
            raise ClusterUnavailable(f"ConfigMap {NAME} may not be read: {error}") from error
        return _content(found)

    async def write(self, content: bytes) -> None:
        """Keeps this instead of what was kept. Raises ClusterUnavailable, also without a ConfigMap.

        Without a lock: the newer look of two leaders is as good as the other.
        """
        body = {"binaryData": {KEY: base64.b64encode(content).decode("ascii")}}
        try:
            await self._verbs.patch(self._path, body)
        except (Gone, Refused) as error:
            raise ClusterUnavailable(f"ConfigMap {NAME} cannot be written: {error}") from error


def _content(found: Mapping[str, Any]) -> bytes | None:
    """The bytes; rubbish is given on as rubbish, whose reader says what is wrong with it."""
    written = (found.get("binaryData") or {}).get(KEY)
    if not written:
        return None
    try:
        return base64.b64decode(str(written), validate=True)
    except binascii.Error:
        return str(written).encode()
