"""What a reader must know of a plan's figures, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ragmeter.domain.model import PriceState
from ragmeter.domain.strategy import STRATEGIES
from ragmeter.planning.assumptions import Assumptions, doubtful, not_counted
from ragmeter.planning.bills import is_tuned
from ragmeter.planning.quantities import COMPONENTS
from ragmeter.planning.spread import percent
from ragmeter.planning.strategies import standard_error, too_little
from ragmeter.planning.workload import Traffic, Workload


def notes(workload: Workload, assumptions: Assumptions, built: Iterable[str]) -> Iterator[str]:
    """What a reader must know of the figures."""
    yield from workload.notes
    yield from (note for traffic in workload.strategies.values() for note in _of_traffic(traffic))
    if own := ", ".join(sorted(set(workload.strategies) - set(STRATEGIES))):
        yield f"Not compared, because it is the app's own strategy: {own}. Its queries count among those of a day."
    if not assumptions.has("queries_per_day") and not workload.days:
        yield "It is not said how many queries come in a day. Write queries_per_day."
    elif not assumptions.has("queries_per_day"):
        yield (
            f"{workload.days:.3g} days were measured, less than one: they show what a query costs, not how many "
            "come in a day. Write queries_per_day."
        )
    yield from doubtful(assumptions)
    if paid := " and ".join(name.replace("_", "-") for name in built):
        yield f"The set-up of {paid} counts as paid, because it is in use; built: [] counts it again."
    yield from _of_labour(assumptions, built)
    yield from _of_deriving(workload)
    if left_out := ", ".join(not_counted(assumptions)):
        yield f"Not counted, because no amount was given: {left_out}."


def _of_labour(assumptions: Assumptions, built: Iterable[str]) -> Iterator[str]:
    sides = [assumptions.values.get(f"{component}.labour") for component in COMPONENTS if component not in set(built)]
    if len(sides) == len(COMPONENTS) and all(side is not None and side.source.startswith("https") for side in sides):
        yield (
            "The defaults charge weeks of engineering to retrieval, and to fine-tuning only the preparation of "
            "data: write your own retrieval.labour and fine_tuning.labour."
        )


def _of_deriving(workload: Workload) -> Iterator[str]:
    if len(seen := [name for name, traffic in _all_of(workload).items() if traffic.queries]) > 1:
        yield f"{', '.join(seen)} answered different queries: what sets them apart is not the strategy alone."
    if any(is_tuned(name) and not traffic.queries for name, traffic in _all_of(workload).items()):
        yield (
            "Fine-tuning was not measured. It is assumed to answer as well without the context, at the length of "
            "fine_tuning.answer_length: try whether it does."
        )


def _all_of(workload: Workload) -> dict[str, Traffic]:
    """The traffic of every strategy; what was not seen has no queries."""
    return {name: workload.strategies.get(name, Traffic(name, 0, 0, {})) for name in STRATEGIES}


def _of_traffic(traffic: Traffic) -> Iterator[str]:
    name = traffic.strategy
    if why := too_little(traffic):
        yield f"{why[:1].upper()}{why[1:]}: they are left out."
    elif traffic.queries and traffic.cost_per_query and standard_error(traffic) is None:
        yield f"It was not measured how much the queries of {name} differ in cost: their mean counts as exact."
    if missing := traffic.price_states.get(PriceState.UNPRICED):
        yield f"{percent(missing)} of the calls of {name} have no known price: what they cost is in no figure."
