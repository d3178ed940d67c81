"""`python -m benchmarks.markets_matrix` (`make markets-matrix`): what each market was held against.

Markets by the checks of the contract kit, by the official file that every exchange is held
against, and by the makers' own client that drives the sandbox. It runs these tests and prints what
they said; `--markdown` prints the table of docs/providers.md without running anything.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from overspill.sandbox import markets
from overspill.testing.contract import ProviderContract

ROOT = Path(__file__).parents[1]
PROVIDERS, WITNESS = ROOT / "tests" / "providers", ROOT / "tests" / "witness"
SPEC, CLIENT = "spec", "client"
CHECKS = tuple(name for name in vars(ProviderContract) if name.startswith("test_"))


@dataclass(frozen=True)
class Held:
    """What one market is held against, as its tests say."""

    market: str
    checks: frozenset[str]
    has_spec: bool
    """Every exchange of its tests is held against an official file, where that is at hand."""
    client: str
    """"" none; else how the makers' own client takes part."""


def held(market: str) -> Held:
    """Read from the tests' source: nothing is registered anywhere."""
    files = sorted([*PROVIDERS.glob(f"test_{market}*.py"), *PROVIDERS.glob(f"{market}_*.py")])
    checks: set[str] = set()
    for file in files:
        checks |= _checks_of(ast.parse(file.read_text(encoding="utf-8")))
    has_spec = any("Checked(" in file.read_text(encoding="utf-8") for file in files)
    return Held(market, frozenset(checks), has_spec, _client_of(market))


def _checks_of(tree: ast.Module) -> set[str]:
    """The checks that subclasses of the kit in a file run: all but those they replace."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(_is_kit(base) for base in node.bases):
            own = {n.name for n in node.body if isinstance(n, ast.AsyncFunctionDef)}
            found |= set(CHECKS) - own
    return found


def _is_kit(base: ast.expr) -> bool:
    return isinstance(base, ast.Name) and base.id == ProviderContract.__name__


def _client_of(market: str) -> str:
    if (WITNESS / f"test_{market}.py").is_file():
        return "drives it"
    return "golden pairs" if list(PROVIDERS.glob(f"{market}_witness.*")) else ""


def sentence(check: str) -> str:
    """`test_open_twice_opens_once` in words."""
    return check.removeprefix("test_").replace("_", " ")


def markdown() -> str:
    """The table of docs/providers.md: a row for each check, a column for each market."""
    found = [held(market) for market in markets.known()]
    lines = [
        "| " + " | ".join(["check", *(h.market for h in found)]) + " |",
        "|---" * (len(found) + 1) + "|",
    ]
    for check in CHECKS:
        cells = ["yes" if check in h.checks else "**no**" for h in found]
        lines.append(f"| {sentence(check)} | " + " | ".join(cells) + " |")
    spec = ["yes" if h.has_spec else "none published" for h in found]
    lines.append("| *each exchange held against the official file* | " + " | ".join(spec) + " |")
    client = [h.client or "none" for h in found]
    lines.append("| *the makers' own client, unpatched* | " + " | ".join(client) + " |")
    return "\n".join(lines)


@dataclass(eq=False)
class Gathered:
    """A pytest plugin: keeps the tests of the matrix, and what came of them."""

    outcomes: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    _cells: dict[str, tuple[str, str]] = field(default_factory=dict)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Deselects everything else."""
        for item in items:
            cell = _cell_of(item)
            if cell is not None:
                self._cells[item.nodeid] = cell
        items[:] = [item for item in items if item.nodeid in self._cells]

    def pytest_runtest_logreport(self, report: Any) -> None:
        """One phase of one test."""
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[self._cells[report.nodeid]].append(report.outcome)


def _cell_of(item: Any) -> tuple[str, str] | None:
    words = Path(item.path).stem.removeprefix("test_").split("_")
    market, name = words[0], getattr(item, "originalname", item.name)
    if market not in markets.known():
        return None
    if Path(item.path).parent == WITNESS:
        return market, CLIENT
    if words[-1] == SPEC:
        return market, SPEC
    kind = getattr(item, "cls", None)
    is_kit = isinstance(kind, type) and issubclass(kind, ProviderContract) and name in CHECKS
    return (market, name) if is_kit else None


def table(outcomes: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """Markets by numbered checks, at most 100 columns wide."""
    head = " ".join(f"{n:>2}" for n in range(1, len(CHECKS) + 1))
    lines = ["", f"{'':10}{head} spec makers' client"]
    for market in markets.known():
        found = held(market)
        marks = " ".join(f"{_mark(outcomes.get((market, check), ())):>2}" for check in CHECKS)
        spec = _mark(outcomes.get((market, SPEC), ())) if found.has_spec else "none"
        if found.has_spec and spec == "-":
            spec = _mark([w for c in CHECKS for w in outcomes.get((market, c), ())])
        client = _mark(outcomes.get((market, CLIENT), ())) if found.client else "none"
        client = found.client if client == "-" else client
        lines.append(f"{market:10}{marks} {spec:4} {client}")
    lines += ["", "v: holds  X: does not  s: skipped  -: is not run  spec: the official file"]
    lines += [f"{n:>3}  {sentence(check)}" for n, check in enumerate(CHECKS, 1)]
    return "\n".join(lines)


def _mark(words: Sequence[str]) -> str:
    if not words:
        return "-"
    if "failed" in words:
        return "X"
    return "v" if "passed" in words else "s"


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="only the table of the docs")
    if parser.parse_args(argv).markdown:
        print(markdown())
        return 0
    gathered = Gathered()
    status = int(pytest.main(["-q", str(PROVIDERS), str(WITNESS)], plugins=[gathered]))
    print(table(gathered.outcomes))
    return status


if __name__ == "__main__":
    sys.exit(main())
