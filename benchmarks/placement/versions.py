"""Names the code that a result was made by: a kept result of other code is not used.

What counts is what the entry modules import of this project, through and through, and of that what
is executed: words (comments, docstrings) and modules that are not imported (markets, tables, docs)
change nothing. Called by `results` and `kept`.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_ROOTS = {"overspill": ROOT / "operator", "benchmarks": ROOT}


@cache
def version(*entries: str) -> str:
    """Twelve hex digits for these modules and all that they import of ours."""
    digest = hashlib.sha256()
    for name in sorted(_reached(entries)):
        digest.update(f"{name}\n{_executed(name)}\n".encode())
    return digest.hexdigest()[:12]


def _reached(entries: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(name)
    return found


def _imported(name: str) -> Iterator[str]:
    """Modules of ours; `from package import module` names one too."""
    for node in ast.walk(_tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _file(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            yield from (one for one in names if _file(one))


def _file(name: str) -> Path | None:
    """Where a module of ours lies."""
    root = _ROOTS.get(name.partition(".")[0])
    if root is None:
        return None
    base = root.joinpath(*name.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _tree(name: str) -> ast.Module:
    file = _file(name)
    if file is None:
        raise ValueError(f"there is no module {name}")
    return ast.parse(file.read_text())


def _executed(name: str) -> str:
    """The module without its words."""
    return ast.dump(_Wordless().visit(_tree(name)))


class _Wordless(ast.NodeTransformer):
    """Drops strings that stand as statements: docstrings of all kinds."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node
