"""A person's word on an Uncertain lease is read from its annotation and written by nobody."""

from dataclasses import replace

import pytest

from overspill.core.lease import ABSENT, ADOPT
from overspill.kube.mapping import lease_manifest, read_lease
from overspill.kube.resources import RESOLVE_ANNOTATION
from overspill.testing.kube_samples import full_lease


def _stored(annotations: dict[str, str]) -> dict[str, object]:
    manifest = lease_manifest(full_lease())
    meta = {
        **manifest["metadata"],
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-25T08:00:00Z",
        "annotations": annotations,
    }
    return {**manifest, "metadata": meta}


@pytest.mark.parametrize("word", [ABSENT, f"{ADOPT}1764060000000"])
def test_the_word_is_read(word: str) -> None:
    assert read_lease(_stored({RESOLVE_ANNOTATION: word})).resolution == word


def test_no_word_is_none() -> None:
    assert read_lease(_stored({"other": "x"})).resolution == ""


def test_the_operator_does_not_write_it() -> None:
    manifest = lease_manifest(replace(full_lease(), resolution=ABSENT))
    assert RESOLVE_ANNOTATION not in str(manifest)
