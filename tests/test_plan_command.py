"""`ragmeter plan`: a decision from a scenario or from what was measured, in the terminal and as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from ragmeter.cli import application
from ragmeter.domain.strategy import STRATEGIES
from ragmeter.planning.quantities import QUANTITIES, TOKEN_PARTS

FEW = ("--draws", "500")


def run(*arguments: str | Path, columns: int = 120, **environment: str) -> Result:
    command = ["plan", *map(str, arguments)]
    return CliRunner(env={"COLUMNS": str(columns), **environment}).invoke(application(), command)


def unwrapped(output: str) -> str:
    return " ".join(output.split())


def costs(output: str) -> dict[str, str]:
    """What 1,000 queries cost, as the table shows it."""
    return dict(re.findall(rf"^({'|'.join(STRATEGIES)}) +(?:assumed|measured|derived) +(\S+)", output, re.MULTILINE))


PAGE = """
# TYPE ragmeter_queries_total counter
ragmeter_queries_total{{ragmeter_strategy="rag",error_type=""}} {queries}
# TYPE ragmeter_operations_total counter
ragmeter_operations_total{{ragmeter_strategy="rag",gen_ai_operation_name="embeddings",ragmeter_price_state="priced",gen_ai_provider_name="openai",gen_ai_response_model="text-embedding-3-small"}} {queries}
ragmeter_operations_total{{ragmeter_strategy="rag",gen_ai_operation_name="chat",ragmeter_price_state="priced",gen_ai_provider_name="openai",gen_ai_response_model="gpt-4.1-2025-04-14"}} {queries}
# TYPE ragmeter_tokens_total counter
ragmeter_tokens_total{{ragmeter_strategy="rag",ragmeter_part="question",ragmeter_token_rate="full"}} {question}
ragmeter_tokens_total{{ragmeter_strategy="rag",ragmeter_part="context",ragmeter_token_rate="full"}} {context}
ragmeter_tokens_total{{ragmeter_strategy="rag",ragmeter_part="output",ragmeter_token_rate="full"}} {output}
# TYPE ragmeter_cost_usd_total counter
ragmeter_cost_usd_total{{ragmeter_strategy="rag",ragmeter_part="question",ragmeter_price_state="priced"}} {question_cost}
ragmeter_cost_usd_total{{ragmeter_strategy="rag",ragmeter_part="context",ragmeter_price_state="priced"}} {context_cost}
ragmeter_cost_usd_total{{ragmeter_strategy="rag",ragmeter_part="output",ragmeter_price_state="priced"}} {output_cost}
"""  # noqa: E501 a page as Prometheus reads it


def page_of(queries: int) -> str:
    """The metrics of an app after so many queries of 100 tokens, 2,000 of context and answers of 250, with gpt-4.1."""
    return PAGE.format(
        queries=queries,
        question=100 * queries,
        context=2_000 * queries,
        output=250 * queries,
        question_cost=100 * queries * 2e-6,
        context_cost=2_000 * queries * 2e-6,
        output_cost=250 * queries * 8e-6,
    )


@contextmanager
def served(*pages: str) -> Iterator[str]:
    """A metrics page that shows one text after the other, the last one for good."""
    left = list(pages)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (left.pop(0) if len(left) > 1 else left[0]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()


def test_the_articles_table_is_shown():
    """Four rows, with the verdict above them, what is claimed and what it takes, and each source."""
    result = run("article", *FEW)
    assert result.exit_code == 0, result.output
    assert costs(result.output) == {
        "base": "$11.46",
        "rag": "$40.56",
        "fine_tuned": "$19.96",
        "fine_tuned_rag": "$49.06",
    }
    text = unwrapped(result.output)
    assert "almost certainly cheaper than RAG" in text
    assert "does not hold: fine_tuned is 10 to 50 times cheaper than rag at 100,000 queries a day; 2.0 times" in text
    assert "10 times: if the context were 3,155 tokens long instead of 485" in text
    assert "it takes $8.04 to $8.94 for 1,000 queries" in text
    assert "fine_tuned (assumed): rag without its context at the fine-tuned model's price" in text
    assert "pecollective.com of 2026-02-15, read 2026-11-30" in text


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
def test_it_fits_into_a_terminal(columns):
    """No line is wider than the terminal, and the figures of the table stand in it whole."""
    output = run("today", *FEW, columns=columns).output
    assert max(cell_len(line) for line in output.splitlines()) <= columns
    if columns >= 80:
        assert costs(output)["rag"] == "$8.38"


def test_everything_is_in_the_json():
    """Rows, comparisons, verdict, assumptions with their sources: plain JSON, in which never is null."""
    result = run("article", "--json", *FEW)
    plan = json.loads(result.output)
    assert [row["strategy"] for row in plan["rows"]] == list(STRATEGIES)
    row = plan["rows"][1]
    assert row["cost_per_thousand"] == pytest.approx(40.56)
    assert row["total_cost"] == pytest.approx(sum(row["total"].values()))
    never = next(each for each in plan["comparisons"] if each["challenger"] == "fine_tuned_rag")
    assert (never["volume"]["at"]["p50"], never["volume"]["never"]) == (None, 1.0)
    assert {"quantity", "range", "source"} == set(plan["assumptions"][0])
    assert set(plan["verdict"]) == {"answer", "next", "challenger"}


def test_the_same_seed_gives_the_same_output():
    """Two runs are equal to the last character; another seed draws others."""
    first, again, other = (run("today", "--json", "--seed", seed, *FEW).output for seed in ("3", "3", "4"))
    assert first == again
    assert first != other


def test_settings_lie_over_files(tmp_path):
    """A file lies over a shipped scenario, settings and the horizon over both."""
    (tmp_path / "ours.yaml").write_text("queries_per_day: 700\nlabour_rate: 90\n", "utf-8")
    output = run(
        "today", tmp_path / "ours.yaml", "--set", "labour_rate=[60, 95]", "--horizon", "6", "--json", *FEW
    ).output
    plan = json.loads(output)
    values = {each["quantity"]["name"]: each["range"] for each in plan["assumptions"]}
    assert (plan["queries_per_day"], plan["months"]) == (700, 6)
    assert values["labour_rate"] == {"low": 60, "high": 95}


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_all_that_may_be_assumed_is_listed(columns):
    """The shipped scenarios with their titles, every quantity or its family, each in a row, and no name cut short."""
    output = run("--list", columns=columns).output
    assert "article" in output
    assert "RAG or fine-tuning at today's list prices" in unwrapped(output)
    assert "as one number or as [low, high]" in output
    names = re.findall(r"^([a-z_]+(?:[.][a-z_<>]+)*)  ", output, re.MULTILINE)
    listed = [name.replace("<strategy>", strategy) for name in names for strategy in STRATEGIES]
    assert set(QUANTITIES) <= {each.replace("<part>", part) for each in listed for part in TOKEN_PARTS}
    assert "…" not in output
    if columns == 200:
        assert len(output.splitlines()) < 50


@pytest.mark.parametrize("columns", [60, 80])
def test_no_name_is_cut_short(columns):
    """What is too long for its column is broken, so that it can be copied into a scenario."""
    settings = (f"traffic.{name}.tokens.{part}=[1,5]" for name in STRATEGIES for part in ("context", "tool_results"))
    options = [word for setting in settings for word in ("--set", setting)]
    output = run("today", *options, "--set", "prices.fine_tuned_rag.cache_read=0.5", *FEW, columns=columns).output
    assert "…" not in output


def test_texts_are_never_markup(tmp_path):
    """Square brackets are shown as they are, and what would steer a terminal is a mark."""
    text = r'{title: "[red]Ours[/red] [/] \e[31m", source: "[b]me[/b]", labour_rate: 80}'
    (tmp_path / "[b]ours.yaml").write_text(text, "utf-8")
    result = run("today", tmp_path / "[b]ours.yaml", *FEW, columns=200)
    assert result.exit_code == 0, result.output
    assert "[red]Ours[/red] [/] \ufffd[31m · [b]me[/b]" in result.output
    assert "[b]ours.yaml" in result.output.partition("What is assumed")[2]


def test_a_page_is_watched_and_planned_with():
    """Unit costs of RAG are measured, a fine-tuned model is derived at its list price, today's traffic is asked for."""
    with served(page_of(1_000), page_of(1_500)) as url:
        result = run("--metrics", url, "--for", "1s", "--json", *FEW)
    assert result.exit_code == 0, result.output
    plan = json.loads(result.output)
    rows = {row["strategy"]: row for row in plan["rows"]}
    assert rows["rag"]["basis"] == "measured"
    assert rows["rag"]["cost_per_thousand"] == pytest.approx(1000 * (2_100 * 2e-6 + 250 * 8e-6))
    assert rows["fine_tuned"]["basis"] == "derived"
    assert rows["fine_tuned"]["cost_per_thousand"] == pytest.approx(1000 * (100 * 3e-6 + 250 * 12e-6))
    assert rows["base"]["cost_per_thousand"] == pytest.approx(1000 * (100 * 2e-6 + 250 * 8e-6))
    assert (plan["queries_per_day"], plan["built"]) == (None, ["retrieval"])
    assert plan["rows"][1]["traffic"]["models"]["openai/gpt-4.1-2025-04-14"] == pytest.approx(0.5)
    assert plan["verdict"]["next"] == "Write queries_per_day next: it is not known."


