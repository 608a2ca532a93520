"""How figures look on every dashboard: units, axes, colours, and the words that stand where there is no figure."""

from __future__ import annotations

from ragmeter import palette

DOLLARS = "currencyUSD"
SECONDS = "s"
SHARE = "percentunit"
NUMBER = "short"
COUNT = "locale"
PER_SECOND = "suffix: /s"
TIMES = "suffix:\u00d7"
FROM_THEN_ON = "time:[from] ddd HH:mm [on]"
"""Of a time in milliseconds since 1970."""

LEAST_AXIS = {DOLLARS: 1e-6, SECONDS: 0.001, SHARE: 0.01, NUMBER: 1.0, PER_SECOND: 0.01, TIMES: 1.0}
"""How far the axis of a graph of zeros goes, by unit: left to itself it goes to 100, which is 10,000 %."""

NEXT_TO_NOTHING = 1e-9
"""The same for bars to both sides: with a soft limit beyond them Grafana leaves no room for what is written there."""

PLAIN = "semi-dark-blue"
"""The colour of what means nothing by its colour."""

FAINT = "#8e8e8e"
"""The colour of what something is compared with."""

NO_POINT = "no data at this resolution: a shorter range may have some"
"""Shown where a graph has no data: the points of a week are ten minutes apart."""

NEEDS_RULES = "needs the recording rules"
"""Shown where a figure reads recorded series and finds none."""

NOT_PRICED = "no call with a price"
"""Shown where a figure is a sum of money, and no price is known."""

WHOLE_HOURS = "from the first full hour on"
"""Shown where a graph of hours has none yet."""

RECORDED_HOURLY = "from the first full hour on, with the recording rules"
"""Shown where a graph reads what is recorded once an hour and finds nothing."""

NO_UNITS = "nothing was billed beside tokens"
NO_INGESTION = "no ingestion with a price"
"""Shown where an app has billed none of these."""

NO_WASTE = "no context that bought nothing"
"""Shown where no chunk was unused or repeated."""

AFTER_HOURS = "after six hours"
"""Shown where a figure needs other hours to compare with."""

NOTHING_BEFORE = "no comparable time before this one"
"""Shown where there was no data then, or less, or the chosen range reaches into it."""

ORIGINS = {origin.value: colour for origin, colour in palette.ORIGINS.items()}
FATES = {fate.value: colour for fate, colour in palette.FATES.items()}
