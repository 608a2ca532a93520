"""A plot of lines on logarithmic axes, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 48, 52
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Colours that also the colour-blind tell apart (Okabe and Ito, https://jfly.uni-koeln.de/color/)."""
INK, GRID = "#57606a", "#8b949e"

Line = Sequence[tuple[float, float]]
"""Points, both of their numbers above zero."""


class Axis:
    """From one power of ten to another, on so many pixels."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low, self.high = floor(log10(min(values))), ceil(log10(max(values)))
        self.high = max(self.high, self.low + 1)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = (log10(value) - self.low) / (self.high - self.low)
        return round(self._start + share * (self._end - self._start), 1)

    def decades(self) -> list[float]:
        """The powers of ten."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def svg(title: str, across: str, up: str, lines: Mapping[str, Line]) -> str:
    """The plot of named lines, over a background of the reader's."""
    points = [point for line in lines.values() for point in line]
    if not points:
        raise ValueError(f"nothing to draw in {title!r}: give at least one point")
    x = Axis([point[0] for point in points], LEFT, WIDTH - RIGHT)
    y = Axis([point[1] for point in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        _text(LEFT, 18, title, size=14),
        *_grid(x, y),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, across, anchor="middle"),
        f'<g transform="rotate(-90 16 {HEIGHT / 2})">{_text(16, HEIGHT / 2, up, anchor="middle")}</g>',
    ]
    for number, (name, line) in enumerate(lines.items()):
        parts += _line(name, line, x, y, number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    rule = f'<line stroke="{GRID}" stroke-opacity=".35"'
    for value in x.decades():
        at = x.at(value)
        yield f'{rule} x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield _text(at, HEIGHT - BOTTOM + 18, _told(value), anchor="middle")
    for value in y.decades():
        at = y.at(value)
        yield f'{rule} x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        yield _text(LEFT - 8, at + 4, _told(value), anchor="end")


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _line(name: str, line: Line, x: Axis, y: Axis, number: int) -> Iterator[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(x.at(across), y.at(up)) for across, up in line]
    drawn = " ".join(f"{across},{up}" for across, up in places)
    yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{drawn}"/>'
    yield from (f'<circle fill="{colour}" r="3" cx="{across}" cy="{up}"/>' for across, up in places)
    yield _text(LEFT + 210 * number, 36, f"● {name}", colour=colour)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, colour: str = INK) -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
