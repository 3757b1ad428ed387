"""Parts found by name. A part registers itself with a decorator in its own file, so adding one touches one file.

Names are read from the source of a room's modules without importing them: a typo is answered before torch is loaded.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
import traceback
import types as builtin_types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from recurra.errors import ConfigError, UnknownName
from recurra.signatures import check_known, check_value, checked, keywords

Part = TypeVar("Part")

ROOMS = {
    "cell": "cells",
    "tree-cell": "cells",
    "reader": "data",
    "codec": "data",
    "batching": "data",
    "spelling": "nn",
    "embedder": "nn",
    "core": "nn",
    "decoder": "nn",
    "emission": "nn",
    "task": "tasks",
    "metric": "tasks",
    "optimiser": "training",
    "schedule": "training",
    "baseline": "baselines",
}

_LEFT_OUT = {"baseline": " To be scored without it, train or evaluate with --no-baseline."}
"""How a part that a recipe must name is left out when it is used."""
_parts: dict[tuple[str, str], Any] = {}
_origins: dict[tuple[str, str], str] = {}
"""The module each part was registered by."""
_plugins: dict[Path, bytes] = {}
"""Plugins loaded, as they were then."""


def part(kind: str, name: str) -> Callable[[Part], Part]:
    """Decorator: register the class or cell that follows as the `kind` called `name`; both literals (see `names`)."""
    if kind not in ROOMS:
        raise UnknownName("kind of part", kind, ROOMS)

    module = sys._getframe(1).f_globals["__name__"]

    def register(thing: Part) -> Part:
        known = _origins.setdefault((kind, name), module)
        declared = _declared(kind).get(name, module)
        for other in (known, declared):
            if other != module:
                raise ConfigError(
                    f"the {kind} {name!r} is registered twice, by {other} and {module}. Give one of them another name."
                )
        _parts[kind, name] = thing
        return thing

    return register


@cache
def _room(room: str) -> dict[tuple[str, str], tuple[str, ast.AST]]:
    """(kind, name) → module and definition, read from the decorators in the sources of a room."""
    home = Path(__file__).parent
    found: dict[tuple[str, str], tuple[str, ast.AST]] = {}
    for file in sorted((home / room).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if "@part(" not in source:
            continue
        dotted = ".".join(("recurra", *file.relative_to(home).with_suffix("").parts))
        for node in _statements(dotted):
            for decorator in getattr(node, "decorator_list", ()):
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == "part":
                    words = [
                        a.value for a in decorator.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                    ]
                    if len(words) == 2:
                        found[words[0], words[1]] = (dotted, node)
    return found


def _declarations(kind: str) -> dict[str, tuple[str, ast.AST]]:
    """Name → module and definition of the parts of a kind."""
    return {name: found for (k, name), found in _room(ROOMS[kind]).items() if k == kind}


def _declared(kind: str) -> dict[str, str]:
    """Name → module."""
    return {name: module for name, (module, _) in _declarations(kind).items()}


def check_keys(kind: str, settings: Mapping[str, Any], where: str) -> None:
    """Raise `ConfigError` for a key the part `settings["kind"]` has not, as its source says; imports nothing.

    A part that is no class with an `__init__`, its own or inherited, or a plugin's, is not looked into: `checked` does.
    """
    if "kind" not in settings or _kind(kind, settings, where) not in _declarations(kind):
        return
    constructor = _method(*_declarations(kind)[settings["kind"]], "__init__")
    if constructor is not None:
        check_known([key for key in settings if key != "kind"], _arguments(*constructor), where)


def check_values(kind: str, settings: Mapping[str, Any], where: str) -> None:
    """Raise `ConfigError` for a value of another type than the source of the part `settings["kind"]` says; imports
    nothing. What a source does not say in plain types, and a plugin's part, is left to `checked`."""
    if "kind" not in settings or _kind(kind, settings, where) not in _declarations(kind):
        return
    constructor = _method(*_declarations(kind)[settings["kind"]], "__init__")
    known = {} if constructor is None else _parameters(*constructor)
    for key, value in settings.items():
        annotation = known[key][0] if key in known else None
        if key != "kind" and annotation is not None:
            check_value(value, annotation, f"{where}.{key}")


