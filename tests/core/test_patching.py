"""Patching: a wrapped function is the same function to the app, and is reached whoever came before."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import importlib
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path
from types import MethodType
from unittest import mock

import pytest
import wrapt

from function_uses import uses_of
from ragmeter.guard import Guard
from ragmeter.reading import clients
from ragmeter.wrapping.patch_state import PatchState
from ragmeter.wrapping.patching import Patching

LIBRARY = '''
class Client:
    """Asks."""

    def ask(self, question: str, *, times: int = 1) -> tuple:
        """Ask a question."""
        return self, question, times

    async def ask_later(self, question: str = "why") -> tuple:
        return self, question

    @staticmethod
    def ask_nobody(question: str) -> str:
        return question

    @classmethod
    def ask_all(cls, question: str) -> tuple:
        return cls, question

    def __eq__(self, other):
        return type(other) is type(self)

    def __hash__(self):
        return 7


class Special(Client):
    """What apps use."""


def ask(question: str) -> str:
    return question


CLIENT, SPECIAL = Client(), Special()
'''
FUNCTIONS = {
    "a method": "Client.ask",
    "a coroutine": "Client.ask_later",
    "a static method": "Client.ask_nobody",
    "a class method": "Client.ask_all",
    "a function": "ask",
}
TAKEN = {
    "from an instance": lambda library, path: functools.reduce(getattr, path.split(".")[1:], library.CLIENT),
    "from a heir": lambda library, path: functools.reduce(getattr, path.split(".")[1:], library.SPECIAL),
    "from the class": lambda library, path: functools.reduce(getattr, path.split("."), library),
}


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A client library, imported afresh for each test."""
    (tmp_path / "asking.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RAGMETER_LOUD", "1")
    monkeypatch.delitem(sys.modules, "asking", raising=False)
    yield importlib.import_module("asking")
    sys.modules.pop("asking", None)


class Watched:
    """Everything in the library wrapped; `calls` is what came through, as instance, arguments and keywords."""

    def __init__(self, *paths: str) -> None:
        self.calls = []
        self.patching = Patching(Guard())
        for path in paths or FUNCTIONS.values():
            self.patching.wrap(f"asking:{path}", self.around, lambda: None)

    def around(self, original):
        def note(wrapped, instance, arguments, keywords):
            self.calls.append((instance, arguments, keywords))
            return wrapped(*arguments, **keywords)

        return note

    def patch(self, path: str = "Client.ask"):
        return self.patching.patches[f"asking:{path}"]


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_wrapped_function_is_used_as_the_bare_one(library, function, taken):
    """Pickled, copied, compared, inspected: each use of a function comes out as it did before it was wrapped."""
    if function == "a function":
        taken = "from the class"

    take = functools.partial(TAKEN[taken], library, FUNCTIONS[function])
    bare = uses_of(take)
    watched = Watched()
    assert uses_of(take) == bare
    held = take()
    watched.patching.undo()
    assert uses_of(take) == bare
    assert uses_of(lambda: held) == bare


@pytest.mark.parametrize("taken", TAKEN)
def test_calls_come_through_with_their_instance(library, taken):
    """Every way to call a method gives the app's answer, and tells us the instance."""
    watched = Watched()
    client = library.Special()
    assert client.ask("why", times=2) == (client, "why", 2)
    assert library.Special.ask(client, "why") == (client, "why", 1)
    assert super(library.Special, client).ask("why") == (client, "why", 1)
    assert functools.partial(client.ask, times=3)("why") == (client, "why", 3)
    assert [call[0] for call in watched.calls] == [client] * 4
    assert asyncio.run(client.ask_later()) == (client, "why")
    assert library.Special.ask_all("why") == (library.Special, "why")
    assert watched.calls[-1][0] is library.Special
    assert client.ask_nobody("why") == library.ask("why") == "why"
    assert watched.calls[-1] == (None, ("why",), {})


def test_a_call_that_python_refuses_is_refused_the_same_way(library):
    """Arguments that are missing, or an instance given by name, mean what they mean without us."""
    with pytest.raises(TypeError) as bare:
        library.Client.ask()
    watched = Watched()
    with pytest.raises(TypeError) as told:
        library.Client.ask()
    assert str(told.value) == str(bare.value)
    client = library.Client()
    assert library.Client.ask(self=client, question="why") == (client, "why", 1)
    assert watched.calls == []


def test_a_method_from_before_equals_the_one_from_now(library):
    """A bound method that was kept before it was wrapped is still found by its equal: callbacks can be taken back."""
    client = library.Client()
    kept = client.ask
    Watched()
    assert kept == client.ask
    assert {kept: "callback"}[client.ask] == "callback"


