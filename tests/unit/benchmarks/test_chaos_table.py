"""The campaign's table: every goal of the protocol has its line, and a run goes on where it was."""

from pathlib import Path

import pytest
from benchmarks import chaos_memory
from benchmarks.chaos_lines import Line
from benchmarks.chaos_memory import Memory
from benchmarks.chaos_table import GOALS, print_table

MET = Line("L2 0 leaks, 0 doubles", "0 in 3 seeds", is_met=True)
FAILED = Line("L5 all oracles clean", "1 wrong", is_met=False)


def test_a_goal_that_was_not_measured_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([MET, FAILED, Line("something else", "7", is_met=True)])
    printed = capsys.readouterr().out
    assert "L2 0 leaks, 0 doubles: 0 in 3 seeds" in printed
    assert printed.count("not measured in this run") == len(GOALS) - 2
    assert "beside these" in printed
    assert "make bench-storm" in printed


def test_a_part_that_is_done_is_not_run_again_and_one_that_failed_is(tmp_path: Path) -> None:
    memory = Memory("presubmit", fresh=False, folder=tmp_path)
    memory.keep("histories", [MET])
    memory.keep("transitions", [FAILED])
    memory.save("histories", {"seeds": 200})
    again = Memory("presubmit", fresh=False, folder=tmp_path)
    assert again.lines("histories") == [MET]
    assert again.lines("transitions") == []
    assert again.load("histories") == {"seeds": 200}
    assert Memory("presubmit", fresh=True, folder=tmp_path).lines("histories") == []


def test_what_another_commit_did_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Memory("full", fresh=False, folder=tmp_path).keep("histories", [MET])
    monkeypatch.setattr(chaos_memory, "code", lambda: "another")
    assert Memory("full", fresh=False, folder=tmp_path).lines("histories") == []
