"""A retrieval-augmented program as anybody would write it, with one line of ragmeter: what the demo runs.

It never tells ragmeter which strategy a question is asked with; one question is one `with ragmeter.query()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING

import ragmeter
from ragmeter.demo.passages import Passage
from ragmeter.demo.stores import MissingPackageError, Store

if TYPE_CHECKING:
    from openai import OpenAI

BASE_MODEL = "gpt-4o-mini"
FINE_TUNED_MODEL = "ft:gpt-4o-mini-2024-07-18:acme::demo"
EMBEDDING_MODEL = "text-embedding-3-small"

SYSTEM_TEXT = "You answer questions about ragmeter, precisely and in at most three sentences."
TOP = 4
"""Passages that are put into a prompt."""

WORKERS = 8
"""Questions that are asked at the same time."""

LONGEST_ANSWER = 200
"""Tokens a real model may answer with, so that it cannot run up a bill."""


class ModelError(RuntimeError):
    """The model's server cannot be used; the message has its answer."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question to one model, with or without retrieved passages."""

    question: str
    model: str
    retrieves: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: questions asked, and the errors of those that were not answered."""

    asked: int
    errors: tuple[str, ...]


def plan(questions: Sequence[str], each: int, models: Sequence[str]) -> Iterator[Task]:
    """`each` questions for every model with and without retrieval, mixed as live traffic is."""
    for question in islice(cycle(questions), each):
        for model in models:
            for retrieves in (False, True):
                yield Task(question, model, retrieves)


def connect(base_url: str | None, api_key: str | None) -> OpenAI:
    """An OpenAI client: of the server at `base_url`, or without one of whatever the environment names."""
    try:
        import openai
    except ImportError as error:
        raise MissingPackageError("The demo needs OpenAI's client: pip install 'ragmeter[demo]'") from error
    if base_url is None:
        return openai.OpenAI(api_key=api_key)
    # A proxy of the environment cannot reach a server on this machine.
    http_client = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=base_url, api_key=api_key, http_client=http_client)


class Program:
    """Answers questions, with passages from a vector database where a task wants them."""

    def __init__(self, client: OpenAI, store: Store) -> None:
        self._client = client
        self._store = store

    def index(self, passages: Sequence[Passage]) -> None:
        """Embed all passages and store them. No query: it is paid once. Raises `ModelError` when it cannot be done."""
        from openai import OpenAIError

        try:
            vectors = self._embed([passage.text for passage in passages])
        except OpenAIError as error:
            raise ModelError(f"The documents could not be embedded: {error}") from error
        self._store.add(passages, vectors)

    def answer(self, task: Task) -> str:
        """The model's answer to one question."""
        with ragmeter.query():
            content = task.question
            if task.retrieves:
                [vector] = self._embed([task.question])
                found = self._store.nearest(vector, TOP)
                content = "\n\n".join(["Passages:", *found, f"Question: {task.question}"])
            answer = self._client.chat.completions.create(
                model=task.model,
                messages=[{"role": "system", "content": SYSTEM_TEXT}, {"role": "user", "content": content}],
                max_tokens=LONGEST_ANSWER,
            )
        return answer.choices[0].message.content or ""

    def _embed(self, texts: list[str]) -> list[list[float]]:
        answer = self._client.embeddings.create(model=EMBEDDING_MODEL, input=texts)
        return [embedded.embedding for embedded in answer.data]


def ask_all(program: Program, tasks: Sequence[Task], advance: Callable[[], None], workers: int = WORKERS) -> Outcome:
    """Ask all questions on a few threads; `advance` is called after each. One that fails does not stop the others."""
    from openai import OpenAIError

    def ask(task: Task) -> str | None:
        try:
            program.answer(task)
        except OpenAIError as error:
            return str(error)
        finally:
            advance()
        return None

    executor = ThreadPoolExecutor(workers, thread_name_prefix="demo")
    try:
        errors = [error for error in executor.map(ask, tasks) if error is not None]
    finally:
        executor.shutdown(cancel_futures=True)
    return Outcome(len(tasks), tuple(errors))
