"""The calendar month in PromQL: what it has cost so far, and what it will cost when it goes on like this.

Whole hours come from the recording rules, one sample each; what the last hour cost comes from the counters themselves,
so that the figure is that of now and an app's first hour has one. Months are those of UTC.
"""

from __future__ import annotations

from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import recording
from ragmeter.dashboards.selection import Selection
from ragmeter.naming import hourly_series, semconv

ASKED_FOR = "month(max_over_time(vector(time())[2s:1s] @ end()))"
"""Inside a subquery month() is that of each of its steps: this is the month in which the chosen range ends."""
INTO_MONTH = f"((day_of_month() - 1) * {promql.DAY} + time() % {promql.DAY})"
"""Seconds since the month began."""
LEFT_OF_MONTH = f"(days_in_month() * {promql.DAY} - {INTO_MONTH})"
"""Seconds."""
DAY_OF_HOURS = "24"
WEEK_OF_HOURS = "168"


def so_far(within: Selection) -> str:
    """US dollars of the month in which the chosen range ends, until its end.

    Nothing where hours are missing: before the first one was recorded for an app that is older than an hour.
    """
    cost = within.recorded(hourly_series.COST)
    hour = promql.total(f"last_over_time({cost}[1h])")
    begins_in_month = f"month(vector(time() - {promql.HOUR} / 2)) == on () {ASKED_FOR}"
    hours = f"sum_over_time({promql.where(hour, begins_in_month)}[31d:1h])"
    # In the first hours of a month there is none of its own yet, of an app none at all, of a label perhaps never.
    known = f"({hours} or 0 * ({_is_recorded()} or {_is_young(within)}))"
    between = _since_the_clocks_hour(within, cost, hour)
    return f"{known} + ({between} or vector(0)) + ({_last_hour(within)} or vector(0))"


def so_far_from(within: Selection) -> str:
    """When `so_far` will be there, in milliseconds since 1970: an hour after app and rules were first seen together.

    Nothing where it is there, where that hour is over, and where nothing is spent.
    """
    began = f"min_over_time(timestamp({_app_and_rules(within)})[1h:1m])"
    later = f"1000 * ({began} + {promql.HOUR} > time())"
    return f"{promql.where(f'({later})', _is_spent(within))} unless on () ({_is_recorded()} or {_is_young(within)})"


def projected(within: Selection) -> str:
    """US dollars of the whole month: what is left of it costs the mean hour of the last seven days.

    Nothing in the first day: no hour of it is the mean of a day.
    """
    cost = within.recorded(hourly_series.COST)
    mean = f"{promql.total(f'sum_over_time({cost}[7d])')} / ({_hours_of_a_week(cost)} >= {DAY_OF_HOURS})"
    none = f"0 * {_is_recorded()} unless on () ({_first_hour(cost)} or {_is_spent(within)})"
    return f"({so_far(within)}) + ({mean} or ({none})) * {LEFT_OF_MONTH} / {promql.HOUR}"


def projected_from(within: Selection) -> str:
    """When `projected` will be there, in milliseconds since 1970: a day after the first recorded hour.

    Until that one it is said at the latest. Nothing where it is there, and where hours are not recorded.
    """
    first = _first_hour(within.recorded(hourly_series.COST))
    spent = _is_spent(within)
    at_the_latest = f"min_over_time(timestamp({spent})[1h:1m]) + 25 * {promql.HOUR}"
    is_new = f"{_app_and_rules(within)} unless on () ({first} or {_is_spent(within, '1h')})"
    later = f"({first} + 23 * {promql.HOUR} or {promql.where(f'({at_the_latest})', f'({is_new})')})"
    return f"1000 * ({later} > time())"


def not_priced(within: Selection) -> str:
    """Something where app and rules are there and no call has had a price."""
    return f"{_app_and_rules(within)} unless on () ({_is_spent(within)} or {_is_recorded()})"


def _app_and_rules(within: Selection) -> str:
    """1 where the chosen services are metered, and the rules are loaded."""
    return promql.where(within.metered(), f"group(last_over_time({recording.BUDGET.record}[5m]))")


def _is_recorded() -> str:
    """1 where hours of the chosen services were recorded, whatever else is chosen."""
    cost = promql.selector(hourly_series.COST.name, (promql.one_of(promql.JOB, "$service"),))
    return f"group(last_over_time({cost}[1d]))"


def _is_spent(within: Selection, offset: str = "") -> str:
    """1 where there is anything priced of what is chosen."""
    before = f" offset {offset}" if offset else ""
    return f"group(last_over_time({within.series(semconv.COST)}[5m]{before}))"


def _is_young(within: Selection) -> str:
    """Something where the rules are there with an app that spends, and the app was not an hour ago."""
    young = f"{_app_and_rules(within)} unless on () {within.metered('1h')}"
    return promql.where(f"({young})", _is_spent(within))


def _first_hour(cost: str) -> str:
    """When the first hour of the last seven days was recorded, in whole hours of the clock."""
    return f"min_over_time(timestamp(group(last_over_time({cost}[1h])))[7d:1h])"


def _hours_of_a_week(cost: str) -> str:
    """Hours from the first recorded one of the last seven days until now."""
    return f"clamp_max(floor((time() - {_first_hour(cost)}) / {promql.HOUR}) + 1, {WEEK_OF_HOURS})"


def _last_hour(within: Selection) -> str:
    """What the last hour cost, as far as it lies in the month."""
    seconds = f"({within.seconds_with_data('1h')} or vector({promql.MINUTE}))"
    return f"{within.grown(semconv.COST, window='1h')} * clamp_max({INTO_MONTH} / {seconds}, 1)"


def _since_the_clocks_hour(within: Selection, cost: str, hour: str) -> str:
    """What to add to the recorded hours of the clock, so that they reach to one hour ago.

    An hour is recorded at some minute of the clock. The last sample is counted here for the part of its hour that ended
    an hour ago, and taken back where the sum of the clock's hours has it. An app's first hour is not a whole one.
    """
    recorded_at = f"max(max_over_time(timestamp(last_over_time({cost}[1m]))[1h:1m]))"
    since = f"(time() - {recorded_at})"
    since_start = f"(time() - min_over_time(timestamp({within.metered()})[2h:1m]) or vector(2 * {promql.HOUR}))"
    length = f"clamp({since_start} - {since}, {promql.MINUTE}, {promql.HOUR})"
    part = f"clamp_min(1 - ({promql.HOUR} - {since}) / {length}, 0)"
    is_not_yet_summed = f"({recorded_at} > bool (time() - time() % {promql.HOUR}))"
    return f"{hour} * ({part} + {is_not_yet_summed} - 1) * ({INTO_MONTH} >= bool {promql.HOUR})"
