"""What apps do with a function besides calling it: it must come out the same with ragmeter around it."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from typing import Any

ATTRIBUTES = ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__", "__code__")
QUESTIONS = (
    inspect.signature,
    inspect.getfullargspec,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.isfunction,
    inspect.ismethod,
    inspect.isroutine,
    inspect.getsource,
    inspect.getmodule,
    typing.get_type_hints,
    callable,
    hash,
)

USES: Mapping[str, Callable[[Any], Any]] = {
    **{question.__name__: question for question in QUESTIONS},
    **{name: lambda function, name=name: getattr(function, name) for name in ATTRIBUTES},
    **{
        f"pickled by protocol {protocol}": lambda function, protocol=protocol: (
            pickle.loads(pickle.dumps(function, protocol)) == function
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "pickled by Python": lambda function: pickle.loads(pickle._dumps(function)) == function,  # type: ignore[attr-defined]
    "pickled in a partial": lambda function: (
        pickle.loads(pickle.dumps(functools.partial(function, 1))).func == function
    ),
    "copied": lambda function: copy.copy(function) == function,
    "copied deeply": lambda function: type(copy.deepcopy(function)) is type(function),
    "copied deeply in a list": lambda function: len(copy.deepcopy([function, function])),
    "referred to weakly": lambda function: type(weakref.ref(function)).__name__,
    "a weak method": lambda function: weakref.WeakMethod(function)() == function,
    "a key": lambda function: {function: 1}[function],
    "equal to itself": lambda function: function == function,  # noqa: PLR0124 - a bound method is made anew each time
    "dispatched": lambda function: functools.singledispatch(function).__name__,
    "wrapped by others": lambda function: inspect.signature(functools.wraps(function)(lambda: None)),
    "bound by hand": lambda function: types.MethodType(function, 1).__self__,
    "its instance": lambda function: type(function.__self__),
    "unwrapped": lambda function: inspect.unwrap(getattr(function, "__func__", function)),
    "its function": lambda function: inspect.unwrap(function.__func__),
}


def uses_of(function: Callable[[], Any]) -> dict[str, Any]:
    """How each use of what `function` gives comes out: its value, or the type of its error."""
    return {name: _outcome(use, function) for name, use in USES.items()}


def lost(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The uses that came out before and now come out otherwise."""
    return {name: now[name] for name, value in before.items() if not _is_error(value) and now[name] != value}


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def _outcome(use: Callable[[Any], Any], function: Callable[[], Any]) -> Any:
    try:
        return use(function())
    except Exception as error:  # noqa: BLE001
        return type(error)
