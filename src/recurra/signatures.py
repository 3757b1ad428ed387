"""What a constructor's signature makes of settings: which keys there are, and of which types."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import types as builtin_types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from recurra.errors import ConfigError, did_you_mean
from recurra.forms import shown

Settings = TypeVar("Settings")

LARGEST = (2 - 2**-23) * 2.0**127
"""The largest number of 32 bits, 3.4e38: weights are of them."""
_UNNAMED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""Parameters that take anything, as those of an `nn.Module` without a constructor do: no setting has their name."""
_PLAIN: dict[str, Any] = {**{each.__name__: each for each in (bool, dict, float, int, list, str, tuple)}, "Any": Any}
"""Names that stand for the same type in every source."""
_groups: set[type] = set()


def group(settings: type[Settings]) -> type[Settings]:
    """Decorator of a frozen dataclass: a constructor's keyword of this type, its default made by a call of it, stands
    for the fields.

    They are keys beside the other keywords, `core.hidden_size`, not `core.layers.hidden_size`, so that parts which
    share settings write them down once. What is not given is as the keyword's default has it.
    """
    _groups.add(settings)
    return settings


def check_known(keys: Iterable[str], known: Collection[str], where: str) -> None:
    """Raise `ConfigError` for a key that is not known."""
    for key in keys:
        if key not in known:
            raise ConfigError(
                f"unknown key {where}.{key}{did_you_mean(key, known)} Keys: {', '.join(known) or 'none'}."
            )


def checked(maker: Callable[..., Any], settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Settings compared with the keywords of `maker`; unknown or missing keys and wrong types raise `ConfigError`."""
    parameters, hints, groups = keywords(maker)
    check_known(settings, parameters, where)
    missing = [n for n, p in parameters.items() if p.default is p.empty and n not in settings]
    if missing:
        raise ConfigError(f"{where}.{missing[0]} is missing: add it to the recipe or pass --set {where}.{missing[0]}=…")
    found = {key: _convert(value, hints.get(key, Any), f"{where}.{key}") for key, value in settings.items()}
    for name, default in groups.items():
        given = {each.name: found.pop(each.name) for each in dataclasses.fields(default) if each.name in found}
        found[name] = dataclasses.replace(default, **given)
    return found


@cache
def keywords(
    maker: Callable[..., Any],
) -> tuple[Mapping[str, inspect.Parameter], Mapping[str, Any], Mapping[str, Any]]:
    """Parameters and their types, a group's fields in its place; and the default of each group. A server asks for those
    of a batching with every request."""
    hints = typing.get_type_hints(maker.__init__ if inspect.isclass(maker) else maker)
    found, groups = dict[str, inspect.Parameter](), {}
    for name, parameter in inspect.signature(maker).parameters.items():
        if hints.get(name) in _groups:
            groups[name], settings = parameter.default, hints[name]
            hints |= typing.get_type_hints(settings)
            found |= {
                key: each.replace(default=getattr(parameter.default, key))
                for key, each in inspect.signature(settings).parameters.items()
            }
        elif parameter.kind not in _UNNAMED:
            found[name] = parameter
    return found, hints, groups


def check_value(value: Any, annotation: ast.expr, where: str) -> None:
    """Raise `ConfigError` for a value of another type than an annotation in a source says, as far as it says so in
    words that mean the same everywhere."""
    _convert(value, _hint(annotation), where)


def _hint(node: ast.expr) -> Any:
    """The type that an annotation names; Any where that is for its module to say."""
    if isinstance(node, ast.Constant):
        return type(None) if node.value is None else ... if node.value is ... else Any
    if isinstance(node, ast.Name):
        return _PLAIN.get(node.id, Any)
    if isinstance(node, ast.BinOp):
        either = _hint(node.left), _hint(node.right)
        return Any if Any in either else either[0] | either[1]
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
        return Any
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if node.value.id == "Literal" and all(isinstance(each, ast.Constant) for each in inner):
        return typing.Literal[tuple(each.value for each in inner if isinstance(each, ast.Constant))]
    if node.value.id in ("tuple", "list"):
        return _PLAIN[node.value.id][tuple(map(_hint, inner))]
    return Any


def _convert(value: Any, hint: Any, where: str) -> Any:
    """`value` as `hint`, integers accepted for floats and lists for tuples; anything else is refused."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is typing.Literal:
        if value is None and "none" in arguments:
            return "none"  # which a recipe cannot tell from None
        if value in arguments:
            return value
        expected = ", ".join(repr(a) for a in arguments)
        raise ConfigError(
            f"{where} = {value!r}{did_you_mean(str(value), map(str, arguments))} Expected one of {expected}."
        )
    if origin in (typing.Union, builtin_types.UnionType):
        for option in arguments:
            try:
                return _convert(value, option, where)
            except ConfigError:
                continue
        if float in arguments and isinstance(value, (int, float)) and not isinstance(value, bool):
            return _finite(value, where)  # which says what is wrong with a number
    elif origin in (tuple, list) and isinstance(value, (list, tuple)):
        inner = arguments[0] if arguments else Any
        return origin(_convert(v, inner, where) for v in value)
    elif hint is type(None) and value is None:
        return None
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value, where)
    elif isinstance(hint, type) and isinstance(value, hint) and (hint is not int or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{where} = {value!r} is a {type(value).__name__}, expected {_written(hint)}.")


def _finite(value: float, where: str) -> float:
    """A number as a float; raises `ConfigError` for NaN, ±∞, and what no float of 32 bits holds."""
    try:
        held = float(value)
    except OverflowError:
        held = math.inf
    if abs(held) <= LARGEST:  # which NaN is not
        return held
    raise ConfigError(f"{where} = {shown(value)}, expected a finite number of 32 bits.")


def _written(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(map(repr, arguments))
    if origin in (typing.Union, builtin_types.UnionType):
        return " | ".join("None" if each is type(None) else _written(each) for each in arguments)
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint).replace("typing.", "")
