"""The calendar month in PromQL: what it has cost so far, and what it will cost when it goes on like this.

Whole hours come from the recording rules, one sample each; what the last hour cost comes from the counters themselves,
so that the figure is that of now and an app's first hour has one. Months are those of UTC.
"""

from __future__ import annotations

from ragmeter import hourly_series, semconv
from ragmeter.dashboards import expressions as promql
from ragmeter.dashboards import recording
from ragmeter.dashboards.scope import Scope

ASKED_FOR = "month(max_over_time(vector(time())[2s:1s] @ end()))"
"""Inside a subquery month() is that of each of its steps: this is the month in which the chosen range ends."""
INTO_MONTH = f"((day_of_month() - 1) * {promql.DAY} + time() % {promql.DAY})"
"""Seconds since the month began."""
APP_AND_RULES = (
    f"group(last_over_time({promql.selector(recording.COST_RATE_5M, (promql.one_of(promql.JOB, '$service'),))}[5m]))"
)
"""1 where the chosen services cost something, and the recording rules see it."""
LEFT_OF_MONTH = f"(days_in_month() * {promql.DAY} - {INTO_MONTH})"
"""Seconds."""
DAY_OF_HOURS = "24"
WEEK_OF_HOURS = "168"


def so_far(within: Scope) -> str:
    """US dollars of the month in which the chosen range ends, until its end.

    Nothing where hours are missing: before the first one was recorded for an app that is older than an hour.
    """
    cost = within.recorded(hourly_series.COST)
    hour = promql.total(f"last_over_time({cost}[1h])")
    begins_in_month = f"month(vector(time() - {promql.HOUR} / 2)) == on () {ASKED_FOR}"
    hours = f"sum_over_time({promql.where(hour, begins_in_month)}[31d:1h])"
    # In the first hours of a month there is none of its own yet, and of an app none at all.
    known = f"({hours} or 0 * {promql.total(f'last_over_time({cost}[2h])')} or 0 * ({_is_young(within)}))"
    return (
        f"{known} + ({_since_the_clocks_hour(within, cost, hour)} or vector(0)) + ({_last_hour(within)} or vector(0))"
    )


def so_far_from(within: Scope) -> str:
    """When `so_far` will be there, in milliseconds since 1970: an hour after app and rules were first seen together.

    Nothing where it is there, and where that hour is over.
    """
    known = f"group(last_over_time({within.recorded(hourly_series.COST)}[31d])) or {_is_young(within)}"
    return f"{_later('1h', promql.HOUR)} unless on () ({known})"


def projected(within: Scope) -> str:
    """US dollars of the whole month: what is left of it costs the mean hour of the last seven days.

    Nothing in an app's first day: no hour of it is the mean of a day.
    """
    cost = within.recorded(hourly_series.COST)
    mean = f"{promql.total(f'sum_over_time({cost}[7d])')} / ({_hours_of_a_week(cost)} >= {DAY_OF_HOURS})"
    return f"({so_far(within)}) + {mean} * {LEFT_OF_MONTH} / {promql.HOUR}"


def projected_from(within: Scope) -> str:
    """When `projected` will be there, in milliseconds since 1970: a day after the first recorded hour, at the latest.

    Nothing where it is there, and where that day is over.
    """
    known = f"({_hours_of_a_week(within.recorded(hourly_series.COST))} >= {DAY_OF_HOURS})"
    return f"{_later('25h', f'25 * {promql.HOUR}')} unless on () {known}"


def _later(window: str, seconds: str) -> str:
    """So long after app and rules were first seen together within a window: only where that lies ahead."""
    began = f"min_over_time(timestamp({APP_AND_RULES})[{window}:1m])"
    return f"1000 * ({began} + {seconds} > time())"


def _is_young(within: Scope) -> str:
    """Something where the rules have been there with the app, and the app was not an hour ago."""
    return f"({APP_AND_RULES} unless on () {within.metered('1h')})"


def _hours_of_a_week(cost: str) -> str:
    """Hours from the first recorded one of the last seven days until now."""
    began = f"min_over_time(timestamp(group(last_over_time({cost}[1h])))[7d:1h])"
    return f"clamp_max(floor((time() - {began}) / {promql.HOUR}) + 1, {WEEK_OF_HOURS})"


def _last_hour(within: Scope) -> str:
    """What the last hour cost, as far as it lies in the month."""
    seconds = f"({within.seconds_with_data('1h')} or vector({promql.MINUTE}))"
    return f"{within.grown(semconv.COST, window='1h')} * clamp_max({INTO_MONTH} / {seconds}, 1)"


def _since_the_clocks_hour(within: Scope, cost: str, hour: str) -> str:
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
