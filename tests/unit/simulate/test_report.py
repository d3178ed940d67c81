"""The report is one page of well-formed plots, says the figures, and obeys nobody's names."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from overspill.simulate import svg
from overspill.simulate.replay import replay
from overspill.simulate.report import Shown, page
from overspill.simulate.scenario import scenario
from overspill.simulate.summary import course, summary

from .conftest import Maker, cloud, job


@pytest.fixture
def shown(past: Maker) -> str:
    jobs = [job(f"j{i}", 300.0 * i, gpus=4, deadline_s=300.0 * i + 9000) for i in range(12)]
    history = past(jobs, 1, cloud(name="<b>cloud</b>"))
    both = [replay(history, scenario(w)) for w in ("overspill", "always-wait")]
    return page(history, [Shown(summary(o, 5.0), course(o)) for o in both], ["A <note>."])


def test_every_plot_is_well_formed(shown: str) -> None:
    plots = re.findall(r"<svg.*?</svg>", shown, re.DOTALL)
    assert len(plots) == 4
    for plot in plots:
        assert len(ElementTree.fromstring(plot)) > 5  # noqa: S314  (our own string)


def test_the_headline_the_comparison_and_the_notes_stand_there(shown: str) -> None:
    assert re.search(r"<h1>\$[\d.,]+ for 12 finished jobs: [\d.]+ % less than", shown)
    assert "cheaper" in shown or "dearer" in shown
    assert "A &lt;note&gt;." in shown


def test_names_are_text_not_markup(shown: str) -> None:
    assert "<b>cloud</b>" not in shown
    assert "&lt;b&gt;cloud&lt;/b&gt;" in shown


def test_nothing_is_loaded_from_elsewhere(shown: str) -> None:
    assert not re.search(r"(src|href)=|<script|url\(", shown)


def test_an_empty_plot_has_a_frame_all_the_same() -> None:
    flat = svg.Line("nothing", [0.0, 0.0], "#000")
    assert "<polyline" in svg.lines([flat], svg.Axis(2, ()), str)
    assert "<rect" in svg.bars(["a", "b"], [flat], str, 1.0)
