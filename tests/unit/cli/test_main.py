"""The command line: verbs, flags, sentences and exit codes."""

from types import SimpleNamespace

import pytest

from overspill.cli import explain, main
from overspill.cli.errors import CliError
from overspill.cli.options import Target
from overspill.testing.cli_samples import FakeCluster


@pytest.fixture
def asked(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Where the verb connects to, without connecting."""
    seen = SimpleNamespace(target=None)

    def connect(target: Target) -> FakeCluster:
        seen.target = target
        return cluster

    monkeypatch.setattr(explain, "connect", connect)
    return seen


@pytest.mark.parametrize(
    ("flags", "target"),
    [
        ([], Target(None, None, None)),
        (["-n", "team-a"], Target(None, None, "team-a")),
        (["-A"], Target(None, None, "")),
        (["--context", "c", "--kubeconfig", "k"], Target("k", "c", None)),
    ],
)
def test_flags_say_which_cluster_and_namespace(
    asked: SimpleNamespace, flags: list[str], target: Target
) -> None:
    assert main.main(["explain", "finetune-7b", *flags]) == 0
    assert asked.target == target


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["no-such-verb"],
        ["explain"],
        ["explain", "j", "-n", "x", "-A"],
        ["explain", "j", "-o", "yaml"],
        ["leases", "resolve", "gl-1"],
        ["leases", "resolve", "gl-1", "--adopt", "1", "--absent"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(argv)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([verb, "--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_a_failure_is_a_sentence_on_stderr_and_1(
    asked: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["explain", "nobody"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.out == ""


@pytest.mark.parametrize(
    ("error", "code"), [(CliError("no", code=2), 2), (KeyboardInterrupt(), 130)]
)
def test_endings_have_codes(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(_args: object) -> int:
        raise error

    monkeypatch.setattr(explain, "run", fail)
    assert main.main(["explain", "j"]) == code


@pytest.mark.parametrize(
    ("invoked", "name"),
    [("/usr/bin/kubectl-overspill", "kubectl overspill"), ("/usr/bin/overspill", "overspill")],
)
def test_the_plugin_calls_itself_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], invoked: str, name: str
) -> None:
    monkeypatch.setattr("sys.argv", [invoked])
    with pytest.raises(SystemExit):
        main.main(["--help"])
    assert f"usage: {name} " in capsys.readouterr().out