def test_pickles_are_loaded_where_ragmeter_is_not(library, tmp_path):
    """What is pickled here holds only names of the library: a process without ragmeter loads it."""
    Watched()
    client = library.Client()
    pickled = pickle.dumps(
        [client.ask, library.Client.ask_later, client.ask_all, library.Client.ask_nobody, library.ask]
    )
    assert b"ragmeter" not in pickled
    script = (
        "import pickle, sys; print(len(pickle.load(sys.stdin.buffer)), [n for n in sys.modules if 'ragmeter' in n])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickled,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=60,
        check=True,
    )
    assert done.stdout.decode().strip() == "5 []"


def test_a_method_is_replaced_by_a_mock_of_its_form(library):
    """`mock.patch.object(autospec=True)` takes a wrapped function for its pattern, and puts it back."""
    watched = Watched()
    wrapper = vars(library.Client)["ask"]
    with mock.patch.object(library.Client, "ask", autospec=True) as replaced:
        library.Client().ask("why")
        with pytest.raises(TypeError, match="missing a required argument"):
            library.Client().ask()
    assert replaced.call_count == 1
    assert vars(library.Client)["ask"] is wrapper
    assert watched.calls == []


def wrapt_wrapper(bare, calls):
    def note(wrapped, instance, arguments, keywords):
        calls.append(instance)
        return wrapped(*arguments, **keywords)

    return wrapt.FunctionWrapper(bare, note)


def closure(bare, calls):
    @functools.wraps(bare)
    def noted(self, *arguments, **keywords):
        calls.append(self)
        return bare(self, *arguments, **keywords)

    return noted


def default(bare, calls):
    def noted(self, *arguments, _calls=calls, _bare=bare, **keywords):
        _calls.append(self)
        return _bare(self, *arguments, **keywords)

    return noted


def global_name(bare, calls):
    names = {"bare": bare, "calls": calls, "__name__": __name__}
    exec("def noted(self, *a, **k):\n    calls.append(self)\n    return bare(self, *a, **k)", names)
    return names["noted"]


def nested(bare, calls):
    return closure(wrapt_wrapper(closure(bare, []), []), calls)


class Around:
    """A wrapper that is an object with a function inside."""

    def __init__(self, bare, calls):
        self.bare, self.calls = bare, calls
        functools.update_wrapper(self, bare)

    def __get__(self, instance, owner=None):
        return functools.partial(self, instance)

    def __call__(self, instance, *arguments, **keywords):
        self.calls.append(instance)
        return self.bare(instance, *arguments, **keywords)


WRAPPERS = [wrapt_wrapper, closure, default, global_name, nested, Around]


@pytest.mark.parametrize("make", WRAPPERS)
def test_a_wrapper_on_a_subclass_from_before_us_leads_to_ours(library, make):
    """A tool that has put the bare function on a subclass before us: its calls come through both, once."""
    theirs = []
    wrapper = make(library.Client.ask, theirs)
    library.Special.ask = wrapper
    watched = Watched()
    client = library.Special()
    assert client.ask("why", times=2) == (client, "why", 2)
    assert theirs == [client]
    assert watched.calls == [(client, ("why",), {"times": 2})]
    (front,) = watched.patch().fronts()
    assert front.path == "asking.Special.ask"
    assert front.leads_to_ours
    assert front.maker == __name__
    watched.patching.undo()
    assert vars(library.Special)["ask"] is wrapper
    assert client.ask("why") == (client, "why", 1)
    assert len(theirs) == 2
    assert len(watched.calls) == 1


def test_a_bare_function_left_on_a_subclass_is_wrapped(library):
    """A tool that took itself back may leave the bare function where there was none: it is wrapped there."""
    bare = library.Special.ask = library.Client.ask
    watched = Watched()
    library.Special().ask("why")
    assert len(watched.calls) == 1
    assert list(watched.patch().fronts()) == []
    watched.patching.undo()
    assert vars(library.Special)["ask"] is bare


def test_a_method_that_asks_the_class_above_is_left_alone(library):
    """A subclass whose method calls its parent's comes through ours that way, and is not wrapped as well."""

    class Mine(library.Client):
        def ask(self, question):
            return super().ask(question)

    class Named(library.Client):
        def ask(self, question):
            return library.Client.ask(self, question)

    own = vars(Mine)["ask"], vars(Named)["ask"]
    watched = Watched()
    assert (vars(Mine)["ask"], vars(Named)["ask"]) == own
    Mine().ask("why")
    Named().ask("why")
    assert len(watched.calls) == 2
    assert list(watched.patch().fronts()) == []


def test_a_method_that_answers_by_itself_is_wrapped(library):
    """A subclass that answers in its own way is what the app asks: it is wrapped, also below a subclass."""

    class Mine(library.Special):
        def ask(self, question):
            return "because"

    watched = Watched()
    assert Mine().ask("why") == "because"
    assert len(watched.calls) == 1


