"""The charts of a plan's page, as SVG: costs over months and over traffic, shares of the draws, costs by origin.

Each is drawn twice, for a wide and for a narrow screen, so that its letters are as large as those around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

from ragmeter import palette
from ragmeter.cli.plan_words import amount, chance, threshold
from ragmeter.planning.plan import Plan, Row
from ragmeter.planning.spread import Spread
from ragmeter.planning.uncertainty import Comparison
from ragmeter.planning.verdict import in_words

DASHES = {"base": "2 4", "rag": "none", "fine_tuned": "9 4", "fine_tuned_rag": "9 3 2 3"}
"""How the line of each strategy is broken, for those who tell no colours apart."""

WIDE, NARROW = (880, 380), (360, 320)
"""Width and height of a chart's two drawings."""

LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 44
"""Room around the plot, for the labels of its axes."""

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""What a step between two labels begins with."""

MONTH_STEPS = (1, 2, 3, 6, 12, 24)

PLAIN, NO_PART = "#8a8d96", ("beside tokens", "unplaced")
"""The colour of what is no part of a query, and what that is."""

LEAST_SHARE = 1e-9
"""By how much a quotient may be off."""

DECADES = 9
"""How many powers of ten a chart shows at most."""

Band = Mapping[str, Sequence[Spread]]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where values lie: from `low` to `high` they go from the pixel `start` to `end`, evenly or by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; what lies outside is at the nearer end."""
        bounded = min(max(value, self.low), self.high)
        if self.is_log:
            share = (log10(bounded) - log10(self.low)) / (log10(self.high) - log10(self.low))
        else:
            share = (bounded - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot of a size with its two axes, their labels and what they are called."""

    size: tuple[int, int]
    x: Axis
    y: Axis
    x_labels: Sequence[tuple[float, str]]
    y_labels: Sequence[tuple[float, str]]
    x_title: str

    @classmethod
    def of(
        cls, size: tuple[int, int], x: tuple[float, float], y: tuple[float, float], titles: str, *, is_log: str = ""
    ) -> Frame:
        """A plot from and to values on both axes; `is_log` names those that are logarithmic."""
        width, height = size
        across = Axis(*x, LEFT, width - RIGHT, "x" in is_log)
        up = Axis(*y, height - BOTTOM, TOP, "y" in is_log)
        every = 2 if size == NARROW and across.is_log else 1
        most = 4 if size == NARROW else 7
        x_labels = [(at, compact(at)) for at in (decades(*x)[::every] if across.is_log else months(x[1], most))]
        y_labels = [(at, compact(at, "$")) for at in (decades(*y) if up.is_log else steps(y[1], 5))]
        return cls(size, across, up, x_labels, y_labels, titles)

    def axes(self) -> Iterator[str]:
        """Lines and labels of both axes."""
        width, height = self.size
        for value, label in self.y_labels:
            y = self.y.at(value)
            yield f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y}" y2="{y}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        for value, label in self.x_labels:
            x = self.x.at(value)
            yield f'<line class="grid" x1="{x}" x2="{x}" y1="{height - BOTTOM}" y2="{height - BOTTOM + 5}"/>'
            yield f'<text x="{x}" y="{height - BOTTOM + 19}" text-anchor="middle">{label}</text>'
        yield f'<text x="{(LEFT + width - RIGHT) / 2}" y="{height - 6}" text-anchor="middle">{self.x_title}</text>'

    def line(self, strategy: str, points: Sequence[tuple[float, float]]) -> str:
        """The line of a strategy through points."""
        style = f'stroke="{palette.STRATEGIES[strategy]}" stroke-dasharray="{DASHES[strategy]}"'
        return f'<polyline class="mark" fill="none" {style} points="{self._path(points)}"/>'

    def band(self, strategy: str, xs: Sequence[float], spreads: Sequence[Spread]) -> str:
        """The area from the 10 % to the 90 % quantile, and the line of the median upon it."""
        upper = [(x, each.p90) for x, each in zip(xs, spreads, strict=True)]
        lower = [(x, each.p10) for x, each in zip(xs, spreads, strict=True)]
        area = self._path([*upper, *reversed(lower)])
        middle = [(x, each.p50) for x, each in zip(xs, spreads, strict=True)]
        colour = palette.STRATEGIES[strategy]
        return f'<polygon class="mark area" fill="{colour}" points="{area}"/>{self.line(strategy, middle)}'

    def _path(self, points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{self.x.at(x):g},{self.y.at(y):g}" for x, y in points)

    def marker(self, value: float, label: str) -> str:
        """An upright line at a value, with what it is on its side that has more room."""
        if not self.x.low <= value <= self.x.high:
            return ""
        x = self.x.at(value)
        is_left = x < self.size[0] / 2
        anchor, beside = ("start", x + 6) if is_left else ("end", x - 6)
        return (
            f'<line class="today" x1="{x}" x2="{x}" y1="{TOP}" y2="{self.size[1] - BOTTOM}"/>'
            f'<text x="{beside:.1f}" y="{TOP + 12}" text-anchor="{anchor}">{label}</text>'
        )


def compact(value: float, before: str = "") -> str:
    """A number as an axis shows it: 2.5K, 10M."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{before}{value / size:,g}{letter}" if value < 1e16 else f"{before}{value:.0e}"
    return f"{before}{value:g}"


def steps(high: float, most: int) -> list[float]:
    """Round values from 0 to `high` or just above it, about as many as `most`."""
    rough = high / most
    size = 10.0 ** floor(log10(rough))
    step = next(size * each for each in STEPS if size * each >= rough * (1 - LEAST_SHARE))
    return [number * step for number in range(ceil(high / step - LEAST_SHARE) + 1)]


def months(high: float, most: int) -> list[float]:
    """Months from 0 to `high` at distances that people count in, no more than `most` after the first."""
    step = next(each for each in MONTH_STEPS if high / each <= most)
    return [float(at) for at in range(0, floor(high) + 1, step)]


def decades(low: float, high: float) -> list[float]:
    """The powers of ten from `low` to `high`."""
    return [10.0**power for power in range(ceil(log10(low) - LEAST_SHARE), floor(log10(high) + LEAST_SHARE) + 1)]


def _figure(name: str, title: str, description: str, drawings: Mapping[str, str]) -> str:
    """Both drawings of a chart, of which a screen shows one."""
    pieces = []
    for kind, (width, height) in (("wide", WIDE), ("narrow", NARROW)):
        ids = f"{name}-{kind}"
        pieces.append(
            f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{ids}-title {ids}-desc">'
            f'<title id="{ids}-title">{escape(title)}</title><desc id="{ids}-desc">{escape(description)}</desc>'
            f"{drawings[kind]}</svg>"
        )
    return "\n".join(pieces)


def _priced(plan: Plan) -> list[Row]:
    return [row for row in plan.rows if row.has_price]


def over_months(plan: Plan) -> str:
    """What was paid until each month, with the 10 % to 90 % of the draws; nothing where today's traffic is unknown."""
    bands = {row.strategy: row.by_month for row in _priced(plan) if row.by_month}
    most = max((each.p90 for band in bands.values() for each in band), default=0.0)
    if not isfinite(most) or most <= 0:
        return ""
    drawings = {}
    for kind, size in (("wide", WIDE), ("narrow", NARROW)):
        frame = Frame.of(size, (0, plan.months), (0, steps(most, 5)[-1]), "months from now")
        drawn = (frame.band(name, range(len(band)), band) for name, band in bands.items())
        drawings[kind] = "".join((*frame.axes(), *drawn))
    told = (f"{in_words(name)} {amount(band[-1].p50)}, {_range(band[-1])}" for name, band in bands.items())
    description = f"After {plan.months} months, median and 10 % to 90 % of the draws: {'; '.join(told)}."
    return _figure("months", "What was paid until each month", description, drawings)


def _range(spread: Spread) -> str:
    return f"{amount(spread.p10)} to {amount(spread.p90)}"


def over_volumes(plan: Plan) -> str:
    """What 1,000 queries cost with all that is paid, by the traffic; both axes are logarithmic."""
    bands = {row.strategy: row.by_volume for row in _priced(plan)}
    known = [end for band in bands.values() for each in band for end in (each.p10, each.p90) if 0 < end < float("inf")]
    if not known:
        return ""
    top = 10.0 ** ceil(log10(max(known)) - LEAST_SHARE)
    bottom = max(10.0 ** floor(log10(min(known)) + LEAST_SHARE), top / 10.0**DECADES)
    bottom = bottom if bottom < top else top / 10
    drawings = {}
    for kind, size in (("wide", WIDE), ("narrow", NARROW)):
        frame = Frame.of(size, (plan.volumes[0], plan.volumes[-1]), (bottom, top), "queries a day", is_log="xy")
        drawn = (frame.band(name, plan.volumes, band) for name, band in bands.items())
        drawings[kind] = "".join((*frame.axes(), *drawn, _today(plan, frame)))
    return _figure("volumes", "What 1,000 queries cost, by the traffic", _by_decade(plan, bands), drawings)


def _today(plan: Plan, frame: Frame) -> str:
    return "" if plan.queries_per_day is None else frame.marker(plan.queries_per_day, "today")


def _by_decade(plan: Plan, bands: Band) -> str:
    """The medians at the least, a middle and the largest traffic."""
    places = (0, len(plan.volumes) // 2, len(plan.volumes) - 1)
    told = (
        f"at {plan.volumes[place]:,.0f} queries a day "
        + ", ".join(f"{in_words(name)} {amount(band[place].p50)}" for name, band in bands.items())
        for place in places
    )
    return f"Medians: {'; '.join(told)}."


def over_draws(plan: Plan) -> str:
    """In which share of the draws each strategy is cheaper, by the traffic: the distribution of its break-even."""
    if not plan.comparisons:
        return ""
    drawings = {}
    for kind, (width, height) in (("wide", WIDE), ("narrow", NARROW)):
        frame = Frame.of((width, height), (plan.volumes[0], plan.volumes[-1]), (0, 1), "queries a day", is_log="x")
        frame = _in_percent(frame)
        drawn = (_of_draws(plan, frame, each) for each in plan.comparisons)
        drawings[kind] = "".join((*frame.axes(), *drawn, _today(plan, frame)))
    told = (
        f"{in_words(each.challenger)} {chance(each.cheaper)} at today's traffic, break-even {threshold(each.volume)}"
        for each in plan.comparisons
    )
    title = f"In which share of the draws others are cheaper than {in_words(plan.compared_to)}, by the traffic"
    return _figure("draws", title, f"{'; '.join(told)}.", drawings)


def _in_percent(frame: Frame) -> Frame:
    labels = [(share, f"{share:.0%}") for share in (0, 0.1, 0.5, 0.9, 1)]
    return Frame(frame.size, frame.x, frame.y, frame.x_labels, labels, frame.x_title)


def _of_draws(plan: Plan, frame: Frame, each: Comparison) -> str:
    """The share by the traffic, with a dot and its traffic at the 10, 50 and 90 % quantile of the break-even."""
    at, pieces = each.volume.at, [frame.line(each.challenger, list(zip(plan.volumes, each.by_volume, strict=True)))]
    for share, value in ((0.1, at.p10), (0.5, at.p50), (0.9, at.p90)):
        if plan.volumes[0] <= value <= plan.volumes[-1]:
            x, y = frame.x.at(value), frame.y.at(share)
            colour = palette.STRATEGIES[each.challenger]
            pieces.append(f'<circle class="mark" fill="{colour}" cx="{x}" cy="{y}" r="5"/>')
            pieces.append(f'<text class="told" x="{x + 10:g}" y="{y + 16:g}">{value:,.0f}</text>')
    return "".join(pieces)


def colour_of(part: str) -> str:
    """The colour of a part of a query's cost."""
    return palette.PARTS["search"] if part == "retrieval" else palette.PARTS.get(part, PLAIN)


def parts_of(plan: Plan) -> list[str]:
    """The parts of all strategies' costs, in the order in which they are drawn."""
    there = {part for row in plan.rows for part, cost in row.by_part.items() if cost}
    order = [*palette.PARTS, "retrieval", *NO_PART]
    return [part for part in order if part in there]


def stack(plan: Plan, row: Row) -> str:
    """The cost of 1,000 queries as one bar of parts, beside the dearest strategy's."""
    most = max((each.cost_per_thousand or 0.0 for each in plan.rows), default=0.0) or 1.0
    costs = {part: row.by_part[part] for part in parts_of(plan) if row.by_part.get(part)}
    told = {part: f"{part.replace('_', ' ')} {amount(cost)}" for part, cost in costs.items()}
    pieces, start = [], 0.0
    for part, cost in costs.items():
        place = f'x="{100 * start / most:.3f}%" width="{100 * cost / most:.3f}%" height="100%"'
        pieces.append(f'<rect class="mark" {place} fill="{colour_of(part)}"><title>{told[part]}</title></rect>')
        start += cost
    name = f"stack-{row.strategy}"
    return (
        f'<svg class="stack" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">What 1,000 queries with {in_words(row.strategy)} cost</title>'
        f'<desc id="{name}-desc">{", ".join(told.values())}</desc>{"".join(pieces)}</svg>'
    )


def sample(strategy: str) -> str:
    """The line of a strategy as it is drawn in charts, for a legend."""
    style = f'stroke="{palette.STRATEGIES[strategy]}" stroke-dasharray="{DASHES[strategy]}"'
    return (
        '<svg class="sample" width="34" height="10" aria-hidden="true">'
        f'<line class="mark" x1="1" x2="33" y1="5" y2="5" {style}/></svg>'
    )


def correlation(of: float) -> str:
    """A rank correlation as a bar to the left or the right of the middle; the number stands beside it."""
    start, width = (50.0, 50 * of) if of > 0 else (50 + 50 * of, -50 * of)
    return (
        '<svg class="correlation" aria-hidden="true"><line class="grid" x1="50%" x2="50%" y1="0" y2="100%"/>'
        f'<rect class="bar" x="{start:.2f}%" width="{max(width, 0.5):.2f}%" y="15%" height="70%"/></svg>'
    )
