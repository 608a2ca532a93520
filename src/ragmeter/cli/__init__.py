"""The command `ragmeter`. Its libraries are extras: an application that is only measured needs none of them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer

REQUIRED = ("typer", "rich")


def main() -> None:
    """Run the command line; exits with status 2 when the libraries for it are not installed."""
    missing = [name for name in REQUIRED if find_spec(name) is None]
    if missing:
        print(
            f"The command ragmeter needs {' and '.join(missing)}: pip install 'ragmeter[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    application()(prog_name="ragmeter")


def application() -> Typer:
    """The command line with all its commands."""
    from typer import Typer

    from ragmeter.cli import dashboards, export
    from ragmeter.cli.anatomy import anatomy
    from ragmeter.cli.demo import demo
    from ragmeter.cli.doctor import doctor
    from ragmeter.cli.plan import plan
    from ragmeter.cli.price import price
    from ragmeter.cli.top import top

    app = Typer(
        help="What a thousand answers cost: with RAG, with fine-tuning, with both and with neither.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
    )
    app.command()(anatomy)
    app.command()(demo)
    app.command()(doctor)
    app.command()(plan)
    app.command()(price)
    app.command()(top)
    app.add_typer(dashboards.app, name="dashboards")
    app.add_typer(export.app, name="export")
    return app
