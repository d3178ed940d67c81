"""The newest token is used, and no cluster is ever chosen by accident."""

import json
import os
from pathlib import Path

import pytest

from overspill.kube.credentials import NoCluster, TokenFile, load


def config(path: Path, server: str, user: dict) -> Path:
    content = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(autouse=True)
def outside_of_any_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_rewritten_token_is_read_again(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("one\n")
    token = TokenFile(path)
    assert token.read() == "one"
    path.write_text("twotwo\n")
    assert token.read() == "twotwo"


def test_a_token_swapped_by_symlink_is_read_again(tmp_path: Path):
    """The kubelet rotates a projected token by moving a symlink to a new directory."""
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
    data, new = tmp_path / "..data", tmp_path / "..data_tmp"
    data.symlink_to("v1")
    (tmp_path / "token").symlink_to("..data/token")
    token = TokenFile(tmp_path / "token")
    assert token.read() == "v1"
    new.symlink_to("v2")
    os.replace(new, data)
    assert token.read() == "v2"


@pytest.mark.parametrize("moment", ["empty", "absent"])
def test_a_file_that_is_just_being_rewritten_keeps_the_last_token(tmp_path: Path, moment: str):
    path = tmp_path / "token"
    path.write_text("one")
    token = TokenFile(path)
    token.read()
    if moment == "empty":
        path.write_text("")
    else:
        path.unlink()
    assert token.read() == "one"
    path.write_text("two")
    assert token.read() == "two"


def test_a_missing_token_file_is_said(tmp_path: Path):
    with pytest.raises(NoCluster, match="token file"):
        TokenFile(tmp_path / "none").read()


async def test_the_token_file_of_a_kubeconfig_is_followed(tmp_path: Path):
    (tmp_path / "token").write_text("one")
    path = config(tmp_path / "kc", "https://h", {"tokenFile": "token"})
    loaded = await load(path)
    assert await loaded.get_api_key_with_prefix("BearerToken") == "Bearer one"
    (tmp_path / "token").write_text("twotwo")
    assert await loaded.get_api_key_with_prefix("BearerToken") == "Bearer twotwo"


async def test_an_exec_plugin_is_asked_again_once_its_token_expired(tmp_path: Path):
    counter = tmp_path / "count"
    script = (
        f"echo x >> {counter}; n=$(wc -l < {counter}); "
        'echo "{\\"apiVersion\\":\\"client.authentication.k8s.io/v1\\",'
        '\\"kind\\":\\"ExecCredential\\",\\"status\\":{\\"token\\":\\"t$n\\",'
        '\\"expirationTimestamp\\":\\"2001-01-01T00:00:00Z\\"}}"'
    )
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "/bin/sh",
        "args": ["-c", script],
        "interactiveMode": "Never",
    }
    loaded = await load(config(tmp_path / "kc", "https://h", {"exec": plugin}))
    first = await loaded.get_api_key_with_prefix("BearerToken")
    second = await loaded.get_api_key_with_prefix("BearerToken")
    assert first != second
    assert second.startswith("Bearer t")


async def test_the_environment_names_a_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = config(tmp_path / "kc", "https://from-environment", {"token": "t"})
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert (await load(None)).host == "https://from-environment"


async def test_a_given_kubeconfig_wins_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KUBECONFIG", str(config(tmp_path / "a", "https://wrong", {"token": "t"})))
    given = config(tmp_path / "b", "https://right", {"token": "t"})
    assert (await load(given)).host == "https://right"


async def test_the_users_own_context_is_never_taken(tmp_path: Path):
    (tmp_path / ".kube").mkdir()
    config(tmp_path / ".kube" / "config", "https://production", {"token": "t"})
    with pytest.raises(NoCluster, match="no cluster was named"):
        await load(None)


@pytest.mark.parametrize("content", ["", "a: [", "contexts: []"])
async def test_an_unreadable_kubeconfig_is_said(tmp_path: Path, content: str):
    (tmp_path / "kc").write_text(content)
    with pytest.raises(NoCluster, match="kubeconfig"):
        await load(tmp_path / "kc")


async def test_a_missing_kubeconfig_is_said(tmp_path: Path):
    with pytest.raises(NoCluster, match="kubeconfig"):
        await load(tmp_path / "none")
