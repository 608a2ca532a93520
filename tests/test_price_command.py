"""`ragmeter price`: the rates of a model, where they come from, and what tokens cost."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import genai_prices
import pytest
from genai_prices import Usage, calc_price
from typer.testing import CliRunner, Result

from ragmeter.cli import application


def run(*arguments: str) -> Result:
    """The command in this process, in a terminal of 100 columns."""
    return CliRunner(env={"COLUMNS": "100"}).invoke(application(), ["price", *arguments])


@pytest.mark.parametrize(("model", "provider"), [("gpt-4o", "openai"), ("claude-sonnet-4-5", "anthropic")])
def test_the_cost_of_tokens_is_that_of_genai_prices(model: str, provider: str) -> None:
    """Tokens given on the command line cost what genai-prices' own function says."""
    tokens = ("--input=3000", "--output=300", "--cache-read=1000")
    (quote,) = json.loads(run(model, f"--provider={provider}", *tokens, "--json").stdout)
    usage = Usage(input_tokens=3000, output_tokens=300, cache_read_tokens=1000)
    expected = calc_price(usage, model, provider_id=provider).total_price
    assert quote["cost"]["usd"] == pytest.approx(float(expected), rel=1e-12)
    assert quote["cost"]["usd"] == pytest.approx(sum(quote["cost"]["lines"].values()), rel=1e-12)


def test_rates_come_with_their_source_and_its_version_or_day() -> None:
    """Each quote names the row of its price, and the version or the day of the list."""
    assert "genai-prices: openai/gpt-4o, version 0." in run("gpt-4o").output
    assert "ragmeter's row of 20" in run("ft:gpt-4o-mini:acme").output


def test_a_model_of_several_providers_is_quoted_at_each() -> None:
    """Without --provider every provider that has a price for the model is shown, and none that has not."""
    sold = {quote["provider"] for quote in json.loads(run("claude-sonnet-4-5", "--json").stdout)}
    assert {"anthropic", "gcp.gen_ai"} <= sold
    assert [quote["provider"] for quote in json.loads(run("gpt-4o", "--json").stdout)] == ["openai"]


def test_a_rate_that_depends_on_the_length_of_the_prompt_is_shown_for_each_length() -> None:
    """A price with tiers has a line for each."""
    assert "prompts above 200,000 tokens" in run("gemini-2.5-pro").output


