"""Plots as inline SVG, drawn with nothing but strings: filled areas, lines, grouped bars.

Called by `report`. Every text that comes from a user is escaped here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#1f6f8b", "#e07a3f", "#6a4c93", "#3a8f5c")
GREY = "#8a8f98"
_WIDTH, _HEIGHT = 920, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 16, 14, 34

Format = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Line:
    """A named run of figures over the plot's ticks."""

    name: str
    values: Sequence[float]
    colour: str
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """The horizontal axis: how many ticks there are, and which of them are named."""

    ticks: int
    names: Sequence[tuple[int, str]]


def areas(lines: Sequence[Line], axis: Axis, told: Format, ceiling: Line | None = None) -> str:
    """Lines stacked on each other and filled, with a ceiling drawn over them."""
    sums = [sum(at) for at in zip(*(line.values for line in lines), strict=True)]
    frame = _Frame(axis, max([*sums, *(ceiling.values if ceiling else ()), 1.0]))
    drawn, below = [], [0.0] * axis.ticks
    for line in lines:
        above = [a + b for a, b in zip(below, line.values, strict=True)]
        points = frame.points(above) + frame.points(below)[::-1]
        drawn.append(f'<polygon points="{_joined(points)}" fill="{line.colour}" opacity=".85"/>')
        below = above
    drawn += [_polyline(frame, ceiling)] if ceiling else []
    return frame.svg(drawn, told)


def lines(found: Sequence[Line], axis: Axis, told: Format) -> str:
    """Lines over each other."""
    frame = _Frame(axis, max(max(line.values, default=0.0) for line in found) or 1.0)
    return frame.svg([_polyline(frame, line) for line in found], told)


def bars(groups: Sequence[str], found: Sequence[Line], told: Format, top: float) -> str:
    """Bars side by side, one of every line in each group, with their figures; `top` is the most."""
    frame = _Frame(Axis(len(groups) + 1, ()), top)
    room = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    each = room * 0.72 / len(found)
    drawn = []
    for g, group in enumerate(groups):
        left = _LEFT + g * room + room * 0.14
        for i, line in enumerate(found):
            value, x = line.values[g], left + i * each
            high = frame.y(value)
            drawn.append(
                f'<rect x="{x:.1f}" y="{high:.1f}" width="{each - 3:.1f}" '
                f'height="{max(0.0, frame.y(0) - high):.1f}" fill="{line.colour}" rx="2"/>'
                + _text(x + each / 2 - 1, high - 3, told(value), "middle", 11)
            )
        drawn.append(_text(left + room * 0.36, _HEIGHT - 12, group, "middle", 12))
    return frame.svg(drawn, told)


def legend(found: Sequence[Line]) -> str:
    """Names and colours above a plot."""
    keys = (
        f'<span class="key"><i style="background:{line.colour};'
        f'{"height:3px;margin-bottom:4px" if line.dashed else ""}"></i>{escape(line.name)}</span>'
        for line in found
    )
    return f'<div class="legend">{"".join(keys)}</div>'


class _Frame:
    """The box of a plot and its scales."""

    def __init__(self, axis: Axis, highest: float) -> None:
        self._axis = axis
        self._step = _round_step(highest / 4)
        self._top = self._step * math.ceil(highest / self._step - 1e-9)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self._top * (_HEIGHT - _TOP - _BOTTOM)

    def x(self, tick: float) -> float:
        return _LEFT + tick / max(1, self._axis.ticks - 1) * (_WIDTH - _LEFT - _RIGHT)

    def points(self, values: Sequence[float]) -> list[tuple[float, float]]:
        return [(self.x(i), self.y(v)) for i, v in enumerate(values)]

    def svg(self, drawn: Sequence[str], told: Format) -> str:
        grid, value = [], 0.0
        while value <= self._top * (1 + 1e-9):
            y = self.y(value)
            grid.append(
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                'stroke="#e3e6ea"/>' + _text(_LEFT - 8, y + 4, told(value), "end", 11)
            )
            value += self._step
        names = [
            _text(self.x(t), _HEIGHT - 12, n, "end" if t == self._axis.ticks - 1 else "middle", 11)
            for t, n in self._axis.names
        ]
        body = "".join([*grid, *drawn, *names])
        return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{body}</svg>'


def _polyline(frame: _Frame, line: Line) -> str:
    dash = ' stroke-dasharray="6 5"' if line.dashed else ""
    return (
        f'<polyline points="{_joined(frame.points(line.values))}" fill="none" '
        f'stroke="{line.colour}" stroke-width="2.2"{dash}/>'
    )


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(x: float, y: float, words: str, anchor: str, size: int) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#4a4f57">{escape(words)}</text>'
    )


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not below `least`."""
    power = 10.0 ** math.floor(math.log10(max(least, 1e-9)))
    return next(power * f for f in (1, 2, 5, 10) if power * f >= least * (1 - 1e-9))
