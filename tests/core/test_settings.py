"""Settings: arguments over environment over defaults, and clear words for a wrong one."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from pathlib import PurePosixPath
from typing import get_type_hints

import pytest

import ragmeter
from ragmeter.settings import TABLE, VARIABLES, Settings, SettingsArguments, SettingsError, read_settings

TAKEN = (
    *("service.name", "service_instance_id", "otel.metric.overflow"),
    *("le", "quantile", "job", "instance", "__address", "otel_scope_name", "otel.scope.version"),
    *("ragmeter_strategy", "ragmeter.part", "gen_ai_provider_name", "db_collection_name", "error_type", "server.port"),
)


def test_defaults_need_no_environment():
    """Without arguments and environment every integration is used, content stays private, metrics are on loopback."""
    found = read_settings({}, {})
    assert set(found.integrations) >= {"openai", "anthropic", "groq", "together"}
    assert found.capture_content is False
    assert (found.capture_chunks, found.exact_tokens, found.tenant_label) == (False, None, None)
    assert (found.prometheus_host, found.prometheus_port) == ("127.0.0.1", 9464)


def test_each_setting_has_an_environment_variable():
    """What can be given as an argument can be given by the environment."""
    environment = {
        "RAGMETER_ENABLED": "no",
        "RAGMETER_LABELS": "team, feature",
        "RAGMETER_FINE_TUNED": "support-*",
        "RAGMETER_PROVIDERS": "gateway.internal=openai",
        "RAGMETER_ONLY": "openai",
        "RAGMETER_SKIP": "groq",
        "RAGMETER_STREAM_USAGE": "true",
        "RAGMETER_PROFILE": "both",
        "RAGMETER_MAX_LABEL_VALUES": "7",
        "RAGMETER_BUILTIN_PRICES": "no",
        "RAGMETER_PROMETHEUS_HOST": "0.0.0.0",
        "RAGMETER_PROMETHEUS_PORT": "9999",
        "RAGMETER_CAPTURE_CHUNKS": "true",
        "RAGMETER_EXACT_TOKENS": "false",
        "RAGMETER_TENANT_LABEL": "team",
        "RAGMETER_EXIT_LINE": "no",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
    }
    found = read_settings({}, environment)
    assert (found.enabled, found.labels) == (False, ("team", "feature"))
    assert found.providers == {"gateway.internal": "openai"}
    assert found.integrations == ("openai",)
    assert (found.stream_usage, found.profile, found.max_label_values, found.builtin_prices) == (True, "both", 7, False)
    assert (found.prometheus_host, found.prometheus_port) == ("0.0.0.0", 9999)
    assert (found.capture_chunks, found.exact_tokens, found.tenant_label) == (True, False, "team")
    assert (found.service_name, found.capture_content, found.fine_tuned) == ("shop", True, ("support-*",))
    assert found.exit_line is False
    assert set(environment) | {"RAGMETER_PRICES", "RAGMETER_PRICE_UPDATES"} == set(VARIABLES.values())


def test_type_checkers_know_each_setting():
    """The arguments that type checkers and editors see are the settings, in the same order."""
    assert list(get_type_hints(SettingsArguments)) == list(TABLE) == list(Settings.__slots__)


def test_help_shows_each_setting():
    """`help()` and the signature of `instrument()` tell a newcomer each setting with its variable and meaning."""
    parameters = inspect.signature(ragmeter.instrument).parameters
    assert list(parameters) == ["tracer_provider", "meter_provider", *TABLE]
    assert {(each.kind, each.default) for each in parameters.values()} == {(inspect.Parameter.KEYWORD_ONLY, None)}
    assert "profile: \"Literal['released', 'latest', 'both'] | None\"" in str(inspect.signature(ragmeter.instrument))
    shown = pydoc.render_doc(ragmeter.instrument, renderer=pydoc.plaintext)
    for name, setting in TABLE.items():
        assert f"{name} ({setting.variable}" in shown
        assert setting.meaning in shown


def test_importing_imports_nothing_else_of_ours():
    """An app that imports ragmeter pays for what it uses: the settings, and all the rest, come with `instrument()`."""
    shown = """
import sys, ragmeter
print([name for name in sys.modules if name.startswith(("ragmeter.", "opentelemetry"))], "dataclasses" in sys.modules)
from ragmeter import *
print("instrument" in dir(ragmeter), ragmeter.instrument is instrument, hasattr(ragmeter, "instrumented"))
"""
    ran = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["[] False", "True True False"]


def test_an_argument_that_is_no_setting_is_refused():
    """As with every function of Python, but that the name which was meant is said."""
    with pytest.raises(TypeError, match=r"instrument\(\) got an unexpected keyword argument 'lables'; .* 'labels'\?"):
        ragmeter.instrument(lables=["team"])
    assert ragmeter.status().active is False


def test_names_are_any_iterable_and_files_any_path(tmp_path):
    """What the types of `instrument()` allow is taken: generators and sets of names, every kind of path."""
    (tmp_path / "prices.toml").write_text("[m]\ninput = 1.5")
    found = read_settings({"labels": (name for name in ("a", "b")), "prices": PurePosixPath(tmp_path, "prices.toml")})
    assert (found.labels, found.prices) == (("a", "b"), {"m": {"input": 1.5}})


def test_an_argument_stands_above_the_environment():
    """The app's own argument wins, also when it is false."""
    found = read_settings(
        {"stream_usage": False, "labels": ["a"]}, {"RAGMETER_STREAM_USAGE": "1", "RAGMETER_LABELS": "b"}
    )
    assert found.stream_usage is False
    assert found.labels == ("a",)