def test_own_prices_stand_above_the_list(tmp_path: Path) -> None:
    """A file of prices counts as it does for an app, and aliases are followed."""
    file = tmp_path / "prices.toml"
    file.write_text('ours = {input = 1.0, output = 2.0}\n"prod-answers" = "ours"\n', "utf-8")
    (quote,) = json.loads(run("prod-answers", f"--prices={file}", "--input=1000000", "--json").stdout)
    assert (quote["cost"]["usd"], quote["source"]) == (1.0, "prices['ours']")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gpt4o",), "Did you mean gpt-4o"),
        (("gemini-2.5-pro", "--provider=azure"), "but at gcp.gen_ai"),
        (("gpt-4o", "--provider=opnai"), "No provider is called 'opnai'"),
        (("gpt-4o", "--input=5", "--cache-read=6"), "cannot be less than"),
        (("gpt-4o", "--prices=/nowhere/prices.toml"), "cannot read"),
        (("gpt-4o", "--update=prices.toml", "--provider=openai"), "--update compares all providers"),
    ],
)
def test_what_has_no_price_is_said_with_what_to_write(arguments: tuple[str, ...], said: str) -> None:
    """A wrong name ends with one sentence and status 2, without a traceback or a log line."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert "is not counted" not in result.stderr


def test_rates_alone_have_no_cost() -> None:
    """Without tokens nothing is priced: no $0."""
    assert json.loads(run("gpt-4o", "--json").stdout)[0]["cost"] is None
    assert "a call" not in run("gpt-4o").output


def wheel_with(folder: Path, before: str, after: str, compression: int = ZIP_STORED) -> Path:
    """A wheel of genai-prices as the installed one, but for one text of its data."""
    package = Path(genai_prices.__file__).parent
    file = folder / "genai_prices-9.9.9-py3-none-any.whl"
    with ZipFile(file, "w", compression) as wheel:
        text = (package / "data.py").read_text("utf-8")
        assert before in text
        wheel.writestr("genai_prices/data.py", text.replace(before, after))
        wheel.write(package / "data_units.py", "genai_prices/data_units.py")
    return file


def test_a_newer_wheel_shows_the_prices_it_changes(tmp_path: Path) -> None:
    """A wheel is compared price by price with the installed list; one that is the same changes nothing."""
    same = wheel_with(tmp_path, "input_mtok=", "input_mtok=")
    assert "changes no price" in run("--update", str(same)).output
    newer = wheel_with(tmp_path, "output_mtok=Decimal('10'),", "output_mtok=Decimal('12'),")
    changes = json.loads(run("gpt-4o", "--update", str(newer), "--json").stdout)
    assert {(each["provider"], each["unit"], each["before"], each["after"]) for each in changes} >= {
        ("openai", "output_tokens", 10.0, 12.0)
    }
    assert {each["model"] for each in changes} == {"gpt-4o"}
    assert "+20%" in run("--update", str(newer)).output


def test_a_newer_wheel_shows_the_prices_of_other_kinds_of_call(tmp_path: Path) -> None:
    """What a batch costs is a price of its own, told with its kind of call."""
    batch = f"when={{'processing': 'batch'}},\n{' ' * 24}prices=ModelPrice(\n{' ' * 28}input_mtok="
    newer = wheel_with(tmp_path, f"{batch}D", f"{batch}7 * D")
    changes = json.loads(run("--update", str(newer), "--json").stdout)
    assert {(each["unit"], each["only"]) for each in changes} == {("input_tokens", "batch")}
    assert all(each["after"] == pytest.approx(7 * each["before"]) for each in changes)
    assert "input (batch)" in run("--update", str(newer)).output


def test_the_changes_of_a_model_are_found_by_any_of_its_names(tmp_path: Path) -> None:
    """A name with a date means the model that the list has without one; what nobody knows is said."""
    newer = wheel_with(tmp_path, "output_mtok=Decimal('5'),", "output_mtok=Decimal('6'),")
    named, dated = (
        json.loads(run(name, "--update", str(newer), "--json").stdout)
        for name in ("claude-haiku-4-5", "claude-haiku-4-5-20251001")
    )
    assert named == dated != []
    result = run("gpt4o", "--update", str(newer))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Did you mean gpt-4o" in result.stderr


def test_a_newer_table_is_compared_with_what_is_charged_now(tmp_path: Path) -> None:
    """What a table does not price of its models has no price any more, and new models have one."""
    file = tmp_path / "newer.json"
    file.write_text('{"gpt-4o": {"input": 3.0, "output": 10.0}, "ours": {"input": 1.0}}', "utf-8")
    changes = json.loads(run("--update", str(file), "--json").stdout)
    found = {(each["model"], each["unit"]): (each["before"], each["after"]) for each in changes}
    assert found["gpt-4o", "input_tokens"] == (2.5, 3.0)
    assert found["gpt-4o", "cache_read_tokens"] == (1.25, None)
    assert found["ours", "input_tokens"] == (None, 1.0)
    assert ("gpt-4o", "output_tokens") not in found


@pytest.mark.parametrize(
    ("table", "model"),
    [
        ('"gpt-4o" = "gpt-4o-mini"', "gpt-4o"),
        ('"gpt-4*" = {input = 0.15, output = 0.6}', "gpt-4o"),
        ('"answers" = "gpt-4o-mini"', "answers"),
    ],
)
def test_a_model_that_a_newer_table_means_by_another_name_is_compared(tmp_path: Path, table: str, model: str) -> None:
    """An alias and a pattern change the price of what they stand for."""
    file = tmp_path / "newer.toml"
    file.write_text(table, "utf-8")
    changes = json.loads(run(model, "--update", str(file), "--json").stdout)
    assert {(each["unit"], each["after"]) for each in changes} >= {("input_tokens", 0.15), ("output_tokens", 0.6)}


def test_an_alias_for_a_listed_model_is_quoted(tmp_path: Path) -> None:
    """A name of the app's own has the price of the model that it stands for, wherever that is listed."""
    file = tmp_path / "prices.toml"
    file.write_text('"answers" = "gpt-4o"', "utf-8")
    (quote,) = json.loads(run("answers", f"--prices={file}", "--json").stdout)
    assert (quote["provider"], quote["source"].partition(",")[0]) == ("openai", "genai-prices: openai/gpt-4o")


BROKEN: dict[str, bytes] = {
    "broken.whl": b"\x00 no prices",
    "broken.toml": b"\x00 no prices",
    "latin.toml": "# für uns".encode("latin-1"),
    "latin.json": '{"für": 1}'.encode("latin-1"),
    "deep.json": b"[" * 100_000,
    "deep.toml": b"a = " + b"[" * 100_000,
}


@pytest.mark.parametrize("name", ["nothing.whl", *BROKEN])
def test_a_file_of_newer_prices_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str) -> None:
    """A missing or broken file ends with status 2 and the file's name."""
    if name in BROKEN:
        (tmp_path / name).write_bytes(BROKEN[name])
    result = run("--update", str(tmp_path / name))
    assert (result.exit_code, result.stdout) == (2, "")
    assert name in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("api_pattern='", "api_pattern='((("),
        ("api_pattern='", "api_pattern=1 // 0 or '"),
        ("ClauseEndsWith(", "ClauseOfNextYear("),
    ],
)
def test_a_wheel_whose_data_means_nothing_here_is_refused(tmp_path: Path, before: str, after: str) -> None:
    """What cannot be evaluated anywhere in it is found when it is read, not when a model is first called."""
    result = run("--update", str(wheel_with(tmp_path, before, after)))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is not a wheel of genai-prices that can be read" in result.stderr


def test_a_wheel_that_was_damaged_on_the_way_is_refused(tmp_path: Path) -> None:
    """Its list of files is whole, what is in them is not."""
    whole = wheel_with(tmp_path, "Provider(", "Provider(", compression=ZIP_DEFLATED)
    content = bytearray(whole.read_bytes())
    content[3_000:3_200] = b"\x5a" * 200
    whole.write_bytes(content)
    result = run("--update", str(whole))
    assert (result.exit_code, result.stdout) == (2, "")
    assert whole.name in result.stderr
