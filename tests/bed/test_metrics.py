"""Prometheus text is read as samples that can be chosen, summed and grouped."""

from __future__ import annotations

from overspill.testing.bed import metrics

TEXT = """
# HELP requests Requests.
# TYPE requests counter
requests{verb="POST",resource="jobs",note="a \\"quoted\\" word, and a comma"} 3
requests{verb="PATCH",resource="jobs"} 1.5e+01
requests{verb="POST",resource="pods"} 2 1700000000000
up 1
"""


def test_total_sums_what_matches() -> None:
    read = metrics.parse(TEXT)
    assert read.total("requests", verb="POST") == 5
    assert read.total("requests", verb="DELETE") == 0
    assert read.total("up") == 1


def test_by_groups_sums() -> None:
    grouped = metrics.parse(TEXT).by("requests", "resource", "verb")
    assert grouped == {("jobs", "POST"): 3, ("jobs", "PATCH"): 15, ("pods", "POST"): 2}


def test_label_values_may_hold_quotes_and_commas() -> None:
    (sample,) = metrics.parse(TEXT).select("requests", verb="POST", resource="jobs")
    assert "comma" in sample.labels["note"]