def arguments(kind: str, name: str) -> list[str]:
    """The keywords of a part's constructor, as its source says; imports no part of ours. Raises `UnknownName`."""
    found = _declarations(kind).get(name)
    if found is None:
        return list(keywords(find(kind, name))[0])
    constructor = _method(*found, "__init__")
    return [] if constructor is None else list(_arguments(*constructor))


def defaults(kind: str, name: str) -> dict[str, Any]:
    """Keyword → default of a part's constructor, as its source says where that has literals; imports no part of ours.

    Raises `UnknownName`.
    """
    found = _declarations(kind).get(name)
    if found is None:
        known = keywords(find(kind, name))[0]
        return {key: each.default for key, each in known.items() if each.default is not each.empty}
    constructor = _method(*found, "__init__")
    if constructor is None:
        return {}
    return {key: ast.literal_eval(value) for key, value in _arguments(*constructor).items() if value is not None}


def _arguments(module: str, constructor: ast.FunctionDef) -> dict[str, ast.expr | None]:
    """The keys that a constructor in a module of ours knows, each with its default; None: it has none."""
    return {key: default for key, (_, default) in _parameters(module, constructor).items()}


def _parameters(module: str, constructor: ast.FunctionDef) -> dict[str, tuple[ast.expr | None, ast.expr | None]]:
    """The keys that a constructor in a module of ours knows, each with its annotation and its default."""
    named, found = constructor.args, dict[str, tuple[ast.expr | None, ast.expr | None]]()
    positional = [None] * (len(named.args) - len(named.defaults)) + named.defaults
    both = [*zip(named.args, positional, strict=True)][1:]
    for argument, value in (*both, *zip(named.kwonlyargs, named.kw_defaults, strict=True)):
        # a group's default is a call of it
        called = value.func if isinstance(value, ast.Call) else None
        settings = _class(module, called.id) if isinstance(called, ast.Name) else None
        if settings is None or not isinstance(value, ast.Call):
            found[argument.arg] = argument.annotation, value
            continue
        fields = (inner for inner in settings[1].body if isinstance(inner, ast.AnnAssign))
        group = {
            inner.target.id: (inner.annotation, inner.value) for inner in fields if isinstance(inner.target, ast.Name)
        }
        stated = {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg}
        found |= {key: (annotation, stated.get(key, default)) for key, (annotation, default) in group.items()}
    return found


@dataclass(frozen=True)
class Option:
    """One option that a part takes when it is used, as its dataclass says it in the source."""

    name: str
    hint: str
    """Its type as it is written."""
    help: str


def options(task: str) -> list[Option]:
    """What a task takes at prediction, by the fields of its `Options` but for those `of_recipes`; imports no part of
    ours."""
    found = _declarations("task").get(task)
    if found is not None:
        module, node = found
        named = next(
            (inner.value.id for inner in getattr(node, "body", ()) if _is_options(inner)),
            None,
        )
        held = None if named is None else _class(module, named)
        return [] if held is None else _fields(held[1])
    maker = find("task", task).Options
    return _fields(ast.parse(textwrap.dedent(inspect.getsource(maker))).body[0])


def _is_options(node: ast.AST) -> bool:
    """Whether a statement of a class says `Options = NAME`."""
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
    named = any(isinstance(target, ast.Name) and target.id == "Options" for target in targets)
    return named and isinstance(getattr(node, "value", None), ast.Name)


def _fields(node: ast.AST) -> list[Option]:
    """The fields of a dataclass, each with the string below it."""
    found: list[Option] = []
    only: tuple[str, ...] = ()
    for inner in getattr(node, "body", ()):
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
            hint = ast.unparse(inner.annotation)
            if not hint.startswith("ClassVar"):
                found.append(Option(inner.target.id, hint, ""))
            elif inner.target.id == "of_recipes" and inner.value is not None:
                only = ast.literal_eval(inner.value)
        elif isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant) and found and not found[-1].help:
            found[-1] = replace(found[-1], help=" ".join(str(inner.value.value).split()))
    return [each for each in found if each.name not in only]


def has_method(kind: str, name: str, method: str) -> bool:
    """Whether a part has a method, as its source says; imports no part of ours. Raises `UnknownName`."""
    found = _declarations(kind).get(name)
    return hasattr(find(kind, name), method) if found is None else _method(*found, method) is not None


