"""The page of `ragmeter plan --html`: the same figures as in the terminal, with charts, in one file."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template

from ragmeter.cli import plan_charts, plan_words, right_k_picture
from ragmeter.cli.markup import broken, legend, linked, safe, section, soft, table
from ragmeter.planning.assumptions import NOBODY
from ragmeter.planning.claims import Check
from ragmeter.planning.plan import Plan, Row
from ragmeter.planning.right_k import RightK
from ragmeter.planning.strategies import Basis
from ragmeter.planning.uncertainty import Comparison
from ragmeter.planning.verdict import in_words
from ragmeter.version import VERSION

MARKS = {Basis.MEASURED: "●", Basis.DERIVED: "◐", Basis.ASSUMED: "○", Basis.UNKNOWN: "-"}
"""What stands before a basis: the fuller, the better it is known."""

MEANINGS = {
    Basis.MEASURED: "the mean cost of the strategy's own queries",
    Basis.DERIVED: "measured tokens of another strategy, at the price of this one's model",
    Basis.ASSUMED: "tokens that a scenario gives and nobody has seen",
    Basis.UNKNOWN: "no price, or no context to go by",
}

PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; --page: #fff; --card: #f5f6f8; --ink: #16181d; --soft: #565b66; --line: #d9dce3;
  --link: #2446b8; --good: #17683a; --bad: #a3260b; --bar: #4f5a72; --tone: .86; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0c0e12; --card: #161a21; --ink: #e9ebf0; --soft: #a6adba; --line: #2d333e;
    --link: #9db7ff; --good: #6fd69a; --bad: #ff9c86; --bar: #9aa6bf; --tone: 1.35; }
}
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 64rem;
  margin: 0 auto; padding: 1.5rem 1rem 3rem; overflow-wrap: break-word; }
h1 { font-size: 1.05rem; margin: 0; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.6rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
p { margin: .4rem 0; }
a { color: var(--link); }
code { font: .92em ui-monospace, monospace; }
time { white-space: nowrap; }
.soft { color: var(--soft); font-size: .9rem; }
.verdict { background: var(--card); border-radius: 12px; padding: 1.1rem 1.3rem; margin: 1rem 0 0; }
.verdict .answer { font-size: 1.55rem; line-height: 1.3; font-weight: 650; margin: 0 0 .6rem; text-wrap: pretty; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-size: .85rem; color: var(--soft); font-weight: 600; }
tbody th { font-weight: 600; white-space: nowrap; }
.number { text-align: right; }
td.number { white-space: nowrap; }
svg { display: block; max-width: 100%; }
svg text { font: 13px system-ui, sans-serif; fill: var(--soft); }
svg text.told { fill: var(--ink); }
svg.wide, svg.narrow { width: 100%; height: auto; margin: .4rem 0; }
svg.narrow { display: none; }
.grid { stroke: var(--line); }
.today { stroke: var(--ink); stroke-dasharray: 3 3; }
.mark { stroke-width: 2.5; filter: brightness(var(--tone)); }
.area { fill-opacity: .16; stroke: none; }
.bar { fill: var(--bar); }
.stack { width: 100%; height: 1.5rem; }
.stack rect { stroke: var(--page); stroke-width: 1; }
.correlation { width: 100%; min-width: 7rem; height: 1.2rem; }
.sample { display: inline-block; vertical-align: middle; margin-right: .4rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; margin: .4rem 0; padding: 0; list-style: none; }
.dot { display: inline-block; width: .8em; height: .8em; border-radius: 3px; margin-right: .45em;
  filter: brightness(var(--tone)); }
.stacks { list-style: none; padding: 0; margin: .8rem 0; }
.stacks li { display: grid; grid-template: "name bar cost" / 9rem minmax(0, 1fr) minmax(4rem, max-content);
  gap: .2rem .9rem; align-items: center; margin: .5rem 0; font-variant-numeric: tabular-nums; }
.stacks .name { grid-area: name; }
.stacks svg { grid-area: bar; }
.stacks .number { grid-area: cost; }
ul.plain { padding-left: 1.2rem; margin: .5rem 0; }
ul.plain li { margin: .35rem 0; }
.holds { color: var(--good); font-weight: 650; }
.fails { color: var(--bad); font-weight: 650; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .7rem; }
@media (max-width: 44rem) {
  .verdict .answer { font-size: 1.25rem; }
  svg.wide { display: none; }
  svg.narrow { display: block; }
  .stacks li { grid-template: "name cost" "bar bar" / minmax(0, 1fr) max-content; margin: .8rem 0; }
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { padding: .5rem 0; border-bottom: 1px solid var(--line); }
  tbody th, td.number { white-space: normal; }
  th, td { border: 0; padding: .1rem 0; }
  td { display: flex; justify-content: space-between; gap: 1rem; text-align: right; }
  td::before { content: attr(data-label); color: var(--soft); text-align: left; flex: none; }
  td.long { display: block; text-align: left; }
  td.long::before { content: none; }
}
@media print { :root { --page: #fff; --ink: #000; } h2 { break-after: avoid; } svg, tr { break-inside: avoid; } }
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="soft">$headline</p>
</header>
<main>
$sections
</main>
<footer class="soft">Made by ragmeter $version: $draws draws with seed $seed. The same figures and curves as numbers:
<code>ragmeter plan … --json</code>. What the words mean, and the sums: <code>docs/plan.md</code> of ragmeter.</footer>
</body>
</html>
"""
)