@pytest.mark.parametrize("context", ["9", "[9, 20]"])
def test_assumptions_lie_over_what_is_measured(tmp_path, context):
    """A file says what measuring cannot; what it says of measured traffic does not count, and that is told."""
    text = f"queries_per_day: 5000\ntraffic: {{rag: {{tokens: {{context: {context}}}}}, "
    text += "base: {tokens: {question: 7, output: 5}}}\n"
    (tmp_path / "ours.yaml").write_text(text, "utf-8")
    with served(page_of(1_000), page_of(1_500)) as url:
        result = run(tmp_path / "ours.yaml", "--metrics", url, "--for", "1s", "--json", *FEW)
    plan = json.loads(result.output)
    assert plan["queries_per_day"] == 5000
    assert plan["rows"][1]["tokens"]["context"] == 2_000
    assert "rag was measured: what the scenario says of its traffic does not count." in plan["notes"]


def test_a_page_whose_counters_are_gone_is_told():
    """An app that was restarted and has since counted on may have counted more than is seen."""
    with served(page_of(1_000) + 'ragmeter_queries_total{ragmeter_strategy="base"} 7\n', page_of(1_500)) as url:
        plan = json.loads(run("--metrics", url, "--for", "1s", "--json", *FEW).output)
    assert any(note.startswith("Counters of the first reading are gone, as after a restart") for note in plan["notes"])


