"""Tables and money on a terminal: plain columns like kubectl's, at most as wide as the window."""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

DEFAULT_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Only `folds` columns may break into several lines."""

    title: str
    justify: Literal["left", "right"] = "left"
    folds: bool = False


def console() -> Console:
    """Stdout. What users wrote into names and messages is never read as markup."""
    width = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns
    return _PlainConsole(width=width, markup=False, highlight=False, emoji=False)


class _PlainConsole(Console):
    """Prints what others wrote without obeying it: no control character reaches the terminal."""

    def render_str(self, text: str, **how: Any) -> Text:
        clean = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
        return super().render_str(clean, **how)


def table(out: Console, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows under upper-case titles. Columns that are empty in every row are left out."""
    lines = [list(row) for row in rows]
    kept = [i for i, _ in enumerate(columns) if any(line[i] for line in lines)]
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for i in kept:
        column = columns[i]
        longest = max(len(column.title), *(len(line[i]) for line in lines))
        shown.add_column(
            column.title,
            justify=column.justify,
            no_wrap=not column.folds,
            overflow="fold",
            # Names and money are copied by hand: where the window is narrow, others give way.
            min_width=None if column.folds else longest,
        )
    for line in lines:
        shown.add_row(*(line[i] for i in kept))
    with out.capture() as captured:
        out.print(shown)
    # The library pads every line to the window's width.
    for text in captured.get().splitlines():
        out.file.write(text.rstrip() + "\n")


def print_json(content: Any) -> None:
    """The machine's view: one JSON document."""
    print(json.dumps(content, indent=2, default=str))


def amount(written: object) -> Decimal | None:
    """A decimal string of the API; None when absent or unreadable."""
    if written is None or isinstance(written, bool):
        return None
    try:
        return Decimal(str(written))
    except InvalidOperation:
        return None


def usd(value: object) -> str:
    """Dollars as people read them: cents, and more digits only below a cent."""
    number = value if isinstance(value, Decimal) else amount(value)
    if number is None:
        return ""
    digits = "0.0001" if 0 < abs(number) < Decimal("0.1") else "0.01"
    return f"{number.quantize(Decimal(digits)):,}"
