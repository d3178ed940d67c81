"""Wrong credentials, no credentials, rubbish settings, a rubbish market: marked, never in the way.

Whatever is mended is taken up without a restart.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from overspill.sandbox.options import SandboxOptions
from overspill.testing.bed import Bed, until
from overspill.testing.sandbox import Sandbox
from overspill.testing.stack import NAMESPACE, PROVIDER, Stack

from .manifests import at_home
from .proofs import assert_clean, hasten, patch, provider_ready, rented, until_complete

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    bed.nodes.add("credentials-1", gpus=4)
    with Stack.start(bed, tmp_path_factory.mktemp("credentials")) as running:
        hasten(running)
        yield running
    bed.nodes.delete("credentials-1")


def secret(stack: Stack, **data: bytes) -> None:
    """The account's credentials from now on."""
    coded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    meta = {"name": PROVIDER, "namespace": NAMESPACE}
    stack.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": coded})


def ready(stack: Stack, name: str) -> dict[str, Any]:
    """The Ready condition of a GPUProvider."""
    found = json.loads(stack.cluster.kubectl("get", "gpp", name, "-o", "json"))
    conditions = found.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == "Ready"), {})


def until_marked(stack: Stack, name: str, reason: str) -> str:
    """Waits until the provider is not Ready for this reason; the message."""
    until(lambda: ready(stack, name).get("reason") == reason, f"{name} to be {reason}", 60, 0.5)
    found = ready(stack, name)
    assert found["status"] == "False"
    return str(found["message"])


def config(stack: Stack, **values: str | None) -> None:
    """Changes settings of the account; None takes one away."""
    patch(stack, f"gpp/{PROVIDER}", {"spec": {"config": values}})


def wrong_key(stack: Stack) -> None:
    secret(stack, apiKey=b"wrong")


def other_field(stack: Stack) -> None:
    secret(stack, token=stack.market.api_key.encode())


def no_text(stack: Stack) -> None:
    secret(stack, apiKey=b"\xff\xfe\x00")


def no_secret(stack: Stack) -> None:
    stack.cluster.kubectl("delete", "secret", PROVIDER, "-n", NAMESPACE)


def wrong_setting(stack: Stack) -> None:
    config(stack, bidWindowSeconds="soon")


def unknown_setting(stack: Stack) -> None:
    config(stack, bidWindow="5")


BROKEN = {
    "a wrong key": (wrong_key, "AuthRejected", "credentials"),
    "a Secret without the key's field": (other_field, "NotConfigured", "apiKey"),
    "a key that is no text": (no_text, "NotConfigured", "no text"),
    "no Secret": (no_secret, "NotConfigured", "create it"),
    "a setting of the wrong kind": (wrong_setting, "NotConfigured", "bidWindowSeconds"),
    "an unknown setting": (unknown_setting, "NotConfigured", "bidWindow"),
}


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_what_is_wrong_with_an_account_is_told_and_mended_without_a_restart(
    stack: Stack, namespace: str, case: str
) -> None:
    damage, reason, word = BROKEN[case]
    pid = stack.operator.pid
    damage(stack)
    try:
        told = until_marked(stack, PROVIDER, reason)
        assert word in told
        assert stack.market.api_key not in told
        stack.apply_job(namespace, "near", at_home(1))
        stack.apply_job(namespace, "far", rented("sleep 1"))
        stack.until_phase(namespace, "near", "Complete")
        assert stack.phase(namespace, "far") in ("Waiting", "Placing", "")
        assert [x["spec"]["provider"] for x in stack.leases(namespace)] == ["home"]
    finally:
        secret(stack, apiKey=stack.market.api_key.encode())
        config(stack, bidWindowSeconds="5", bidWindow=None)
    until(lambda: provider_ready(stack, PROVIDER), "the account to be usable again", 90, 0.5)
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert stack.operator.pid == pid


@pytest.fixture
def rubbish(stack: Stack) -> Iterator[Sandbox]:
    """A second market, cheaper and out of its mind."""
    with Sandbox.start(SandboxOptions(allow_exec=False)) as market:
        market.fault("html", path="/v1/.*", status=200)
        meta = {"name": "rubbish"}
        spec = {
            "type": "Akash",
            "endpoint": market.url,
            "credentialsSecretRef": {"namespace": NAMESPACE, "name": PROVIDER},
            "capacityType": "OnDemand",
            "trustTier": "Audited",
        }
        kind = {"apiVersion": "overspill.dev/v1alpha1", "kind": "GPUProvider"}
        stack.apply({**kind, "metadata": meta, "spec": spec})
        yield market
        stack.cluster.kubectl("delete", "gpp", "rubbish")


def test_a_market_that_answers_rubbish_is_marked_and_the_others_go_on(
    stack: Stack, namespace: str, rubbish: Sandbox
) -> None:
    pid = stack.operator.pid
    until_marked(stack, "rubbish", "Unavailable")
    stack.apply_job(namespace, "far", rented("sleep 1"))
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert rubbish.summary()["by_key"] == {}
    rubbish.clear_faults()
    until(lambda: provider_ready(stack, "rubbish"), "the mended market to be usable", 90, 0.5)
    assert stack.operator.pid == pid
