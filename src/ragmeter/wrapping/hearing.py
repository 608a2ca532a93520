"""Methods of one object heard: something of ours is called around them, and the app gets what it ever gets.

For as long as it is heard, the object is of a class that is made of its own class and differs in these methods alone.
Functions put into the object instead would hold it, so that only a collection of garbage freed it and its connection; a
copy's would read the first one; and an object with slots has no place for them. For the app the object is what it was:
`isinstance`, `__class__`, `repr`, copies and pickles say its own class, and only `type()` tells. Classes that want to
know of their heirs, and those of C that refuse, are left alone: of their objects nothing is heard.
"""

from __future__ import annotations

import inspect
from abc import ABCMeta
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from types import MethodType
from typing import Any, Generic

from ragmeter.domain.by_identity import ByIdentity

CLOSES = ("close", "aclose")
"""Methods that close a connection."""

MOST_CLASSES = 64
"""Classes whose heirs are kept: apps have few kinds of bodies, and may make classes that should go."""

_INDIFFERENT = [vars(kind)["__init_subclass__"] for kind in (object, Generic)]
"""What is called with each new heir, of those to whom it is nothing."""

_class_of: Any = vars(object)["__class__"]
"""The real class, of those as well that say another one's."""


def _always() -> bool:
    return True


def _as_it_is(_: Any, result: Any, *__: Any) -> Any:
    return result


def _nothing(_: BaseException) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Around:
    """What is done around the calls of one method; none of it may hold the object.

    `before` says whether this call is heard at all. `after` is called with the object, the result and what the call was
    given, and gives what goes to the app in the place of the result; `failed` with what was raised.
    """

    before: Callable[[], bool] = _always
    after: Callable[[Any, Any, tuple[Any, ...], Mapping[str, Any]], Any] = _as_it_is
    failed: Callable[[BaseException], None] = _nothing


_heard: ByIdentity[Mapping[str, Around]] = ByIdentity()


def hear(instance: Any, around: Mapping[str, Around], owner: Any = None) -> bool:
    """Hear those of the named methods that this one object has, until it, or its owner, is gone.

    False where that cannot be, or the object is heard already by someone else.
    """
    if _heard.get(instance) is not None:
        return False
    own = _own_class(type(instance))
    names = tuple(around)
    methods = (*_methods(own, names), *_handed_on(instance, own, names))
    try:
        _heard.put(instance, around, owner)
        _class_of.__set__(instance, _heard_class(own, methods))
    except TypeError:
        _heard.pop(instance)
        return False
    return True


def unhear(instance: Any) -> None:
    """Hear nothing of this one object any more."""
    _heard.pop(instance)
    _give_back(instance)


def hear_close(connection: Any, listener: Callable[[], None], names: tuple[str, ...] = CLOSES) -> None:
    """Call `listener` after this one connection was closed for the first time; then nothing of it is heard any more."""

    def closed(connection: Any, result: Any, *_: Any) -> Any:
        unhear(connection)
        listener()
        return result

    unhear(connection)
    hear(connection, dict.fromkeys(names, Around(after=closed, failed=lambda _: listener())))


@lru_cache(maxsize=MOST_CLASSES)
def _methods(own: type, names: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Those of the named methods that a class has, and which of them are awaited."""
    found = [(name, inspect.getattr_static(own, name, None), getattr(own, name, None)) for name in names]
    return tuple(
        (name, inspect.iscoroutinefunction(method))
        for name, static, method in found
        if callable(method) and not isinstance(static, staticmethod | classmethod)
    )


def _handed_on(instance: Any, own: type, names: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """The same for those that its class has not, but hands on to another object."""
    if hasattr(own, "__getattr__"):
        for name in names:
            if not hasattr(own, name) and callable(method := getattr(instance, name, None)):
                yield name, inspect.iscoroutinefunction(method)


def _bare(instance: Any, own: Any, name: str) -> Any:
    """The method as it is without us now, bound to whatever it is called with.

    An app may keep a method of ours, and call it when the object is of its own class again; others may put another in
    the class meanwhile.
    """
    method = getattr(own, name, None)
    return own.__getattr__(instance, name) if method is None else MethodType(method, instance)


def _own_class(kind: type) -> type:
    return (kind.__base__ or object) if _is_ours(kind) else kind


def _is_ours(kind: type) -> bool:
    return vars(kind).get("__reduce_ex__") is _reduced


def _give_back(instance: Any) -> None:
    kind = type(instance)
    if _is_ours(kind):
        _class_of.__set__(instance, _own_class(kind))


@lru_cache(maxsize=MOST_CLASSES)
def _heard_class(own: type, methods: tuple[tuple[str, bool], ...]) -> type:
    """The class of heard objects of the class `own`; a `TypeError` where there can be none."""
    if inspect.getattr_static(own, "__init_subclass__") not in _INDIFFERENT or type(own) not in (type, ABCMeta):
        raise TypeError(f"{own} wants to know of its heirs")
    space: dict[str, Any] = {
        "__slots__": (),
        "__module__": own.__module__,
        "__qualname__": own.__qualname__,
        "__doc__": own.__doc__,
        "__reduce_ex__": _reduced,
    }
    if not any("__class__" in vars(each) for each in own.__mro__[:-1]):
        # One that says another's class goes on to do so.
        space["__class__"] = property(lambda _: own, _class_of.__set__)
    made = type(own)(own.__name__, (own,), space)
    for name, is_awaited in methods:
        method = _listening_async(own, name) if is_awaited else _listening(own, name)
        setattr(made, name, wraps(getattr(own, name, method))(method))
    return made


def _reduced(self: Any, protocol: Any) -> Any:
    """As the object's own class: a copy is heard by nobody, and ours is found under no name."""
    ours = type(self)
    own = _own_class(ours)
    reduce: Any = own.__reduce_ex__
    reduced: Any = reduce(self, protocol)
    if not isinstance(reduced, tuple):
        return reduced
    make, arguments, *rest = reduced
    return (own if make is ours else make, tuple(own if each is ours else each for each in arguments), *rest)


def _listening_async(own: type, name: str) -> Any:
    async def heard_async(self: Any, /, *arguments: Any, **keywords: Any) -> Any:
        bare, around = _bare(self, own, name), _around(self, name)
        if around is None or not around.before():
            return await bare(*arguments, **keywords)
        try:
            result = await bare(*arguments, **keywords)
        except BaseException as error:
            around.failed(error)
            raise
        return around.after(self, result, arguments, keywords)

    return heard_async


def _listening(own: type, name: str) -> Any:
    def heard(self: Any, /, *arguments: Any, **keywords: Any) -> Any:
        bare, around = _bare(self, own, name), _around(self, name)
        if around is None or not around.before():
            return bare(*arguments, **keywords)
        try:
            result = bare(*arguments, **keywords)
        except BaseException as error:
            around.failed(error)
            raise
        return around.after(self, result, arguments, keywords)

    return heard


def _around(instance: Any, name: str) -> Around | None:
    """What is done around a method; where nothing is, the object is given back its own class."""
    around = _heard.get(instance)
    if around is None:
        _give_back(instance)
        return None
    return around.get(name)