def page(plan: Plan) -> str:
    """The whole page; everything that comes from outside is escaped, and nothing is loaded from anywhere."""
    sections = (
        _verdict(plan),
        _costs(plan),
        _by_origin(plan),
        _over_months(plan),
        _over_volumes(plan),
        _break_evens(plan),
        _drivers(plan),
        _right_k(plan),
        _claims(plan),
        _assumptions(plan),
        _notes(plan),
    )
    return PAGE.substitute(
        title=safe(plan.title or "RAG or fine-tuning?"),
        headline=linked(plan_words.headline(plan)),
        sections="\n".join(filter(None, sections)),
        version=safe(VERSION),
        draws=f"{plan.draws:,}",
        seed=plan.seed,
    )


# --- names


def _name(strategy: str) -> str:
    return f"{plan_charts.sample(strategy)}{safe(strategy)}"


def _basis(basis: Basis) -> str:
    return f'<span aria-hidden="true">{MARKS[basis]}</span> {basis.value}'


# --- sections


def _verdict(plan: Plan) -> str:
    return (
        f'<section class="verdict" aria-label="Verdict">\n<p class="answer">{safe(plan.verdict.answer)}</p>\n'
        f"<p>{safe(plan.verdict.next)}</p>\n</section>"
    )


def _costs(plan: Plan) -> str:
    has_success = any(row.cost_per_success for row in plan.rows)
    headings = ("strategy", "basis", *plan_words.cost_headings(plan), "10 % to 90 %")
    headings += ("1K answered well",) if has_success else ()
    rows = [
        (
            _name(row.strategy),
            _basis(row.basis),
            *plan_words.costs(row),
            plan_words.total_range(row),
            *((plan_words.per_thousand_successes(row),) if has_success else ()),
        )
        for row in plan.rows
    ]
    there = [basis for basis in Basis if any(row.basis is basis for row in plan.rows)]
    told = legend([f"{_basis(basis)}: {MEANINGS[basis]}" for basis in there])
    middle = soft(
        "In US dollars, with the median of each assumption. At 10x: a month at ten times the traffic. 10 % to 90 %: "
        f"the range of the {plan.months} months' total in 80 % of the draws."
    )
    return section("costs", "What it costs", table("costs", headings, rows, texts=("basis",)), told, middle)


def _by_origin(plan: Plan) -> str:
    rows = [row for row in plan.rows if row.has_price]
    if not rows:
        return ""
    bars = "".join(
        f'<li><span class="name">{safe(row.strategy)}</span> {plan_charts.stack(plan, row)}'
        f'<span class="number">{plan_words.amount(row.cost_per_thousand)}</span></li>'
        for row in rows
    )
    parts = legend([_part(part) for part in plan_charts.parts_of(plan)])
    return section(
        "origins", "What 1,000 queries cost, by origin", f'<ul class="stacks">{bars}</ul>', parts, _whys(plan)
    )


def _part(part: str) -> str:
    dot = f'<span class="dot" style="background: {plan_charts.colour_of(part)}"></span>'
    return f"{dot}{safe(part.replace('_', ' '))}"


def _whys(plan: Plan) -> str:
    items = "".join(f"<li>{safe(row.strategy)}: {_why(row)}</li>" for row in plan.rows)
    return f'<ul class="plain soft">{items}</ul>'


def _why(row: Row) -> str:
    return f"{_basis(row.basis)}, {safe(plan_words.origin(row))}"


def _strategies(plan: Plan) -> str:
    return legend([_name(row.strategy) for row in plan.rows if row.has_price])


def _over_months(plan: Plan) -> str:
    chart = plan_charts.over_months(plan)
    if not chart:
        return ""
    told = soft(
        "All that was paid until then. Lines are medians, areas hold 80 % of the draws; the set-up comes first."
    )
    return section("months", "What it costs, month by month", _strategies(plan), chart, told)


