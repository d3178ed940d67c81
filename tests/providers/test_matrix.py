"""The table in docs/providers.md of what each market was held against is what the tests do."""

from pathlib import Path

from benchmarks.markets_matrix import CHECKS, held, markdown, table

from overspill.sandbox import markets
from overspill.testing.markets import ready

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"


def test_the_page_has_the_table_as_the_tests_are() -> None:
    told = "run `python -m benchmarks.markets_matrix --markdown` and put it into docs/providers.md"
    assert markdown() in PAGE.read_text(encoding="utf-8"), told


def test_every_market_that_has_an_adapter_runs_every_check_of_the_kit() -> None:
    assert {name: sorted(set(CHECKS) - held(name).checks) for name in ready()} == {
        name: [] for name in ready()
    }


def test_a_check_that_failed_or_was_not_run_is_seen() -> None:
    first, second, third = CHECKS[:3]
    outcomes = {("vast", first): ["passed", "failed"], ("vast", second): ["skipped"]}
    row = next(line for line in table(outcomes).splitlines() if line.startswith("vast"))
    assert row.split()[1:4] == ["X", "s", "-"]
    assert third in CHECKS


def test_the_table_fits_the_screen() -> None:
    assert max(map(len, table({}).splitlines())) <= 100
    assert set(markets.known()) >= set(ready())
