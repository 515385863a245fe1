"""Dataclasses from and to text: `key=value` overrides, checked by name and type, and JSON.

Fields may be numbers, words, `Literal` choices, tuples of whole numbers or choices, dataclasses,
and unions of dataclasses, whose members go by their names in snake case (`MaxoutMLP`: maxout_mlp).
"""

import copy
import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from keras_gan.interfaces import UserError

Config = TypeVar("Config")


def override(config: Config, *assignments: str) -> Config:
    """Return a copy of a dataclass with each `key=value` (`d_optimizer.name=adam`) applied.

    The whole is checked once, at the end: fields that must agree may be set one after another.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"Expected key=value; received {assignment!r}. Try --set seed=1.")
        key = key.strip()
        config = _replace(config, key, key.split("."), text.strip())
    _check(config)
    return config


def differences(left: Any, right: Any) -> dict[str, tuple[Any, Any]]:
    """Name each field, dotted, in which two dataclasses differ."""
    a, b = flat(left), flat(right)
    return {key: (a.get(key), b.get(key)) for key in sorted(a | b) if a.get(key) != b.get(key)}


def flat(config: Any) -> dict[str, Any]:
    """Return each field of a dataclass by its dotted name."""
    return _flat(to_data(config))


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Make the error for a name that does not exist: it says what does, nearest first."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"Expected {kind} to be one of {', '.join(known)}; received {name!r}.{hint}")


def _replace(config: Any, key: str, path: list[str], text: str) -> Any:
    """Return `config` with the field that `path` names set to the value that `text` writes."""
    hints = typing.get_type_hints(type(config))
    if path[0] not in hints:
        raise unknown(f"a key of {type(config).__name__}", path[0], hints)
    current = getattr(config, path[0])
    if len(path) > 1:
        if not dataclasses.is_dataclass(current):
            raise UserError(f"Expected {path[0]!r} to have parts; received key {key!r}.")
        value = _replace(current, key, path[1:], text)
    else:
        value = _parse(hints[path[0]], key, text)
    changed = copy.copy(config)
    object.__setattr__(changed, path[0], value)
    return changed


def _check(config: Any) -> None:
    """Check a dataclass and those in it, innermost first."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _check(value)
    if hasattr(config, "__post_init__"):
        config.__post_init__()


def _parse(kind: Any, key: str, text: str) -> Any:
    """Read `text` as a value of the annotated type `kind`."""
    if isinstance(kind, types.UnionType):
        members = _members(kind)
        if text not in members:
            raise unknown(key, text, members)
        return members[text]()
    if dataclasses.is_dataclass(kind):
        names = ", ".join(f"{key}.{field.name}" for field in dataclasses.fields(kind))
        raise UserError(f"Expected one of its parts; received {key}={text!r}. Try {names}.")
    if typing.get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
        if text not in choices:
            raise unknown(key, text, choices)
        return choices[text]
    if typing.get_origin(kind) is tuple and typing.get_args(kind)[0] is not int:
        items = [item.strip("'\" ") for item in text.strip("()[] ").split(",")]
        return tuple(_parse(typing.get_args(kind)[0], key, item) for item in items if item)
    try:
        if typing.get_origin(kind) is tuple:
            return tuple(int(item) for item in text.strip("()[] ").split(",") if item.strip())
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        word = {int: "a whole number", float: "a number", bool: "true or false"}.get(
            kind, "whole numbers with commas between"
        )
        raise UserError(f"Expected {key} to be {word}; received {key}={text!r}.") from None


def to_data(config: Any) -> Any:
    """Turn a dataclass into what JSON can hold; a member of a union carries its name as `kind`."""
    if not dataclasses.is_dataclass(config):
        return list(config) if isinstance(config, tuple) else config
    data = {}
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        data[name] = to_data(value)
        if isinstance(hint, types.UnionType):
            data[name]["kind"] = _snake(type(value))
    return data


def from_data(kind: Any, data: Any) -> Any:
    """Turn what `to_data` made back into a dataclass of type `kind`."""
    if isinstance(kind, types.UnionType):
        data = dict(data)
        kind = _members(kind)[data.pop("kind")]
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: from_data(hints[name], value) for name, value in data.items()})  # type: ignore[operator]
    return tuple(data) if typing.get_origin(kind) is tuple else data


def _members(union: types.UnionType) -> dict[str, Any]:
    return {_snake(member): member for member in typing.get_args(union)}


def _snake(kind: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
