"""Recipes and settings, and equations: compared, constructed and parsed, without weights or data."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from recurra import config as configuration
from recurra import registry, signatures
from recurra.engine import generate  # noqa: F401  (what equations are derived by is loaded before memory is limited)
from recurra.equations.derive import derive
from recurra.equations.parse import parse
from recurra.model import make_parts
from recurra.testing.fuzzing.files import write
from recurra.testing.fuzzing.mutations import CHARACTERS, NUMBERS, mutated
from recurra.training.settings import Training
from recurra.workflow.agreement import check_agreement

_KEYS = (
    "kind",
    "size",
    "hidden_size",
    "num_layers",
    "dropout",
    "cell",
    "equations",
    "bidirectional",
    "decoder",
    "x",
    "",
)
_VALUES = (
    "1",
    "0",
    "-1",
    "0.5",
    "true",
    '"lstm"',
    '"none"',
    "[1, 2]",
    "{}",
    '{kind = "x"}',
    "[[[1]]]",
    "1979-05-27",
    *NUMBERS,
)


class Recipes:
    """The recipes of the package, changed as text and by settings."""

    name = "recipes"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "recipe.toml"
        self._texts = [path.read_text(encoding="utf-8") for path in sorted(configuration.RECIPES.glob("*.toml"))]
        self._sections = (*configuration.SECTIONS, "task.decoder", "embedder.spelling", "training.optimiser", "x")

    def make(self, random: Random) -> bytes:
        text = random.choice(self._texts)
        raw = mutated(text, random, self._texts) if random.random() < 0.7 else text.encode()
        settings = []
        for _ in range(random.choice((0, 0, 1, 2))):
            value = random.choice((random.choice(_VALUES), random.choice(CHARACTERS), "[" * random.choice((1, 3000))))
            settings.append(f"{random.choice(self._sections)}.{random.choice(_KEYS)}={value}")
        return b"\x1e".join([raw, *(each.encode("utf-8", "surrogatepass") for each in settings)])

    def take(self, given: bytes) -> bool:
        raw, *settings = given.split(b"\x1e")
        write(self._path, raw)
        config = configuration.load_recipe(self._path)
        said = configuration.parse_settings([each.decode("utf-8", "replace") for each in settings])
        configuration.told_of_kinds(config, said)
        configuration.check_names(config)
        config = configuration.with_settings(config, said)
        configuration.check(config)
        again = configuration.read(configuration.dump_toml(config))
        assert repr(again) == repr(_lists(config)), "other settings once written"
        embedder, core, task = make_parts(config)
        check_agreement(config, embedder, core, task)
        Training(**signatures.checked(Training, config["training"], where="training"))
        for section in ("reader", "vocabulary", "batching", "baseline"):
            if section in config:  # of a task that reads numbers there is no vocabulary
                registry.construct(configuration.FILLED[section], config[section])
        return True


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(inner) for key, inner in value.items()}
    return [_lists(inner) for inner in value] if isinstance(value, (list, tuple)) else value


_CELLS = (
    "h = tanh(s)",
    "z = sigmoid(z)\nr = sigmoid(r)\nn = tanh(n.input + r * n.recurrent)\nh = (1 - z) * n + z * h",
    "gates: i f g o\nstate: h c\nc = sigmoid(f) * c + sigmoid(i) * tanh(g)\nh = sigmoid(o) * tanh(c)",
    'source: somebody 2001\nbias: no\n# A sentence.\na = unit("alpha", 1.0)\nh = relu(u.input + a * h)',
    'n = tanh(n.input + project(f * h, "w"))\nf = sigmoid(f)\nh = (1 - f) * h + f * n',
    'p, q = layer_norm(a.input, b.input)\nk = scalar("k", 0.5)\nh = maximum(p, q) * k + x - h ** 2 / 3',
)
_ATOMS = (
    "h",
    "c",
    "x",
    "z",
    "n.input",
    "n.recurrent",
    "1",
    "2.0",
    "0",
    "a",
    'unit("a", 1.0)',
    'scalar("s", 0)',
    'lower("h")',
)
_CALLS = ("sigmoid", "tanh", "relu", "softplus", "exp", "log", "hard_sigmoid", "hard_tanh", "project", "layer_norm")


class Equations:
    """Cells as text, from a grammar and from sound ones that were changed; some of the accepted are derived."""

    name = "equations"

    def __init__(self, folder: Path) -> None:
        self._taken = 0

    def make(self, random: Random) -> bytes:
        if random.random() < 0.6:
            return mutated(random.choice(_CELLS), random, _CELLS)
        lines = [random.choice(("state: h c", "gates: z n", "bias: no", "source: x"))] if random.random() < 0.3 else []
        for _ in range(random.choice((0, 1, 2, 4, 30))):
            lines.append(f"{random.choice('abchzn')} = {_formula(random, random.choice((1, 2, 3, 5)))}")
        lines.append(f"h = {_formula(random, 3)}")
        return "\n".join(lines).encode()

    def take(self, given: bytes) -> bool:
        cell = parse(given.decode("utf-8", "replace"))
        self._taken += 1
        if self._taken % 50 == 0:
            derive(cell)
        return True


def _formula(random: Random, depth: int) -> str:
    if depth == 0 or random.random() < 0.15:
        return random.choice(_ATOMS) if random.random() < 0.9 else random.choice(NUMBERS)
    way = random.random()
    if way < 0.5:
        operator = random.choice(("+", "-", "*", "/", "**", "*", "+"))
        right = random.choice(("2", "3", "-1", "17", "0.5", "h")) if operator == "**" else _formula(random, depth - 1)
        return f"({_formula(random, depth - 1)} {operator} {right})"
    if way < 0.6:
        return f"maximum({_formula(random, depth - 1)}, {_formula(random, depth - 1)})"
    return f"{random.choice(_CALLS)}({_formula(random, depth - 1)})"