def test_what_was_not_measured_is_shown_as_unknown():
    """Without today's traffic the terminal shows what is known, and a dash for the rest."""
    with served(page_of(1_000), page_of(1_500)) as url:
        result = run("--metrics", url, "--for", "1s", *FEW)
    assert re.search(r"^rag +measured +\$6\.20 +- +- +\$0\.00 +- ", result.output, re.MULTILINE), result.output
    text = unwrapped(result.output)
    assert "Over 12 months fine-tuning" in text
    assert "rag (measured): the mean of 500 queries; 0% failed; 0% of the input cached" in text


WRONG = {
    "nothing to plan with": (
        (),
        (
            "nothing is measured, and no scenario tells of any traffic: add --prometheus URL, --metrics URL, or one of "
            "article, today."
        ),
    ),
    "two places": (
        ("--prometheus", "http://127.0.0.1:1", "--metrics", "http://127.0.0.1:1"),
        "--prometheus and --metrics are two places to measure: give one of them.",
    ),
    "half a range": (
        ("--prometheus", "http://127.0.0.1:1", "--from", "2026-05-01T12:00Z"),
        "--from and --to belong together: give both, or --range.",
    ),
    "a range of no server": (
        ("today", "--from", "2026-05-01T12:00Z", "--to", "2026-05-02T12:00Z"),
        "--from and --to say what to read from a server: add --prometheus URL.",
    ),
    "an empty range": (
        ("--prometheus", "http://127.0.0.1:1", "--from", "2026-05-02", "--to", "2026-05-02"),
        "The range from 2026-05-02 to 2026-05-02 is empty: its start must lie before its end.",
    ),
    "mixed time zones": (
        ("--prometheus", "http://127.0.0.1:1", "--from", "2026-05-01T12:00Z", "--to", "2026-05-02T12:00"),
        (
            "Only one of 2026-05-01T12:00Z and 2026-05-02T12:00 has a time zone: write both with one, or both without "
            "one for UTC."
        ),
    ),
    "an unknown assumption": (
        ("article", "--set", "retrieval.infrastructur=5"),
        (
            "--set retrieval.infrastructur=5: retrieval.infrastructur: there is no such assumption; did you mean "
            "retrieval.infrastructure?"
        ),
    ),
    "no length": (
        ("--prometheus", "http://127.0.0.1:1", "--range", "long"),
        "Expected a length of time such as 14d, 36h or 90m, got 'long'.",
    ),
    "no such file": (
        ("none.yaml",),
        "none.yaml: cannot be read: No such file or directory; scenarios that are shipped: article, today",
    ),
    "a wrong setting": (
        ("article", "--set", "labor_rate=5"),
        "--set labor_rate=5: labor_rate: there is no such entry; did you mean labour_rate?",
    ),
    "a wrong horizon": (
        ("article", "--horizon", "0"),
        "--set horizon=0: horizon: 0 cannot stand there; write months to look ahead, from 1 to 60",
    ),
    "no price": (
        ("article", "--set", "compared_to=base", "--set", "prices.rag.model=openai/none"),
        (
            "--set prices.rag.model=openai/none: prices.rag.model: no price is known for openai/none; write "
            "prices.rag.input and prices.rag.output (dollars per million tokens) in its place"
        ),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_a_sentence(case):
    """One clear sentence on standard error, exit code 2, nothing on standard output and no traceback."""
    arguments, says = WRONG[case]
    result = run(*arguments)
    assert result.exit_code == 2
    assert unwrapped(result.stderr) == f"ragmeter plan: {says}"
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--prometheus", "--metrics"])
def test_a_server_that_is_not_there_is_said(option):
    """The address, why, and what to look at; exit code 2."""
    result = run(option, "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "http://127.0.0.1:9" in unwrapped(result.stderr)
    assert "cannot be reached" in unwrapped(result.stderr)
    assert "Traceback" not in result.output


def test_what_it_needs_is_said_where_it_is_not_installed():
    """Without its libraries the other commands work, and this one names the extra that brings them."""
    script = (
        "import sys, importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name in ('numpy', 'yaml') else found(name, *rest)\n"
        "sys.argv = ['ragmeter', 'plan', 'article']\n"
        "import ragmeter.cli; ragmeter.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == "ragmeter plan needs numpy, pyyaml: pip install 'ragmeter[plan]'\n"


PAGES = {
    "no metrics of ours": (
        ("# TYPE other counter\nother_total 5\n",),
        "{url} has no metrics of ragmeter; was ragmeter.instrument() called in that process?",
    ),
    "no page of metrics": (
        ("<html>Hello</html>",),
        "{url} is no page of metrics; expected the address of one, such as http://127.0.0.1:9464/metrics.",
    ),
    "no query": (
        (page_of(1_000), page_of(1_000)),
        "{url} counted no query in that time; choose a time in which the app answers, or one that is longer.",
    ),
    "too few queries": (
        (page_of(1_000), page_of(1_003)),
        (
            "it is not known what a query costs: only 3 queries of rag were seen, fewer than 30; measure for longer, "
            "or write prices and tokens in a scenario. A page shows one process: an app that runs in several answers "
            "more queries than these."
        ),
    ),
    "a restart": (
        (page_of(1_000), page_of(10)),
        (
            "it is not known what a query costs: only 10 queries of rag were seen, fewer than 30; measure for longer, "
            "or write prices and tokens in a scenario. A page shows one process: an app that runs in several answers "
            "more queries than these. The app restarted meanwhile: what it counted between the first reading and its "
            "end is lost."
        ),
    ),
}


@pytest.mark.parametrize("case", PAGES)
def test_a_page_that_says_too_little_is_told(case):
    """Other metrics, no metrics, no queries, too few, or an app that restarted: why, what to do, exit code 2."""
    pages, says = PAGES[case]
    with served(*pages) as url:
        result = run("--metrics", url, "--for", "1s")
    assert result.exit_code == 2
    assert unwrapped(result.stderr) == f"ragmeter plan: {says.format(url=url)}"
    assert "Traceback" not in result.output


def test_a_counter_that_restarted_is_counted_from_zero():
    """What it counted since is enough to plan with, and the plan says what is lost."""
    with served(page_of(1_000), page_of(400)) as url:
        result = run("--metrics", url, "--for", "1s", "--json", *FEW)
    assert result.exit_code == 0, result.output
    plan = json.loads(result.output)
    assert plan["rows"][1]["traffic"]["queries"] == 400
    assert any(note.startswith("The app restarted meanwhile") for note in plan["notes"])


NO_ADDRESSES = (
    "someone:SECRET@127.0.0.1:9",
    "http://someone:SECRET@[bad",
    "http://someone:SECRET@127.0.0.1:99999",
    "http://someone:SECRET@exa mple:80",
)


@pytest.mark.parametrize("address", NO_ADDRESSES)
@pytest.mark.parametrize("option", ["--prometheus", "--metrics"])
def test_what_is_no_address_is_told_without_its_secrets(option, address):
    """An address without a scheme, one with a port that there is not, or one that nothing can read."""
    result = run(option, address)
    assert result.exit_code == 2
    assert "Expected an address such as http://127.0.0.1:9090, got " in unwrapped(result.stderr)
    assert "SECRET" not in result.output


def test_no_secret_is_shown():
    """A password, a token and what stands in an address never come out in an error."""
    address = "http://someone:SECRET-ADDRESS@127.0.0.1:9"
    result = run("--prometheus", address, "--user", "me", PROMETHEUS_PASSWORD="SECRET-PASSWORD")
    assert result.exit_code == 2
    assert "SECRET" not in result.output


RANKS = """
# TYPE ragmeter_chunks_total counter
ragmeter_chunks_total{{ragmeter_strategy="rag",ragmeter_chunk_fate="used",db_collection_name="docs"}} {all}
# TYPE ragmeter_rank_chunks_total counter
ragmeter_rank_chunks_total{{db_collection_name="docs",ragmeter_rank="1",ragmeter_chunk_fate="used"}} {most}
ragmeter_rank_chunks_total{{db_collection_name="docs",ragmeter_rank="2",ragmeter_chunk_fate="used"}} {few}
# TYPE ragmeter_rank_tokens_total counter
ragmeter_rank_tokens_total{{db_collection_name="docs",ragmeter_rank="1"}} {tokens}
ragmeter_rank_tokens_total{{db_collection_name="docs",ragmeter_rank="2"}} {tokens}
# TYPE ragmeter_rank_cost_usd_total counter
ragmeter_rank_cost_usd_total{{db_collection_name="docs",ragmeter_rank="1"}} {cost}
ragmeter_rank_cost_usd_total{{db_collection_name="docs",ragmeter_rank="2"}} {cost}
"""


def page_with_ranks(number: int) -> str:
    """The same app, each query of which has sent two chunks and used one: of a hundred the first ninety-nine times."""
    few = number // 100
    ranks = RANKS.format(all=number, most=number - few, few=few, tokens=1_000 * number, cost=0.002 * number)
    return page_of(number) + ranks


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_smaller_k_is_the_third_option(columns, tmp_path):
    """What a shorter list of chunks keeps and saves stands beside the strategies, in the JSON and on the page."""
    pages = (page_with_ranks(1_000), page_with_ranks(3_000))
    measured = ("today", "--for", "1s", "--set", "queries_per_day=500", *FEW)
    with served(*pages) as url:
        result = run(*measured, "--metrics", url, columns=columns)
    assert result.exit_code == 0, result.output
    said = "docs: k = 1 keeps 99% (98\u201399%) of used chunks and saves $2.00 of $6.20 per 1,000 queries."
    assert said in unwrapped(result.output)
    assert max(cell_len(line) for line in result.output.splitlines()) <= columns
    with served(*pages) as url:
        made = json.loads(run(*measured, "--json", "--html", tmp_path / "page.html", "--metrics", url).output)
    (right,) = made["right_k"]
    page = (tmp_path / "page.html").read_text("utf-8")
    assert f"<p>{right['verdict']}</p>" in page
    assert all(f">{cut['name']}</th>" in page for cut in right["cuts"])
    assert "<strong>$2.00</strong>" in page
    assert right["best"]["dollars_saved"]["value"] == pytest.approx(2.0)
    assert right["best"]["dollars_saved_a_month"] is None