def test_a_partial_method_from_before_us_is_wrapped(library):
    """A tool that has put a partial method there, which shows nothing of what it calls: it is wrapped as a whole."""
    bare = library.Client.ask

    def noted(self, inner, question):
        return inner(self, question)

    library.Special.ask = partial = functools.partialmethod(noted, bare)
    watched = Watched()
    client = library.Special()
    assert client.ask("why") == (client, "why", 1)
    assert [call[0] for call in watched.calls] == [client]
    watched.patching.undo()
    assert vars(library.Special)["ask"] is partial
    assert client.ask("why") == (client, "why", 1)
    assert len(watched.calls) == 1


@pytest.mark.parametrize("make", WRAPPERS)
def test_a_wrapper_around_ours_is_told(library, make):
    """A tool that comes after us wraps what is ours: nothing is changed, the status names it."""
    watched = Watched()
    library.Special.ask = wrapper = make(library.Client.ask, [])
    library.Special().ask("why")
    assert len(watched.calls) == 1
    (front,) = watched.patch().fronts()
    assert (front.path, front.leads_to_ours) == ("asking.Special.ask", True)
    assert vars(library.Special)["ask"] is wrapper


def test_what_leads_past_ours_is_told(library):
    """A tool that takes hold after us of what it knew before us leads past ours, and the status says so."""
    bare = library.Client.ask
    watched = Watched()
    library.Special.ask = closure(bare, [])
    library.Special().ask("why")
    assert watched.calls == []
    (front,) = watched.patch().fronts()
    assert (front.path, front.leads_to_ours) == ("asking.Special.ask", False)
    assert str(front) == f"asking.Special.ask by {__name__}"
    library.Client.ask = bare
    assert [front.path for front in watched.patch().fronts()] == ["asking.Client.ask", "asking.Special.ask"]


def test_on_again_reaches_what_the_first_time_reached(library):
    """Off and on again: a wrapper of others that still holds our silent one leads to the new one."""
    first = Watched()
    library.Special.ask = closure(library.Client.ask, [])
    first.patching.undo()
    second = Watched()
    library.Special().ask("why")
    assert len(second.calls) == 1
    assert [front.leads_to_ours for front in second.patch().fronts()] == [True]


def test_a_class_of_the_app_is_not_kept_alive(library):
    """A subclass that is wrapped can be let go of while we run."""

    def make():
        class Mine(library.Client):
            def ask(self, question):
                return "because"

        return Mine

    mine = make()
    watched = Watched()
    gone = weakref.ref(mine)
    assert len(watched.patch().wrappers) == 2
    del mine
    gc.collect()
    assert gone() is None
    watched.patching.undo()


def test_one_class_that_cannot_be_wrapped_costs_no_other(library, monkeypatch, caplog):
    """A class that refuses new attributes is left alone, counted, and the others are wrapped all the same."""
    monkeypatch.setenv("RAGMETER_LOUD", "0")

    class Refusing(type):
        def __setattr__(cls, name, value):
            raise AttributeError("frozen")

    class Frozen(library.Client, metaclass=Refusing):
        def ask(self, question):
            return "because"

    library.Special.ask = closure(library.Client.ask, [])
    watched = Watched()
    assert Frozen().ask("why") == "because"
    library.Special().ask("why")
    assert len(watched.calls) == 1
    assert {
        front.path.rpartition(".")[0].rpartition(".")[2]: front.leads_to_ours for front in watched.patch().fronts()
    } == {
        "Frozen": False,
        "Special": True,
    }
    assert watched.patch().state is PatchState.PATCHED


def test_what_is_no_function_is_left_alone(library):
    """An attribute of the name that cannot be called, or was taken away by `None`, stays as it is."""
    library.Special.ask = None
    Watched()
    assert library.Special.ask is None


def test_a_copy_of_a_class_of_the_app_keeps_the_wrapper(library):
    """Deep copies of objects that hold wrapped functions hold the same functions."""
    watched = Watched()
    client = library.Client()
    (copied,) = copy.deepcopy([client.ask])
    copied("why")
    assert watched.calls[0][0] is copied.__self__ is not client


def test_a_providers_own_methods_are_still_its_own(watch):
    """What is wrapped of the app's providers, to hand over before they flush, are bound methods as before."""
    seen = watch()
    for provider in (seen.tracer_provider, seen.meter_provider):
        for method in (provider.force_flush, provider.shutdown):
            assert type(method) is MethodType
            assert method.__self__ is provider
            assert weakref.WeakMethod(method)() == method == getattr(type(provider), method.__name__).__get__(provider)
    assert seen.meter_provider.force_flush()


def test_a_file_is_called_as_its_integration():
    """Every file of the folder is an integration of that name, whose targets stand in the module that it names."""
    folder = Path(clients.__file__).parent
    files = tuple(sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")))
    assert clients.names() == files
    for name in files:
        integration = clients.load(name)
        assert integration.name == name
        outside = [each.path for each in integration.targets if not each.path.startswith(f"{integration.module}")]
        assert outside == []
