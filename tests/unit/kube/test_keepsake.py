"""One ConfigMap, read and patched by name; its absence and its rubbish are told apart."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from overspill.core.errors import ClusterUnavailable, Gone
from overspill.kube.answers import Refused
from overspill.kube.keepsake import ConfigMapKeepsake
from overspill.ports import KubeVerbs

PATH = "/api/v1/namespaces/overspill-system/configmaps/overspill-past"


class OneMap:
    """Verbs on one object."""

    def __init__(self, found: Mapping[str, Any] | Exception) -> None:
        self.found = found
        self.patches: list[tuple[str, Mapping[str, Any]]] = []

    async def get(self, path: str, params: object = None) -> Mapping[str, Any]:
        """The object."""
        assert path == PATH
        return self._answer()

    async def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Takes it in."""
        found = self._answer()
        self.patches.append((path, body))
        self.found = {**found, **body}
        return self.found

    def _answer(self) -> Mapping[str, Any]:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def keepsake(verbs: OneMap) -> ConfigMapKeepsake:
    return ConfigMapKeepsake(cast("KubeVerbs", verbs), "overspill-system")


async def test_what_was_written_is_read() -> None:
    verbs = OneMap({"metadata": {"name": "overspill-past"}})
    one = keepsake(verbs)
    assert await one.read() is None
    await one.write(b"\x00past\xff")
    assert await one.read() == b"\x00past\xff"
    assert [path for path, _ in verbs.patches] == [PATH]


async def test_without_the_object_nothing_was_kept_and_nothing_can_be() -> None:
    one = keepsake(OneMap(Gone("not found")))
    assert await one.read() is None
    with pytest.raises(ClusterUnavailable, match="overspill-past"):
        await one.write(b"past")


async def test_a_missing_right_is_no_absence() -> None:
    one = keepsake(OneMap(Refused("forbidden", status=403)))
    with pytest.raises(ClusterUnavailable, match="may not be read"):
        await one.read()


async def test_rubbish_is_given_on_to_who_can_tell() -> None:
    assert await keepsake(OneMap({"binaryData": {"past": "%%%"}})).read() == b"%%%"
