"""Random examples of any field, by what its codec reads; and the settings that a part can have, by its constructor."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np

from recurra import config as configuration
from recurra import registry
from recurra.data.codecs.contract import Lays
from recurra.data.sound import Sound
from recurra.errors import ConfigError, RecurraError
from recurra.types import Example, Field

WORDS = tuple("abcdefghij")
NAMES = tuple(f"B-{name}" for name in "KLMN")
WIDTH = 3
"""Numbers in a step of vectors."""
RATE, FRAME = 8_000, 80
"""Of a random recording, in Hz; and the samples that are a step."""
SMALL, LARGE = 8, 16
"""A whole number above the second, in a recipe's settings, becomes the first."""


def random_value(form: str, steps: int, random: np.random.Generator) -> Any:
    """A value of a form, of so many steps where it has any. Raises ConfigError for an unknown form."""
    made: dict[str, Any] = {
        "text": lambda: " ".join(random.choice(WORDS, steps)),
        "tokens": lambda: random.choice(WORDS, steps).tolist(),
        "tags": lambda: random.choice(NAMES, steps).tolist(),
        "label": lambda: str(random.choice(NAMES)),
        "labels": lambda: [name for name in NAMES if random.random() < 0.4],
        "integers": lambda: np.sort(random.integers(0, 3, steps)).tolist(),
        "numbers": lambda: random.normal(size=steps),
        "vectors": lambda: random.normal(size=(steps, WIDTH)),
        "notes": lambda: [sorted({*random.integers(40, 80, 2).tolist()}) for _ in range(steps)],
        "moves": lambda: np.concatenate((random.normal(size=(steps, 2)), random.random((steps, 1)) < 0.3), 1),
        "number": lambda: float(random.normal()),
        "times": lambda: [f"2020-01-01 {hour:02d}:00" for hour in range(steps)],
        "sound": lambda: Sound((random.normal(size=steps * FRAME) / 8).astype(np.float32), RATE),
        "tree": lambda: registry.construct("codec", {"kind": "tree"}).decode(
            registry.construct("codec", {"kind": "tree"}).random(random, steps)
        ),
        "node-labels": lambda: random.choice(NAMES, max(0, 2 * steps - 1)).tolist(),  # of such a tree
        "image": lambda: random.integers(0, 256, (SMALL, max(1, steps)), np.uint8),
    }
    if form not in made:
        raise ConfigError(f"random values are known of {', '.join(made)}, not of the form {form!r}. Add it there.")
    return made[form]()


def random_example(fields: Mapping[str, Field], codecs: Any, steps: int, random: np.random.Generator) -> Example:
    """An example with a value for the input, and for each field that is learned or goes along it."""
    shape = codecs["input"].shape
    if shape and None not in shape and 0 not in shape:  # all have one size, once it is known
        steps = shape[-1]
    example: dict[str, Any] = {"place": f"an example of {steps} steps"}
    for name, field in fields.items():
        over = isinstance(codecs[name], Lays)  # of as many steps as the input, though not one each
        if not field.of or not (name == "input" or field.along or field.learned or over):
            continue
        own = codecs[name].shape[:1] == (None,) and not field.along and name != "input" and not over
        length = int(random.integers(0, SMALL)) if own else steps
        if field.aligned:  # the letters of words with spaces between them, no two of which are alike
            length = int(random.integers(0, (steps + 1) // 2 + 1))
        value = random_value(preferred(codecs[name].forms, name == "input" or field.along), length, random)
        example[field.of[0]] = value
    return example


def preferred(forms: tuple[str, ...], stepwise: bool = False) -> str:
    """Of the forms a codec reads the one that random values have a length of: tokens rather than a text, vectors rather
    than a number where there is a value a step."""
    wanted = ("tokens", "vectors") if stepwise else ("tokens",)
    return next((form for form in wanted if form in forms), forms[0])


def ways(kind: str, name: str) -> list[dict[str, Any]]:
    """Settings of a part: its defaults; where it has none, or a recipe says more than numbers and words, those of
    recipes made small; and each choice that its constructor leaves, one at a time; what is 0 by default, once not."""
    recipes = [configuration.load_recipe(each) for each in configuration.recipe_names()]
    bases = [{"kind": name}, *(_small(r[kind]) for r in recipes if r.get(kind, {}).get("kind") == name)]
    whole = _possible(kind, bases[0])
    bases = [b for b in bases if _possible(kind, b) and (not whole or len(b) == 1 or _nested(b))]
    found = list(bases)
    maker = registry.find(kind, name)
    hints = typing.get_type_hints(maker.__init__)
    for key, parameter in inspect.signature(maker).parameters.items() if bases else ():
        values: tuple[Any, ...] = ()
        if typing.get_origin(hints.get(key)) is typing.Literal:
            values = typing.get_args(hints[key])
        elif hints.get(key) is bool:
            values = (False, True)
        elif hints.get(key) is int and parameter.default == 0:
            values = (2,)  # 0 leaves something away
        found += [{**bases[0], key: value} for value in values]
    distinct: dict[str, dict[str, Any]] = {}
    parameters = inspect.signature(maker).parameters
    for way in found:
        told = {key: value for key, value in way.items() if key == "kind" or value != parameters[key].default}
        distinct.setdefault(repr(sorted(told.items(), key=str)), way)  # what says a default says nothing
    return [way for way in distinct.values() if _possible(kind, way)]


def _small(value: Any) -> Any:
    """Settings with sizes that a test can afford."""
    if isinstance(value, Mapping):
        return {key: _small(inner) for key, inner in value.items()}
    if isinstance(value, list) and all(isinstance(each, int) for each in value):
        return [3 * (k + 1) for k in range(len(value))]
    return SMALL if isinstance(value, int) and not isinstance(value, bool) and value > LARGE else value


def _nested(settings: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Mapping) for value in settings.values())


def _possible(kind: str, settings: Mapping[str, Any]) -> bool:
    try:
        registry.construct(kind, settings)
    except RecurraError:
        return False
    return True
