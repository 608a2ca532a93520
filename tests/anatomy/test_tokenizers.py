"""Counting with real vocabularies: what is loaded when, and on whose thread."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import bpe_openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import KINDS, passages
from ragmeter.anatomy.tokenizers import SLICE, load_counter
from ragmeter.domain.pausing import without_pause

ON_A_THREAD = """
import sys, threading
from ragmeter.anatomy.dissecting import Dissector
from ragmeter.domain.model import (
    Chunk, Operation, OperationKind, Prompt, PromptFragment, Request, Response, Role, Usage
)
from ragmeter.anatomy.weights import tokenizer_of

TEXT = "Der Leuchtturm wurde 1887 errichtet \\u2013 \\\\u00e4u\\u00dferst solide. "
TEXT += "\\u4fdd\\u4fee\\u671f\\u4e3a\\u4e09\\u5341\\u516d\\u4e2a\\u6708 &amp; mehr. "
TOOLS = '{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}}'

def work(model):
    known = dissector.remember([Chunk(TEXT * 3), Chunk("> " + TEXT), Chunk("other text " * 30)])
    parts = (
        PromptFragment(Role.TOOLS, TOOLS),
        PromptFragment(Role.USER, TEXT * 3 + "\\n> " + TEXT.upper() + "\\nWarum [1]?"),
    )
    for total in (400, 500, 600, 700):
        response = Response(model=model, usage=Usage(total, 50), text=("Er wurde 1887 errichtet, solide gebaut [1]. ",))
        request = Request(OperationKind.CHAT, "openai", model=model)
        operation = Operation(request=request, response=response, prompt=Prompt(parts), started=0, duration=1.0)
        assert dissector.dissect(operation, known).places

def models():
    for model in ("gpt-4o", "gpt-4", "claude-sonnet-4-5"):
        work(model)

dissector = Dissector(exact=True)
before = set(sys.modules)
thread = threading.Thread(target=models)
thread.start()
thread.join()
print(sorted(set(sys.modules) - before), dissector.weigher.is_exact(tokenizer_of("gpt-4o")))
"""


def test_no_thread_but_the_apps_own_imports_anything():
    """A prompt is taken apart and counted on a thread that imports nothing: no module is ever seen half made."""
    script = [sys.executable, "-c", ON_A_THREAD]
    told = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert told.stdout.split() == ["[]", "True"], told.stderr


def test_counting_loads_no_vocabulary_before_it_is_needed():
    """Making ready to count takes one compiled module: neither the package around it nor a vocabulary is loaded."""
    script = (
        "import sys; from ragmeter.anatomy.weights import Weigher; before = set(sys.modules); Weigher(exact=True)\n"
        "print(sorted(set(sys.modules) - before))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "['ragmeter._bindings']"


@pytest.mark.parametrize("vocabulary", ["o200k", "cl100k"])
def test_counts_are_those_of_the_vocabulary(vocabulary):
    """Texts of every kind have the tokens that the whole package counts for them."""
    count, encoding = load_counter(vocabulary), bpe_openai.get_encoding(f"{vocabulary}_base")
    for kind in KINDS:
        (text,) = passages(kind, 1, Random(kind), 3_000)
        assert count(text, without_pause) == len(encoding.encode_ordinary(text))


def test_there_is_a_pause_after_each_slice():
    """A long text is counted in slices, so that the app may have the interpreter between them."""
    pauses = []
    load_counter("o200k")("word " * SLICE, lambda: pauses.append(1))
    assert len(pauses) >= 5


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_any_text_is_counted(text):
    """Also halves of surrogate pairs, which clients hand on, have a count."""
    assert load_counter("o200k")(text, without_pause) >= bool(text)
