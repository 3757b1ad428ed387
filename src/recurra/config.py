"""Recipes and settings: a nested dict of sections, read from TOML, overridden from the command line, checked, written.

A section names the part that fills its place (`kind`) and that part's keywords; `[data]`, `[search]`, `[evaluation]`,
`[init]` and `[training]` have no kind.
`[alternative.NAME.SECTION]` says what is otherwise where the settings choose the core NAME instead of the recipe's.
TOML has no null: the word "none" stands for a value that is left out on purpose (`clip_norm = "none"`).
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recurra import forms, registry, signatures, storage
from recurra.errors import ConfigError, UnknownName, did_you_mean

Config = dict[str, Any]

LARGEST = 1 << 20
"""Bytes of a recipe."""
DEEPEST = 16
"""Levels of tables and lists in a recipe."""
SHOWN = 200
"""Characters of a setting that a message shows."""
_LIKE = "A recipe looks like `recurra recipes show char-lm`."
_TOO_DEEP = f"tables or lists nested deeper than {DEEPEST} levels"
RECIPES = Path(__file__).parent / "recipes"
PARTS = ("reader", "batching", "embedder", "core", "task", "baseline")
"""Sections filled by a part of the kind of the same name."""
CODECS = ("vocabulary", "input", "target")
"""Sections of codecs, any of which may be left out: of the input, called `[vocabulary]` where it is symbols, and of
what is written."""
FILLED = {**{section: section for section in PARTS}, **dict.fromkeys(CODECS, "codec")}
"""Section → the kind of part that fills it."""
BY_A_WORD = ("cell", "tree_cell", "optimiser", "schedule")
"""Kinds of part that a key called like them names by a word alone, as `cell = "lstm"` does."""
SECTIONS = ("description", "data", *FILLED, "search", "evaluation", "init", "training", "alternative")


@dataclass(frozen=True)
class Data:
    """The keys of `[data]`: where the text comes from, and what is cut off it where files are missing.

    Without a `valid` file the last `valid_fraction` of the training text validates; without a `test` file the
    `test_fraction` at the very end is the test. 0 cuts nothing.
    """

    set: str | None = None
    corpus: str | None = None
    """The folder that `recurra encode` made, in the place of a set and of files."""
    train: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    valid_fraction: float = 0.05
    test_fraction: float = 0.1
    valid_steps: int | None = None
    """Of series: so many of the last steps of each validate, in the place of a fraction."""
    test_steps: int | None = None
    """The same for the test, which comes last."""
    valid_from: Literal["end", "start"] = "end"
    """Where the validation text is cut off. "start" leaves what lies nearest to the test in the training text."""
    context: int = 0
    """Of series: so many steps before the validation's and the test's first are read with them, to look back on."""
    continues: bool = False
    """Of series: those of the test go on where the training series of the same `id` end, or the only ones of both."""
    by_group: bool = True
    """Of examples that say whose they are (a reader's `group`): no group, such as a person, is in two parts."""
    drop_repeats: bool = False
    """Of examples: leave those out of training whose very text is validated or tested on, and tell how many."""


@dataclass(frozen=True)
class Evaluation:
    """The keys of `[evaluation]`: what is measured besides what the task measures itself."""

    metrics: tuple[str, ...] = ()
    """Registered parts "metric", by name."""


def metrics_of(config: Config) -> tuple[str, ...]:
    """The further metrics that a config names. Raises `ConfigError` for what is no list of names."""
    settings = config.get("evaluation", {})
    return Evaluation(**signatures.checked(Evaluation, settings, where="evaluation")).metrics


def recipe_names() -> list[str]:
    """Names of the recipes in the package."""
    return sorted(file.stem for file in RECIPES.glob("*.toml"))


def recipe_path(recipe: str | Path) -> Path:
    """The file of a recipe, given by its name in the package or by its own path."""
    if str(recipe) in recipe_names():
        return RECIPES / f"{recipe}.toml"
    path = Path(recipe)
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise ConfigError(f"there is no recipe file {path}. `recurra recipes` lists the recipes in the package.")
    raise UnknownName("recipe", str(recipe), recipe_names())


def load_recipe(recipe: str | Path) -> Config:
    """Read a recipe, or a run's config, by its name or path; that of a former run as it would be written today."""
    path = recipe_path(recipe)
    try:
        found = read(recipe_text(path))
        return _columns_moved(found, 1) if _of_a_former_run(path) else found
    except ValueError as error:
        raise ConfigError(f"{path} is no TOML: {error}. {_LIKE}") from error


def _of_a_former_run(path: Path) -> bool:
    """Whether a file is the config of a run from before there was codecs.json."""
    return path.with_name("vocabulary.json").is_file() and not path.with_name("codecs.json").exists()


def _columns_moved(config: Config, by: int) -> Config:
    """A config with the numbers of columns, which former runs count from 0, in the other way of counting."""
    reader = dict(config.get("reader", {}))
    if reader.get("kind") in ("columns", "table"):
        numbers = {name: value for name, value in reader.items() if type(value) is int and value >= 0}
        reader |= {name: column + by for name, column in numbers.items()}  # they have no other numbers than columns
    return {**config, "reader": reader} if reader else config


def write_config(path: Path, config: Config) -> None:
    """Write the config of a run; that of a former run as `load_recipe` reads it."""
    storage.write_text(path, dump_toml(_columns_moved(config, -1) if _of_a_former_run(path) else config))


def recipe_text(recipe: str | Path) -> str:
    """A recipe as it is written, by its name or path."""
    return forms.read_text(recipe_path(recipe), LARGEST, ConfigError, _LIKE)


def read(text: str) -> Config:
    """Read TOML, with "none" as None. Raises ValueError for what is none, for dates, and for too deep nesting."""
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if forms.depth_beyond(found, DEEPEST):
        raise ValueError(_TOO_DEEP)
    _check_values(found)
    return _with_none(found)


def _check_values(value: Any) -> None:
    """Refuse what TOML has a word for and no setting is: a date or a time, and a number of more than 64 bits."""
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_values(inner)
    elif not isinstance(value, (str, int, float)):
        raise ValueError(f"{value} is a date or a time, which no setting is")
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{forms.shown(value)} is beyond 64 bits")


def parse_settings(overrides: Iterable[str]) -> dict[str, Any]:
    """`["core.cell=lstm", "data.train=['a', 'b']"]` as dotted name → value; values are TOML, all else is a string."""
    settings = {}
    for text in overrides:
        name, equals, written = (word.strip() for word in text.partition("="))
        cut = text if len(text) <= SHOWN else text[:SHOWN] + "…"
        if not equals or not written:
            raise ConfigError(f"--set {text} is no setting. Write --set section.key=value: --set core.hidden_size=512.")
        try:
            settings[name] = read(f"value = {written}")["value"]
        except ValueError as error:
            if re.match(r"[\[{\"']", written) or not isinstance(error, tomllib.TOMLDecodeError):
                raise ConfigError(f"--set {cut}: {error}. Is a bracket or a quote missing?") from error
            settings[name] = _with_none(written)
    return settings


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """A copy of `config` with values under dotted names, such as `{"core.cell": "lstm"}`, and without alternatives.

    Naming another `kind` drops the keys beside it, which belonged to the former kind; the order does not matter.
    Where `core.kind` names an alternative of the recipe's, its tables come first; see `with_alternative`.
    """
    config = with_alternative(config, settings.get("core.kind"))
    for name, value in sorted(settings.items(), key=lambda setting: not setting[0].endswith(".kind")):
        *path, last = name.split(".")
        if not path or not all(path) or not last:
            raise ConfigError(f"{name!r} names no setting. Write section.key, such as core.hidden_size.")
        _known(path[0], SECTIONS, "section")
        table = config
        for depth, key in enumerate(path, start=1):
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                whole = ".".join(path[:depth])
                raise ConfigError(f"{whole} = {table!r} has no keys, so {name} cannot be set. Set {whole} itself.")
        _check_writable(name, value)
        if last == "kind" and table.get("kind") != value:
            table.clear()
        table[last] = _with_none(value)
    return config


def _check_writable(name: str, value: Any) -> None:
    """Refuse a text that a recipe cannot hold: half a character, as names of files that are no UTF-8 come with."""
    try:
        _written(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError(f"{name} = {ascii(value)[:SHOWN]} is no UTF-8. Write it anew, or rename the file.") from error


def told_of_kinds(config: Config, settings: Mapping[str, Any]) -> list[str]:
    """A sentence for each kind in `settings` by which `with_settings` drops keys of `config`, naming these."""
    before, said = with_alternative(config, settings.get("core.kind")), []
    for name, kind in settings.items():
        *path, last = name.split(".")
        table: Any = before
        for key in path:
            table = table.get(key) if isinstance(table, dict) else None
        if last != "kind" or not isinstance(table, dict) or table.get("kind") in (None, kind):
            continue
        kept = {"kind", *(other.split(".")[len(path)] for other in settings if other.split(".")[: len(path)] == path)}
        left = ", ".join(f"{key} = {_written(value)}" for key, value in table.items() if key not in kept)
        if left:
            former = _written(table["kind"])
            said.append(f"{name} = {_written(kind)}: what the recipe sets for {former} is left out ({left}).")
    return said


def with_alternative(config: Config, core: str | None = None) -> Config:
    """A copy of `config` without its alternatives, changed as the one called `core` says, if there is such a one.

    A table that names a kind stands in the place of the recipe's table, and so does `[core]`, whose kind is the
    alternative's name; all other tables change it key by key.
    """
    chosen = _alternatives(config).get(core or "")
    config = copy.deepcopy({section: table for section, table in config.items() if section != "alternative"})
    if chosen is not None and config.get("core", {}).get("kind") != core:
        _lay_over(config, copy.deepcopy({**chosen, "core": {"kind": core, **chosen.get("core", {})}}))
    return config


def _alternatives(config: Config) -> dict[str, dict[str, Any]]:
    """The alternatives of a recipe by their core's name. Raises `ConfigError` for one that is no table of sections."""
    found = config.get("alternative", {})
    tables = {"alternative": found}
    if isinstance(found, dict):
        tables |= {f"alternative.{core}": changes for core, changes in found.items()}
        for core, changes in found.items():
            if isinstance(changes, dict):
                tables |= {f"alternative.{core}.{section}": table for section, table in changes.items()}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{name} = {table!r} is no table. Write [alternative.NAME.SECTION] and its keys below.")
    return dict(found)


def _lay_over(table: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict) and "kind" not in value:
            _lay_over(table[key], value)
        else:
            table[key] = value


def check(config: Config) -> None:
    """Compare every section with the part it names, before any data is read: kinds, keys and types of values.

    The alternatives of a recipe are compared in their turn.
    """
    check_names(config)
    for core in (None, *_alternatives(config)):
        whole = with_alternative(config, core)
        signatures.checked(Data, whole.get("data", {}), where="data")
        for section, kind in FILLED.items():
            if section in whole:
                settings = {key: value for key, value in whole[section].items() if key != "kind"}
                registry.check_keys(kind, whole[section], section)  # first of all that the kind is a name
                signatures.checked(registry.find(kind, whole[section]["kind"]), settings, where=section)


def check_names(config: Config) -> None:
    """The part of `check` that needs no torch: sections, and names and keys of parts under keys called like a kind."""
    _check_sections(config)
    for core in _alternatives(config):
        if core not in registry.names("core"):
            raise UnknownName("core", core, registry.names("core"))
        _check_sections(with_alternative(config, core))
    for kind, name in _named_parts(config):
        if name not in registry.names(kind):
            raise UnknownName(kind, name, registry.names(kind))
    for kind, settings, where in _tables_of_parts(config):
        registry.check_keys(kind, settings, where)
    for name in metrics_of(config):
        if name not in registry.names("metric"):
            raise UnknownName("metric", name, registry.names("metric"))


def check_values(config: Config) -> None:
    """The types of values, as far as the sources of the parts say them: without torch."""
    signatures.checked(Data, config.get("data", {}), where="data")
    for section, kind in FILLED.items():
        if section in config:
            registry.check_values(kind, config[section], section)


def setting(name: str, value: Any) -> str:
    """A setting as it is written behind `--set`."""
    return f"{name}={_written(value)}"


def _check_sections(config: Config) -> None:
    """Refuse sections that are unknown, are none, are missing, or name no kind."""
    for section, settings in config.items():
        _known(section, SECTIONS, "section")
        if section != "description" and not isinstance(settings, dict):
            raise ConfigError(
                f"{section} = {settings!r} is no section. Write [{section}] and its keys on lines below it."
            )
    missing = [section for section in (*PARTS, "training") if section not in config]
    if missing:
        raise ConfigError(
            f"the recipe has no section [{missing[0]}]. `recurra recipes show char-lm` shows a whole one."
        )
    for section, kind in FILLED.items():
        if section in config and "kind" not in config[section]:
            raise ConfigError(f"[{section}] names no kind. Known: {', '.join(registry.names(kind))}.")


def _kind(key: str) -> str:
    """The kind that a table of this name is called like."""
    return FILLED.get(key, key)


def _tables_of_parts(table: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """(kind, table, its dotted name) of all tables that are called like a kind."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            if _kind(key) in registry.ROOMS:
                yield _kind(key), value, within + key
            yield from _tables_of_parts(value, f"{within}{key}.")


def _named_parts(table: Mapping[str, Any], kind: str = "") -> Iterator[tuple[str, str]]:
    """(kind, name) of all parts a table names: `kind = …` in a table called like a kind, or by a word alone."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _named_parts(value, _kind(key))
        elif isinstance(value, str) and key in BY_A_WORD:
            yield key.replace("_", "-"), value
        elif isinstance(value, str) and key == "kind" and kind in registry.ROOMS:
            yield kind, value


def _known(name: str, known: Iterable[str], what: str) -> None:
    if name not in known:
        raise ConfigError(f"unknown {what} {name!r}{did_you_mean(name, known)} Known: {', '.join(known)}.")


def differences(before: Config, after: Config) -> dict[str, tuple[Any, Any]]:
    """Dotted name → (value before, value after) of every setting in which two configs differ; None: not set."""
    flat_before, flat_after = dict(flat(before)), dict(flat(after))
    return {
        name: (flat_before.get(name), flat_after.get(name))
        for name in sorted(flat_before.keys() | flat_after.keys())
        if flat_before.get(name) != flat_after.get(name)
    }


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of all settings, tuples as lists."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, list(value) if isinstance(value, tuple) else value


def dump_toml(config: Mapping[str, Any]) -> str:
    """Write a config as TOML; `read` gives the same config back, tuples as lists."""
    values = {key: value for key, value in config.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in config.items() if isinstance(value, Mapping)}
    blocks = [_assignments(values)] if values else []
    blocks += [f"[{_key(name)}]\n{_assignments(table)}" for name, table in tables.items()]
    return "\n".join(blocks)


def _assignments(table: Mapping[str, Any]) -> str:
    return "".join(f"{_key(key)} = {_lines(value) or _written(value)}\n" for key, value in table.items())


def _lines(value: Any) -> str | None:
    """A text of several lines, such as equations, as it is read; None where it is none, or cannot be written so."""
    plain = isinstance(value, str) and "\n" in value and all(c.isprintable() or c == "\n" for c in value)
    return f'"""\n{value}"""' if plain and "\\" not in value and '"""' not in value + '"' else None


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _written(key)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if value is None:
        return '"none"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_written(inner)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(_written(inner) for inner in value) + "]"


def _with_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_none(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_none(inner) for inner in value]
    return None if value == "none" else value


def check_seed(seed: Any, name: str = "seed") -> int:
    """The seed as it is. Raises `ConfigError` for what no generator takes."""
    whole = hasattr(seed, "__index__") and not isinstance(seed, bool)
    if not (whole and 0 <= seed < 2**63 - 1):
        raise ConfigError(f"{name} = {seed!r}, expected a whole number from 0 to 2⁶³ − 2.")
    return int(seed)
