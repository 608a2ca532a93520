"""`ragmeter price`: what a model's tokens cost, where its rates come from, and of which day they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ragmeter.cli.price_changes import as_data, read_changes, show_changes
from ragmeter.domain.model import Usage
from ragmeter.money.dollars import dollars
from ragmeter.money.price_table import PriceTable, PriceTableError, read_price_table
from ragmeter.money.pricebook import PriceBook
from ragmeter.money.pricing import Line, Rate
from ragmeter.money.quotes import Quote, QuoteError, quotes, rows_of
from ragmeter.reading.providers import known_providers, provider_named
from ragmeter.status_report import installed_version

CALLS = 1_000


def price(
    model: Annotated[str | None, typer.Argument(help="The model's name, as in the provider's answers.")] = None,
    *,
    provider: Annotated[str | None, typer.Option(help="Only this provider: openai, anthropic, azure …")] = None,
    input: Annotated[int, typer.Option(min=0, help="Tokens of the prompt, cached ones included.")] = 0,  # noqa: A002
    output: Annotated[int, typer.Option(min=0, help="Tokens of the answer, reasoning included.")] = 0,
    cache_read: Annotated[int, typer.Option(min=0, help="Prompt tokens read from the provider's cache.")] = 0,
    cache_write: Annotated[int, typer.Option(min=0, help="Prompt tokens written to that cache.")] = 0,
    prices: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own prices, as TOML or JSON.")] = None,
    update: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show what newer prices change: TOML, JSON, or a wheel of genai-prices."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show a model's rates, where they come from, and what the given tokens cost.

    Reads the installed price list, and nothing from the network. Without --provider: every provider of the model.

    With --update: what a newer list changes, for all models or for one.
    """
    screen, notes = Console(highlight=False), Console(stderr=True, highlight=False)
    usage = Usage(input, output, cache_read_tokens=cache_read, cache_write_tokens=cache_write)
    try:
        _check_options(update, provider)
        if update is not None:
            _compare(screen, update, read_price_table(prices), model, as_json=as_json)
        else:
            _quote(screen, _found(model, provider, usage, prices), usage, as_json=as_json)
    except (QuoteError, PriceTableError) as error:
        notes.print("[red]ragmeter price:[/]", Text(str(error)), soft_wrap=True)
        raise typer.Exit(2) from error


def _check_options(update: Path | None, provider: str | None) -> None:
    if update is not None and provider is not None:
        raise QuoteError("--update compares all providers: leave --provider out.")


def _compare(screen: Console, file: Path, prices: PriceTable, model: str | None, *, as_json: bool) -> None:
    changes = read_changes(file, prices, model, datetime.now(tz=UTC))
    if as_json:
        typer.echo(json.dumps(as_data(changes), indent=2))
    else:
        show_changes(screen, file, changes)


def _quote(screen: Console, found: Sequence[Quote], usage: Usage, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_as_data(quote, asks_cost=_asks_cost(usage)) for quote in found], indent=2))
        return
    for quote in found:
        _show(screen, quote, usage)


def _found(model: str | None, provider: str | None, usage: Usage, prices: Path | None) -> tuple[Quote, ...]:
    if model is None:
        raise QuoteError("Give the name of a model, or --update with a file of newer prices.")
    if (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0) > (usage.input_tokens or 0):
        raise QuoteError("--input counts cached tokens as well: it cannot be less than --cache-read and --cache-write.")
    named = None if provider is None else provider_named(provider)
    if provider is not None and named is None:
        raise QuoteError(f"No provider is called {provider!r}. Known are {', '.join(known_providers())}.")
    return quotes(PriceBook(read_price_table(prices)), model, named, usage, datetime.now(tz=UTC))


def _show(screen: Console, quote: Quote, usage: Usage) -> None:
    screen.print(Text(f"{quote.model} at {quote.provider}", "bold"), soft_wrap=True)
    screen.print(Text(source_of(quote)), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("unit")
    table.add_column("US dollars", justify="right")
    table.add_column("for")
    for rate in sorted(quote.card.rates, key=_position):
        for row in rows_of(rate):
            above = f", prompts above {row.above:,} tokens" if row.above else ""
            table.add_row(row.unit.replace("_", " "), f"${row.price:,.12g}", f"{row.per:,}{above}")
    screen.print(table)
    if _asks_cost(usage):
        _show_cost(screen, quote)
    screen.print()


def _asks_cost(usage: Usage) -> bool:
    """Whether any tokens were given to price."""
    return bool(usage.input_tokens or usage.output_tokens)


def _position(rate: Rate) -> tuple[int, str]:
    """Prompt before answer before what else is billed, as on a bill."""
    return list(Line).index(rate.line), rate.unit


def _show_cost(screen: Console, quote: Quote) -> None:
    cost = quote.cost
    each = (
        f"{dollars(cost.amount)} a call, {dollars(None if cost.amount is None else cost.amount * CALLS)} for {CALLS:,}"
    )
    parts = " + ".join(f"{line.value.replace('_', ' ')} {dollars(amount)}" for line, amount in cost.lines.items())
    screen.print(Text(f"{each} ({cost.state.value}): {parts}"), soft_wrap=True)


def source_of(quote: Quote) -> str:
    """Where the rates come from, with the version or the day of the source."""
    row = quote.card.row
    version = f", version {installed_version('genai-prices')}" if row.startswith("genai-prices") else ""
    guess = "" if quote.card.exact else "; an estimate, because no row is for exactly this model"
    return f"{row}{version}{guess}"


def _as_data(quote: Quote, *, asks_cost: bool) -> dict[str, Any]:
    return {
        "model": quote.model,
        "provider": quote.provider,
        "source": source_of(quote),
        "rates": [
            {"unit": row.unit, "usd": row.price, "per": row.per, "above_input_tokens": row.above}
            for rate in quote.card.rates
            for row in rows_of(rate)
        ],
        "cost": {
            "usd": quote.cost.amount,
            "state": quote.cost.state.value,
            "lines": {line.value: amount for line, amount in quote.cost.lines.items()},
        }
        if asks_cost
        else None,
    }
