"""The files and options that a scenario is written in, one over the other, and which of them says what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SHIPPED = Path(__file__).with_name("scenarios")


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message names the place and says what to write there."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one file or one `--set` says; `origin` names it in errors."""

    origin: str
    content: Mapping[str, Any]


def shipped() -> dict[str, str]:
    """The scenarios that come with ragmeter and their titles."""
    return {path.stem: str(yaml.safe_load(path.read_text("utf-8"))["title"]) for path in sorted(SHIPPED.glob("*.yaml"))}


def read_layer(name: str) -> Layer:
    """A scenario file, or one that is shipped by its name. Raises `ScenarioError` where it cannot be read."""
    path = Path(name)
    if not path.exists() and (ours := SHIPPED / f"{path.stem}.yaml").exists() and path.name in (path.stem, ours.name):
        path = ours
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        known = ", ".join(shipped())
        raise ScenarioError(
            f"{name or repr(name)}: cannot be read: {error.strerror}; scenarios that are shipped: {known}"
        ) from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{name}: it is not in UTF-8 (byte {error.start})") from error
    content = _yaml(name, text)
    if not isinstance(content, dict):
        raise ScenarioError(f"{name}: expected entries such as `queries_per_day: 10000`, one a line")
    return Layer(name, content)


def read_setting(text: str) -> Layer:
    """A `--set path=value`. Raises `ScenarioError` for anything else."""
    path, found, value = text.partition("=")
    names = [name.strip() for name in path.split(".")]
    if not found or not all(names):
        raise ScenarioError(f"--set {text}: write path=value, such as --set labour_rate=80")
    content: Any = _yaml(f"--set {text}", value)
    for name in reversed(names):
        content = {name: content}
    return Layer(f"--set {text}", content)


class _Loader(yaml.SafeLoader):
    """Refuses an entry that stands there twice, of which one would be lost."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=True)
        problem = (
            "is no name of an entry" if not isinstance(name, str) else "stands there twice" if name in seen else ""
        )
        if problem:
            raise yaml.constructor.ConstructorError(None, None, f"{name!r} {problem}", key.start_mark)
        seen.add(name)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# YAML 1.1 takes 1e5 for a text.
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), "-+0123456789")


def _yaml(origin: str, text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ScenarioError(f"{origin}: {place}it is not valid YAML: {problem}") from error
    except ValueError as error:
        raise ScenarioError(f"{origin}: it is not valid YAML: {str(error).partition(';')[0]}") from error
    except RecursionError as error:
        raise ScenarioError(f"{origin}: its entries lie too deep in one another") from error


def merged(layers: Sequence[Layer]) -> dict[str, Any]:
    """All layers in one, the later ones over the earlier."""
    content: dict[str, Any] = {}
    for layer in layers:
        content = _over(content, layer.content)
    return content


def _over(below: Any, above: Any) -> Any:
    """One layer over another. The name of a model replaces all prices below it."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping) or "model" in above:
        return above
    return {**below, **{key: _over(below.get(key), value) for key, value in above.items()}}


def origin(layers: Sequence[Layer], path: Sequence[str | int]) -> str:
    """The layer that says what stands at a path, or the first one."""
    said = [layer.origin for layer in layers if _has(layer.content, path)]
    return said[-1] if said else layers[0].origin if layers else "the scenario"


def _has(content: Any, path: Sequence[str | int]) -> bool:
    for name in path:
        entries = dict(enumerate(content)) if isinstance(content, list) else content
        if not isinstance(entries, Mapping) or name not in entries:
            return False
        content = entries[name]
    return True