def _method(module: str, node: ast.AST, name: str) -> tuple[str, ast.FunctionDef] | None:
    """A method of a class or of its bases that stand in the same module or are imported from another of ours; and the
    module it stands in."""
    if not isinstance(node, ast.ClassDef):
        return None
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef) and inner.name == name:
            return module, inner
    for base in node.bases:
        found = _class(module, base.id) if isinstance(base, ast.Name) else None
        method = found and _method(*found, name)
        if method:
            return method
    return None


@cache
def _class(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """The module and the definition of a class that a module of ours names."""
    for node in _statements(module):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recurra."):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _class(str(node.module), alias.name)
    return None


@cache
def _statements(module: str) -> list[ast.stmt]:
    """The statements of a module of ours, as its source has them."""
    return ast.parse(_source(module).read_text(encoding="utf-8")).body


def _source(module: str) -> Path:
    path = Path(__file__).parents[1].joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def names(kind: str) -> list[str]:
    """All registered names of a kind, sorted, plugins included; imports nothing."""
    return sorted({*_declared(kind), *(name for k, name in _parts if k == kind)})


def ours(kind: str) -> list[str]:
    """The registered names of a kind that are no plugin's."""
    return sorted(_declared(kind))


def find(kind: str, name: str) -> Any:
    """The part registered under `name`; raises `UnknownName` with the nearest names."""
    if (kind, name) not in _parts:
        module = _declared(kind).get(name)
        if module is None:
            raise UnknownName(kind, name, names(kind))
        importlib.import_module(module)
    return _parts[kind, name]


def construct(kind: str, settings: Mapping[str, Any], where: str | None = None) -> Any:
    """Build a part from its settings; `settings["kind"]` is its name, the rest its constructor's keywords.

    `where` names the table they stand in, if it is not called like the kind: "task.decoder".
    """
    settings, where = dict(settings), where or kind
    if "kind" not in settings:
        raise ConfigError(f"[{where}] names no kind. Known: {', '.join(names(kind))}.")
    maker = find(kind, _kind(kind, settings, where))
    del settings["kind"]
    return maker(**checked(maker, settings, where=where))


def _kind(kind: str, settings: Mapping[str, Any], where: str) -> str:
    """The name in `settings["kind"]`; raises `ConfigError` for what is none."""
    name = settings["kind"]
    if isinstance(name, str):
        return name
    if name is None:
        known = f"the name of a {kind}: {', '.join(names(kind))}"
        raise ConfigError(f'{where}.kind = "none", expected {known}.{_LEFT_OUT.get(kind, "")}')
    raise ConfigError(f"{where}.kind = {name!r} is a {type(name).__name__}, expected the name of a {kind}.")


def load_plugin(path: str | Path) -> None:
    """Run a user's own file, so that the parts it registers are found by name; once, unless it has changed since.

    Raises `ConfigError` for a path that is no Python file, and with file and line for any error in it.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"plugin {path} is no file. Name a Python file that registers parts with @part(kind, name).")
    if path.suffix != ".py":
        raise ConfigError(f"plugin {path} is no Python file (*.py).")
    source = path.read_bytes()
    if _plugins.get(path.resolve()) == source:
        return
    module = builtin_types.ModuleType(f"recurra_plugin_{path.stem}")
    module.__file__ = str(path.absolute())
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except Exception as error:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        what = ": ".join(filter(None, (type(error).__name__, said.rstrip("."))))
        raise ConfigError(
            f"plugin {_place(error, path)}: {what}. Mend it there; --debug shows the traceback."
        ) from error
    _plugins[path.resolve()] = source


def plugin_source(path: str | Path) -> bytes:
    """The content of a plugin as it was loaded. Raises `ConfigError` for one that was not."""
    try:
        return _plugins[Path(path).resolve()]
    except KeyError:
        raise ConfigError(f"plugin {path} is not loaded. Load it first: registry.load_plugin({str(path)!r})") from None


def _place(error: Exception, path: Path) -> str:
    """File and line of a plugin where it failed: the last line of its own that the error came through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f"{path}:{lines[-1]}" if lines else str(path)