def test_the_standard_variables_of_the_page_are_followed():
    """OpenTelemetry's own variables say where the page is, unless ours do."""
    standard = {"OTEL_EXPORTER_PROMETHEUS_HOST": "0.0.0.0", "OTEL_EXPORTER_PROMETHEUS_PORT": "9999"}
    found = read_settings({}, standard)
    assert (found.prometheus_host, found.prometheus_port) == ("0.0.0.0", 9999)
    assert read_settings({}, standard | {"RAGMETER_PROMETHEUS_PORT": "9998"}).prometheus_port == 9998
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_PROMETHEUS_PORT"):
        read_settings({}, {"OTEL_EXPORTER_PROMETHEUS_PORT": "many"})


def test_the_conventions_opt_in_chooses_the_latest_profile():
    """`OTEL_SEMCONV_STABILITY_OPT_IN` switches the standard metrics to their latest names."""
    assert read_settings({}, {"OTEL_SEMCONV_STABILITY_OPT_IN": "http,gen_ai_latest_experimental"}).profile == "latest"


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ({"only": ["opnai"]}, {}, "no integration called opnai; there are anthropic"),
        ({"labels": ["gen_ai.team"]}, {}, "choose another one"),
        *(({"labels": [name]}, {}, "choose another one") for name in TAKEN),
        ({"labels": ["team", "team.a", "team_a"]}, {}, "'team.a' and 'team_a' are the same label, 'team_a'"),
        ({"labels": ["équipe"]}, {}, "not a label name"),
        ({"labels": ["team name"]}, {}, "not a label name"),
        ({"profile": "newest"}, {}, "released, latest, both"),
        ({"prometheus_port": 70_000}, {}, "whole number from 0 to 65535"),
        ({"prices": {"gpt-4o": {"inputs": 1}}}, {}, "unknown unit 'inputs'"),
        ({"labels": 3}, {}, "labels=: expected a list of names, got 3"),
        ({"prices": 3}, {}, "a mapping of models or a file name"),
        ({"providers": {"host": 1}}, {}, "gateway.internal=openai"),
        ({}, {"RAGMETER_PROMETHEUS_PORT": "many"}, "environment variable RAGMETER_PROMETHEUS_PORT"),
        ({}, {"RAGMETER_STREAM_USAGE": "perhaps"}, "expected true or false, got 'perhaps'"),
        ({}, {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "all"}, "expected NO_CONTENT, SPAN_ONLY"),
    ],
)
def test_a_wrong_value_says_which_and_what_would_do(arguments, environment, message):
    """Each unusable value is refused at once, with its source and what to write instead."""
    with pytest.raises(SettingsError, match=message):
        read_settings(arguments, environment)


@pytest.mark.parametrize(
    ("value", "captures"),
    [
        ("NO_CONTENT", False),
        ("SPAN_ONLY", True),
        ("EVENT_ONLY", False),
        ("SPAN_AND_EVENT", True),
        ("event_only", False),
    ],
)
def test_each_value_of_the_standard_variable_is_one(value, captures):
    """What other instrumentations are told by it stops no app; messages are put on spans where it names spans."""
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert read_settings({}, {name: value}).capture_content is captures


def test_a_label_given_twice_is_one():
    """The same name again is no mistake worth stopping an app for."""
    assert read_settings({}, {"RAGMETER_LABELS": "team,feature,team"}).labels == ("team", "feature")


def test_a_second_instrument_says_what_differs_and_changes_nothing(seen, caplog):
    """The first call's settings stay; another that asks for something else is told so once, the same one is silent."""
    del seen
    ragmeter.instrument()
    assert caplog.text == ""
    for _ in range(2):
        ragmeter.instrument(labels=["team"], profile="both")
    assert len(caplog.records) == 1
    assert "labels, profile" in caplog.text
    assert "uninstrument()" in caplog.text


def test_a_switched_off_opentelemetry_is_left_off(monkeypatch):
    """Under `OTEL_SDK_DISABLED=true` nothing is wrapped and nothing served; the status says why."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    ragmeter.instrument(prometheus_port=0)
    status = ragmeter.status()
    assert (status.active, status.exporter) == (False, "nothing: OTEL_SDK_DISABLED=true")
    with ragmeter.query():
        assert ragmeter.flush()


def test_ragmeter_can_be_switched_off_alone(monkeypatch):
    """`RAGMETER_ENABLED=false` wraps nothing and serves nothing, whatever OpenTelemetry does; our calls pass."""
    monkeypatch.setenv("RAGMETER_ENABLED", "false")
    ragmeter.instrument(labels=["team"])
    assert ragmeter.status().active is False
    with ragmeter.query(team="a"):
        ragmeter.context(["a text"])
        assert ragmeter.flush()
    ragmeter.instrument(enabled=True, prometheus_port=0)
    assert ragmeter.status().active is True


def test_what_runs_is_not_switched_off_by_a_second_call(seen, caplog):
    """As with every setting: the first call's stays, and a second one is told so."""
    del seen
    ragmeter.instrument(enabled=False)
    assert ragmeter.status().active is True
    assert "differs in: enabled" in caplog.text


def test_instrument_refuses_a_wrong_value_and_changes_nothing():
    """A wrong setting raises from `instrument()` before anything is wrapped."""
    with pytest.raises(SettingsError, match="no integration called"):
        ragmeter.instrument(only=["nothing-like-it"])
    assert ragmeter.status().active is False
