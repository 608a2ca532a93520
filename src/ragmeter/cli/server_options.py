"""The options by which commands find a Prometheus-compatible server and a time on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from ragmeter.measured.times import TimeRange, between, last

PASSWORD, TOKEN = "PROMETHEUS_PASSWORD", "PROMETHEUS_TOKEN"
"""Variables of the environment, as others on a machine can see what stands on a command line."""

Length = Annotated[str, typer.Option("--range", metavar="TIME", help="How long until now, such as 14d.")]
Since = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Instead, from this moment, such as 2026-05-01T12:00Z.")
]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="With --from: up to this moment.")]
Select = Annotated[str, typer.Option(metavar="LABELS", help="Only series with these labels, such as 'job=\"shop\"'.")]
User = Annotated[str | None, typer.Option(help="User for basic authentication.")]
Password = Annotated[str, typer.Option(envvar=PASSWORD, help="Its password.", show_default=False)]
Token = Annotated[
    str | None, typer.Option(envvar=TOKEN, help="Token, in place of user and password.", show_default=False)
]


class OptionError(ValueError):
    """Options that cannot be used together; the message says which to give."""


def span_of(length: str, since: str | None, until: str | None) -> TimeRange:
    """The time that `--range`, or `--from` and `--to`, name; `MeasuredError` or `OptionError` where they name none."""
    if since is None and until is None:
        return last(length, datetime.now(UTC))
    if since is None or until is None:
        raise OptionError("--from and --to belong together: give both, or --range.")
    return between(since, until)
