"""Each alert fires when it must, with what someone needs to know, and is silent otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from ragmeter.dashboards.alerts import DOLLARS, alerts
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.rule_files import rule_file
from ragmeter.dashboards.rules import Alert, Group, Severity

from . import histories
from .histories import Incident
from .promtool import Firing, Promtool, Query
from .services import HOUR, Service, together

ALERTS = {rule.name: rule for group in alerts() for rule in group.rules if isinstance(rule, Alert)}
FIRING = 'ALERTS{alertstate="firing"}'
PENDING = 'ALERTS{alertstate="pending"}'
LEAST = {"ragmeter:limit:least_queries_per_hour": 5000.0}
MINUTES = {"m": 1, "h": HOUR}


def minutes(duration: str) -> int:
    return int(duration[:-1]) * MINUTES[duration[-1]]


def first(series: str, until: int) -> str:
    return f"min by (job, alertname) (min_over_time(timestamp({series})[{until}m:1m])) / 60"


def last(series: str, until: int) -> str:
    return f"max by (job, alertname) (max_over_time(timestamp({series})[{until}m:1m])) / 60"


def fired(until: int) -> str:
    return f"count by (job, alertname) (count_over_time({FIRING}[{until}m]))"


def key(alert: str, job: str) -> str:
    return f'{{alertname="{alert}", job="{job}"}}' if job else f'{{alertname="{alert}"}}'


def told(alert: str, summary: str, description: str, labels: Mapping[str, str]) -> Mapping[str, Mapping[str, str]]:
    """An alert as promtool expects it."""
    rule = ALERTS[alert]
    return {
        "exp_labels": {"severity": rule.severity.value, **labels},
        "exp_annotations": {
            "summary": summary,
            "description": description,
            "runbook_url": f"{Options().runbooks}#{rule.runbook}",
        },
    }


def told_of(incident: Incident) -> Mapping[str, Mapping[str, str]]:
    job = {"job": incident.job} if incident.job else {}
    return told(incident.alert, incident.summary, incident.description, {**job, **incident.labels})


def test_prometheus_takes_the_rule_files(promtool: Promtool, rules: Mapping[str, Path]):
    """promtool has nothing to say against any of the three files."""
    outcome = promtool.check(rules.values())
    assert outcome.passed, outcome.output


def test_each_incident_raises_its_alert_and_no_other(promtool: Promtool, rules: Mapping[str, Path], tmp_path: Path):
    """Each fault fires its alert, with labels and texts, exactly when its `for` is over; nobody else is alerted.

    The services without a fault have a daily rhythm, deploys, a first day, too little traffic or bad luck once.
    """
    end = histories.TWO_DAYS_END
    incidents = histories.INCIDENTS
    # The only alert of its name that fires then is the incident's: those of one name come one after the other.
    firing = [
        each
        for incident in incidents
        for each in (
            Firing(incident.fires - 1, incident.alert),
            Firing(incident.fires, incident.alert, (told_of(incident),)),
        )
    ]
    unmended = [
        incident for incident in incidents if incident.alert not in ("RagmeterCostSpike", "RagmeterTelemetryGone")
    ]
    queries = (
        Query(end, fired(end), {key(incident.alert, incident.job): 1 for incident in incidents}),
        Query(end, f"count by (job, alertname) ({FIRING})", {key(each.alert, each.job): 1 for each in unmended}),
        Query(
            end,
            f"{first(FIRING, end)} - {first(PENDING, end)}",
            {key(incident.alert, incident.job): minutes(ALERTS[incident.alert].lasting) for incident in incidents},
        ),
    )
    outcome = promtool.test(tmp_path, rules.values(), together(histories.TWO_DAYS, end), firing=firing, queries=queries)
    assert outcome.passed, outcome.output


def test_units_without_a_price_are_told_by_the_name_of_their_database(
    promtool: Promtool, rules: Mapping[str, Path], tmp_path: Path
):
    """A database that bills its searches and has no price raises the alert under its own name; free searches do not."""
    metered, end = histories.METERED, histories.INCIDENT + 2 * HOUR
    firing = (
        Firing(metered.fires - 1, metered.alert),
        Firing(metered.fires, metered.alert, (told_of(metered),)),
    )
    services = together((metered.service, Service("free")), end)
    queries = (Query(end, fired(end), {key(metered.alert, metered.job): 1}),)
    outcome = promtool.test(tmp_path, rules.values(), services, firing=firing, queries=queries)
    assert outcome.passed, outcome.output


@pytest.mark.parametrize(("dollars", "written"), [("37.8", "$37.80"), ("0.0031234", "$0.0031"), ("0.1", "$0.10")])
def test_small_amounts_keep_their_figures(promtool: Promtool, tmp_path: Path, dollars: str, written: str):
    """An alert of a service that costs little says how little: to the cent, or with two figures that count."""
    rule = Alert("Told", f"vector({dollars})", "0m", Severity.INFO, f"${DOLLARS}", f"${DOLLARS}", "told")
    file = tmp_path / "rules.yaml"
    file.write_text(rule_file([Group("told", "1m", (rule,))], Options().runbooks))
    texts = {"summary": written, "description": written, "runbook_url": f"{Options().runbooks}#told"}
    told = {"exp_labels": {"severity": "info"}, "exp_annotations": texts}
    outcome = promtool.test(tmp_path, [file], {"up": "1x5"}, firing=[Firing(2, "Told", (told,))])
    assert outcome.passed, outcome.output


def test_a_spike_that_is_over_fires_for_ten_more_minutes(promtool: Promtool, rules: Mapping[str, Path], tmp_path: Path):
    """An alert with `keep_firing` goes on so long after its condition has ended: a spike with breaks is one alert."""
    spike = next(each for each in histories.INCIDENTS if each.alert == "RagmeterCostSpike")
    end = histories.INCIDENT + 2 * HOUR
    spiking = f"timestamp({ALERTS[spike.alert].expression})"
    last_true = f"max by (job) (max_over_time({spiking}[{2 * HOUR}m:1m])) / 60"
    query = Query(end, f"max by (job) ({last(FIRING, end)}) - {last_true}", {'{job="shop"}': 10})
    outcome = promtool.test(tmp_path, rules.values(), together((spike.service,), end), queries=(query,))
    assert outcome.passed, outcome.output


def test_nothing_fires_where_the_limits_are_not_loaded(promtool: Promtool, rules: Mapping[str, Path], tmp_path: Path):
    """Without the file of limits all faults stay silent but the one that has no limit: a service that is gone."""
    end = histories.TWO_DAYS_END
    outcome = promtool.test(
        tmp_path,
        [file for name, file in rules.items() if name != "limits"],
        together(histories.TWO_DAYS, end),
        queries=(Query(end, fired(end), {key("RagmeterTelemetryGone", "gone"): 1}),),
        every=2,
    )
    assert outcome.passed, outcome.output


def test_with_less_traffic_than_the_limit_no_ratio_fires(promtool: Promtool, rules: Mapping[str, Path], tmp_path: Path):
    """Users who raise the least traffic silence each ratio, of queries, prompts, searches and calls alike."""
    end = histories.INCIDENT + 90
    limits = tmp_path / "limits.yaml"
    limits.write_text(
        re.sub(r"(record: ragmeter:limit:least_.*\n.*)vector\(30\)", r"\1vector(5000)", rules["limits"].read_text())
    )
    ratios = [each for each in histories.INCIDENTS if each.fires < end and each.job not in ("shop", "gone")]
    assert len(ratios) == 6
    outcome = promtool.test(
        tmp_path,
        [limits, rules["recording"], rules["alerts"]],
        together((each.service for each in ratios), end),
        queries=(Query(end, fired(end)), Query(end, "ragmeter:limit:least_queries_per_hour", LEAST)),
        every=2,
    )
    assert outcome.passed, outcome.output


def test_a_week_without_faults_is_silent(promtool: Promtool, rules: Mapping[str, Path], tmp_path: Path):
    """Nights, weekends, growth of some percent a day, deploys and first days raise nothing; a second spike does."""
    end = histories.EIGHT_DAYS_END
    # The second one comes a day after the first: it stands out from the median of four days, one of which is a spike.
    fires = f"count by (job) (count_over_time({FIRING}[90m]))"
    spikes = [Query(end, fires, {'{job="spiky"}': 1}) for _, end in histories.SPIKES]
    outcome = promtool.test(
        tmp_path,
        rules.values(),
        together(histories.EIGHT_DAYS, end),
        queries=(*spikes, Query(end, fired(end), {key("RagmeterCostSpike", "spiky"): 1})),
        every=5,
    )
    assert outcome.passed, outcome.output


@pytest.mark.parametrize("spending", histories.SPENDINGS, ids=lambda spending: spending.service.job)
def test_a_budget_that_burns_is_told_by_its_pace(
    promtool: Promtool, rules_with_budget: Mapping[str, Path], tmp_path: Path, spending: histories.Spending
):
    """Each pace fires its alert when its share of the budget is spent, on a young server too, and ends with it."""
    end = spending.minutes
    firing = [
        Firing(minute, burn.alert, each)
        for burn in spending.burns
        for minute, each in (
            (burn.fires - 1, ()),
            (burn.fires, (told(burn.alert, burn.summary, burn.description, {}),)),
        )
    ]
    over = [Firing(minute, alert) for minute, alert in spending.over]
    budget = 'alertname=~"RagmeterBudget.*"'
    lasting = " - ".join(first(f'ALERTS{{{budget},alertstate="{state}"}}', end) for state in ("firing", "pending"))
    expected = {key(burn.alert, ""): minutes(ALERTS[burn.alert].lasting) for burn in spending.burns}
    outcome = promtool.test(
        tmp_path,
        rules_with_budget.values(),
        together((spending.service,), end, money_only=True),
        firing=[*firing, *over],
        queries=(Query(end, lasting, expected),),
    )
    assert outcome.passed, outcome.output
