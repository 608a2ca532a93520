"""An app as its authors write it: a type checker finds nothing to say, and it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Unpack, assert_type

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

import ragmeter
from ragmeter.run_report import Amount, Figures, Report, Retrieval, StrategySpend
from ragmeter.settings import VARIABLES, SettingsArguments, SettingsError
from ragmeter.status_report import IntegrationStatus, Status, TargetStatus, UnpricedModel

PRICES: dict[str, dict[str, float] | str] = {"our-model": {"input": 0.8, "output": 3.2}, "prod-answers": "gpt-4o-mini"}


def teams() -> Iterator[str]:
    yield from ("search", "support")


def instrument_as_we_do(**settings: Unpack[SettingsArguments]) -> None:
    settings.setdefault("labels", ["team"])
    ragmeter.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider(), **settings)


def answer(question: str) -> str:
    with ragmeter.query("rag", name="answer", team="support", attempt=2) as scope:
        ragmeter.label(team="search")
        ragmeter.context([{"id": "a", "text": "The warranty lasts for two years."}], collection="faq")
        assert scope is not None
        return question


async def answer_later(question: str) -> str:
    async with ragmeter.query(team="support"):
        return question


def refused() -> str:
    try:
        ragmeter.instrument(labels=["gen_ai.team"])
    except SettingsError as error:
        return str(error)
    return ""


def installed(status: Status) -> list[str]:
    integrations: tuple[IntegrationStatus, ...] = status.integrations
    targets: list[TargetStatus] = [target for integration in integrations for target in integration.targets]
    unpriced: tuple[UnpricedModel, ...] = status.unpriced
    return [target.path for target in targets if target.state == "patched"] + [each.model for each in unpriced]


def dearest(report: Report) -> str | None:
    figures: Figures = report
    context: Amount | None = figures.parts.get("context")
    retrieval: Retrieval = figures.retrieval
    spent: list[StrategySpend] = [each for each in figures.strategies if each.cost_per_1k is not None]
    return spent[0].strategy if spent and context and retrieval.searches else None


assert "labels=" in refused()
instrument_as_we_do(
    labels=teams() if Path("teams").exists() else ("team", "attempt"),
    prices=PRICES if not Path("prices.toml").exists() else Path("prices.toml"),
    profile="both",
    only=None,
    skip={"chromadb"},
    exact_tokens=False,
    max_label_values=50,
)
assert_type(answer("How long is the warranty?"), str)
assert_type(asyncio.run(answer_later("And after that?")), str)
assert_type(ragmeter.flush(timeout=10), bool)
assert_type(ragmeter.status(), Status)
assert_type(VARIABLES, dict[str, str])
assert installed(ragmeter.status()) == []
assert_type(ragmeter.status().active, bool)
assert_type(ragmeter.report(), Report)
assert_type(ragmeter.report().spend, float | None)
assert dearest(ragmeter.report()) is None
ragmeter.uninstrument()