def _over_volumes(plan: Plan) -> str:
    chart = plan_charts.over_volumes(plan)
    if not chart:
        return ""
    told = soft(
        f"All that is paid over {plan.months} months, set-up and months included, for 1,000 queries. Lines are "
        "medians, areas hold 80 % of the draws; both axes are logarithmic."
    )
    return section("volumes", "What 1,000 queries cost at any traffic", _strategies(plan), chart, told)


def _break_evens(plan: Plan) -> str:
    if not plan.comparisons:
        return ""
    headings = ("strategy", "cheaper in", "saves", "from queries a day", "paid back on day")
    rows = [
        (
            _name(each.challenger),
            plan_words.chance(each.cheaper),
            plan_words.quantiles(each.saving),
            broken(plan_words.threshold(each.volume)),
            broken(plan_words.threshold(each.day)),
        )
        for each in plan.comparisons
    ]
    told = soft(
        "Lines: in which share of the draws a strategy is cheaper, by the traffic; dots: the break-even in 10, 50 and "
        "90 % of the draws, as in the table."
    )
    heading = f"From which traffic on others are cheaper than {in_words(plan.compared_to)}"
    return section("even", heading, plan_charts.over_draws(plan), told, table("even", headings, rows))


def _drivers(plan: Plan) -> str:
    challenger = plan.verdict.challenger
    best = None if challenger is None else plan.against(challenger)
    if best is None or not best.drivers:
        return ""
    told = soft(
        "Rank correlation: how strongly an assumption moves what is saved, from -1 to 1. Worth: what it would gain on "
        "average to know it before deciding."
    )
    headings = ("assumption", "from -1 to 1", "rank correlation", "worth", "how to know it better")
    drawn = table("drivers", headings, list(_driver_rows(best)), lines=(headings[1], headings[-1]))
    return section("drivers", f"What the savings of {in_words(best.challenger)} depend on", drawn, told)


def _driver_rows(best: Comparison) -> Iterator[tuple[str, ...]]:
    for driver in best.drivers:
        yield (
            f"<code>{safe(driver.quantity.name)}</code>",
            plan_charts.correlation(driver.correlation),
            f"{driver.correlation:+.2f}",
            plan_words.amount(driver.worth or None),
            safe(driver.quantity.learn),
        )


def _right_k(plan: Plan) -> str:
    if not plan.right_k:
        return ""
    tables = (_cuts(number, each) for number, each in enumerate(right_k_picture.dearest(plan.right_k)))
    notes = map(soft, right_k_picture.notes(plan.right_k))
    return section("right-k", "What a smaller k would save and lose", *tables, *notes)


def _cuts(number: int, of: RightK) -> str:
    """The cuts of one collection, the best of them in bold letters."""
    name, rows = f"right-k-{number}", []
    for cut in right_k_picture.rows(of):
        first, *others = map(safe, right_k_picture.cells(cut, is_wide=True))
        rows.append((first, *(f"<strong>{each}</strong>" if cut is of.best else each for each in others)))
    drawn = table(name, right_k_picture.headings(is_wide=True), rows) if rows else ""
    return f'<h3 id="{name}">{safe(right_k_picture.title(of))}</h3>\n<p>{safe(of.verdict)}</p>\n{drawn}'


def _claims(plan: Plan) -> str:
    if not plan.checks:
        return ""
    items = "\n".join(map(_claim, plan.checks))
    return section("claims", "What is claimed", f'<ul class="plain">\n{items}\n</ul>')


def _claim(check: Check) -> str:
    verdict = '<span class="holds">✓ holds</span>' if check.holds else '<span class="fails">✗ does not hold</span>'
    needs = "".join(f"<li>{safe(need)}</li>" for need in check.needs)
    more = f'<ul class="plain soft">{needs}</ul>' if needs else ""
    return f"<li>{verdict}: {safe(check.statement)}; {safe(check.found)}.{more}</li>"


def _assumptions(plan: Plan) -> str:
    rows = [
        (
            f"<code>{safe(each.quantity.name)}</code>",
            plan_words.value(each),
            safe(each.quantity.unit),
            linked(each.source),
        )
        for each in plan.assumptions
        if each.source != NOBODY
    ]
    headings = ("assumption", "value", "unit", "from")
    told = soft("A range is the 5 % to the 95 % quantile.")
    return section("assumptions", "What is assumed", table("assumptions", headings, rows, texts=("unit", "from")), told)


def _notes(plan: Plan) -> str:
    if not plan.notes:
        return ""
    items = "\n".join(f"<li>{linked(note)}</li>" for note in plan.notes)
    return section("notes", "What to know about these figures", f'<ul class="plain">\n{items}\n</ul>')
