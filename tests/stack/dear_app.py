"""The app with prices a thousand times as high: within seconds it spends what makes a spike.

Run as a program. It asks all its queries for every line of its input, and prints a line when it is done.
"""

from __future__ import annotations

import sys

from . import app

TIMES = 1000
PRICES = {model: {part: TIMES * price for part, price in prices.items()} for model, prices in app.PRICES.items()}


def cost_of_a_run(strategy: str) -> float:
    """US dollars that all queries of one strategy cost each time."""
    return TIMES * app.PER_QUERY[strategy] * app.QUERIES[strategy]


def main() -> None:
    """Meter the app while it runs."""
    import ragmeter

    ragmeter.instrument(
        service_name="dear-app", prices=PRICES, fine_tuned=[app.TUNED], providers={"127.0.0.1": "openai"}
    )
    with app.model_server() as url:
        for _ in sys.stdin:
            app.run(url)
            ragmeter.flush()
            print("done", flush=True)


if __name__ == "__main__":
    main()
