"""Runs every command the README shows, in its order, as a newcomer would.

`make demo` and `make test` are left out: the first has a test of its own, the second runs this.
"""

import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.bed.waiting import NotReachedError
from overspill.testing.operator import OperatorProcess

pytestmark = pytest.mark.cluster

log = logging.getLogger(__name__)
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


@pytest.fixture
def newcomer(bed: Bed) -> Iterator[dict[str, str]]:
    """An environment with kubectl, Helm and our plugin on the PATH, and this cluster alone."""
    tools = [
        bed.clients.kubectl_path.parent,
        bed.clients.helm_path.parent,
        Path(sys.executable).parent,
    ]
    path = os.pathsep.join([*map(str, tools), os.environ["PATH"]])
    bed.nodes.add("readme-1", gpus=1)
    yield {**bed.clients.environment(), "PATH": path, "KUBECONFIG": str(bed.kubeconfig)}
    bed.kubectl("delete", "namespace", "team-a", "--wait=false", "--ignore-not-found")
    bed.nodes.delete("readme-1")


def test_the_readme_names_its_two_commands() -> None:
    assert commands()[:2] == ["make demo", "make test"]


def test_every_command_of_the_readme_works(
    bed: Bed, newcomer: dict[str, str], tmp_path: Path
) -> None:
    operator: OperatorProcess | None = None
    printed = {}
    try:
        for command in commands():
            if command.startswith("make "):
                continue
            if command.startswith("kubectl overspill"):
                await_end(bed, operator)
            printed[command] = run(command, newcomer)
            if command.startswith("helm"):
                token = bed.token_kubeconfig("overspill-system", "overspill")
                operator = OperatorProcess.start(token, tmp_path)
                operator.wait_ready()
    finally:
        if operator is not None:
            operator.stop()
    explained = next(out for command, out in printed.items() if "explain" in command)
    assert "home/readme-1" in explained


def await_end(bed: Bed, operator: OperatorProcess | None) -> None:
    def is_over() -> bool:
        if operator is not None and not operator.running:
            log.warning("the operator ended with %s", operator.exit_code)
            operator.restart()  # as the kubelet would
        return "Complete" in bed.kubectl("get", "gpj", "-n", "team-a")

    try:
        until(is_over, "the end", 150)
    except NotReachedError:
        said = operator.log.read_text(errors="replace")[-4000:] if operator else "no operator"
        pytest.fail(f"{bed.kubectl('get', 'gpj', '-n', 'team-a', '-o', 'yaml')}\n{said}")


def run(command: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        shlex.split(command),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
