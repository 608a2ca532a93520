"""A function with something of ours around it, which for the app is still that function.

Whatever works with the bare function works with this one: it can be pickled, copied, referred to weakly, compared,
inspected, and taken from an instance as a real bound method.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import wrapt

from ragmeter.reading.declaration import Wrapper

MISSING = object()


class WrappedFunction(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A module's function or a static method; its attributes are those of the function inside."""

    # No annotation may stand in this class: it would be taken for those of the function.
    def __init__(self, function: Any, wrapper: Wrapper) -> None:
        super().__init__(function, wrapper)
        # What its maker remembers of it: wrapt gives names without this beginning to the function inside.
        self._self_link: Any = None

    # wrapt's own bound wrapper can be neither pickled nor copied, and dies before a weak reference to it is used.
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __copy__(self) -> WrappedFunction:
        return self

    def __deepcopy__(self, _: Any) -> WrappedFunction:
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        # By its name, as every function: then it is loaded as well where ragmeter is not, or is off.
        name = getattr(self, "__qualname__", "")
        return name if _named(self.__module__, name) is self else (copy.copy, (self.__wrapped__,))

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(0)


class WrappedMethod(WrappedFunction):
    """A function of a class: its first argument is the instance, or the class where it is a class method."""

    def __call__(self, instance: Any = MISSING, /, *arguments: Any, **keywords: Any) -> Any:
        """Call the wrapper with the function bound to its first argument."""
        wrapped = self.__wrapped__
        if instance is MISSING:
            # It is missing, or comes by name: what Python makes of that is not ours to say.
            return wrapped(**keywords)
        # The first is what the second does, in a third of the time.
        bound = MethodType(wrapped, instance) if type(wrapped) is FunctionType else _bound(wrapped, instance)
        wrapper: Any = self._self_wrapper
        return wrapper(bound, instance, arguments, keywords)


def is_method(owner: Any, found: Any) -> bool:
    """Whether `found`, an attribute of the class or module `owner`, is called with an instance or a class."""
    return inspect.isclass(owner) and not isinstance(found, staticmethod)


def wrapped(found: Any, make_wrapper: Callable[[Any], Wrapper], *, method: bool) -> tuple[WrappedFunction, Any]:
    """The function in `found` with a wrapper, and what is to stand in its place: static and class methods stay such."""
    kind = type(found) if isinstance(found, staticmethod | classmethod) else None
    function = found if kind is None else found.__func__
    wrapper = (WrappedMethod if method else WrappedFunction)(function, make_wrapper(function))
    return wrapper, wrapper if kind is None else kind(wrapper)


def wrapped_bound(method: Any, wrapper: Wrapper) -> Any:
    """A bound method with a wrapper, as a real bound method of the same instance; any other function just wrapped."""
    if isinstance(method, MethodType):
        return MethodType(WrappedMethod(method.__func__, wrapper), method.__self__)
    return WrappedFunction(method, wrapper)


def _bound(function: Any, instance: Any) -> Any:
    bind = getattr(type(function), "__get__", None)
    return function if bind is None else bind(function, instance, type(instance))


def _named(module: str, qualified_name: str) -> Any:
    found: Any = sys.modules.get(module)
    for name in qualified_name.split("."):
        found = getattr(found, name, None)
    return found
