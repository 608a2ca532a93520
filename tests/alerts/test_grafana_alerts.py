"""The alerts of Grafana are those of Prometheus, in Grafana's form."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ragmeter.dashboards.alerts import alerts
from ragmeter.dashboards.grafana_alerts import grafana_alert_file
from ragmeter.dashboards.options import Options
from ragmeter.dashboards.rules import Alert

OPTIONS = Options(datasource="prometheus-uid", runbooks="https://wiki.test/runbooks")
PROMETHEUS = [rule for group in alerts() for rule in group.rules if isinstance(rule, Alert)]


def grafana() -> list[dict[str, Any]]:
    content = yaml.safe_load(grafana_alert_file(OPTIONS))
    return [rule for group in content["groups"] for rule in group["rules"]]


RULES = {rule["title"]: rule for rule in grafana()}


def test_the_file_is_one_that_grafana_provisions():
    """Version, folder, interval and rules are where Grafana looks for them, in the groups of Prometheus."""
    content = yaml.safe_load(grafana_alert_file(OPTIONS))
    assert content["apiVersion"] == 1
    assert [group["name"] for group in content["groups"]] == [group.name for group in alerts()]
    for group in content["groups"]:
        assert (group["folder"], group["interval"], group["orgId"]) == ("ragmeter", "1m", 1)


def test_it_begins_with_what_must_be_loaded_in_prometheus():
    """Who opens the file reads first that the recorded series and the limits must be there."""
    comment = grafana_alert_file(OPTIONS).split("apiVersion")[0]
    assert "ragmeter-recording.yaml" in comment
    assert "ragmeter-limits.yaml" in comment


@pytest.mark.parametrize("alert", PROMETHEUS, ids=lambda alert: alert.name)
def test_an_alert_is_the_same_in_both(alert: Alert):
    """Grafana asks the same PromQL for a moment, waits as long, keeps firing as long and tells the same severity."""
    rule = RULES[alert.name]
    query, condition = rule["data"]
    assert query["model"]["expr"] == alert.expression
    assert (query["model"]["instant"], query["model"]["range"]) == (True, False)
    assert query["datasourceUid"] == query["model"]["datasource"]["uid"] == "prometheus-uid"
    assert rule["for"] == alert.lasting
    assert rule.get("keepFiringFor", "") == alert.keep_firing
    assert rule["labels"] == {"severity": alert.severity.value}
    assert rule["annotations"]["runbook_url"] == f"https://wiki.test/runbooks#{alert.runbook}"
    assert rule["condition"] == condition["refId"]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule["title"])
def test_every_series_of_the_query_is_an_alert(rule: dict[str, Any]):
    """The condition holds for any value of the query, none of which is negative; no series is no alert."""
    condition = rule["data"][1]
    assert condition["datasourceUid"] == "__expr__"
    assert condition["model"]["type"] == "threshold"
    assert condition["model"]["expression"] == rule["data"][0]["refId"]
    (bound,) = condition["model"]["conditions"]
    assert bound["evaluator"]["type"] == "gt"
    assert bound["evaluator"]["params"][0] < 0
    assert (rule["noDataState"], rule["execErrState"]) == ("OK", "Error")


def test_uids_stay_what_they_are():
    """Grafana knows a rule by its uid: one that changes leaves the old rule behind. None is longer than it allows."""
    uids = [rule["uid"] for rule in RULES.values()]
    assert uids == [
        "ragmeter-cost-spike",
        "ragmeter-budget-burn-fast",
        "ragmeter-budget-burn-slow",
        "ragmeter-budget-overrun",
        "ragmeter-queries-dearer",
        "ragmeter-context-bloat",
        "ragmeter-unused-context",
        "ragmeter-retrieval-slow",
        "ragmeter-retrieval-empty",
        "ragmeter-retrieval-failing",
        "ragmeter-unpriced-operations",
        "ragmeter-telemetry-gone",
    ]
    assert max(map(len, uids)) <= 40


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule["title"])
def test_templates_read_the_number_as_grafana_has_it(rule: dict[str, Any]):
    """In Grafana `$value` is a text of all values, so the number is asked for by its query.

    Grafana leaves annotations and queries as they are, so a `$` stands there once: doubled it would break a template.
    """
    texts = (rule["annotations"]["summary"], rule["annotations"]["description"])
    for text in texts:
        assert not re.search(r"\$value\b", text)
        assert "$$" not in text
        assert set(re.findall(r"\$(\w+[.\w]*)", text)) - {"values.A.Value"} <= {
            f"labels.{label}"
            for label in (
                "job",
                "ragmeter_strategy",
                "db_system_name",
                "db_collection_name",
                "gen_ai_provider_name",
                "gen_ai_response_model",
            )
        }
    assert "{{ $values.A.Value |" in texts[1]


def test_a_dollar_where_grafana_puts_variables_is_doubled():
    """Grafana expands `$NAME` in the uid of a data source: one that holds a dollar is written so that it stays."""
    content = yaml.safe_load(grafana_alert_file(Options(datasource="team$1")))
    query = content["groups"][0]["rules"][0]["data"][0]
    assert query["datasourceUid"] == "team$$1"
    assert query["model"]["datasource"]["uid"] == "team$1"
