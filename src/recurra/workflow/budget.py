"""What a budget of time will make of a training, and the settings that make more of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from recurra import config as configuration
from recurra import registry
from recurra.config import Config
from recurra.data.fields import Codecs
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.progress import duration
from recurra.training.pace import Pace
from recurra.training.settings import Training

FEW = 300
"""Updates below which little is to be expected of a training that its budget ends."""
ENOUGH, SEEN = 600, 0.3
"""Updates that other settings should make, and the share of an epoch: on one core in 2.5 minutes `fill` on PTB comes to
a perplexity of 123 with 192 and 304 units (0.16 of an epoch), of 98 with 128 and 256 (0.37)."""
LONG_EPOCH = 600.0
"""Seconds of an epoch that are said where there is no budget."""
EXPONENT = 0.85
"""An update takes seconds in proportion to (parameters × tokens)^0.85. Measured with `char-lm`, `fill`, `translate` and
`pronounce` on one thread, whose widths and batches were made less: exponents of 0.81 to 0.89."""
RUNGS = (
    *((2, 1.0, False), (4, 1.0, False), (4, 0.75, False), (4, 0.5, False), (4, 0.5, True), (4, 0.375, True)),
    *((8, 0.375, True), (8, 0.25, True), (16, 0.25, True), (16, 0.1875, True), (16, 0.125, True)),
)
"""What is tried in turn: by what a batch is divided, by what widths are multiplied, whether one layer is left."""
FASTER, ADAMS = 2.0, ("adam", "adamw")
"""By what the learning rate of these optimisers is multiplied, where there are so few updates. On one core in 2.5
minutes `fill` comes to a perplexity of 107 for 123, `poem` to 222 for 249, `char-lm` to 1.54 nats for 1.59, `translate`
to 30.7 BLEU for 29.2, `pronounce` to 45.8 % of words wrong for 46.0. With four times the rate `poem` learns nothing."""
WIDTHS = ("hidden_size", "readout_size", "feed_forward")
MULTIPLE, NARROWEST = 16, 64
"""Widths are multiples of the one, and none is made less than the other."""
BATCHES = {"streams": 8, "size": 8, "tokens": 256}
"""The keys that say how large a batch is, and what none is made less than."""


@dataclass(frozen=True)
class Choice:
    """Settings other than the recipe's, and the updates that they are estimated to make."""

    settings: Mapping[str, Any]
    updates: int
    epochs: float
    """Times through the training data that these are."""
    seconds: float
    """Of an update, by estimate."""

    @property
    def words(self) -> str:
        """As options of the command line."""
        return " ".join(f"--set {name}={value}" for name, value in self.settings.items())


def forecast(
    config: Config, codecs: Codecs, pace: Pace, training: Training, stated: Mapping[str, Any]
) -> tuple[str, dict[str, Any]] | None:
    """A sentence about what a training will come to at its pace, and its numbers; None where all is well."""
    updates = pace.updates(pace.seconds, training.epochs)
    epochs = updates / pace.updates_an_epoch
    numbers: dict[str, Any] = {"seconds_per_update": pace.seconds, "updates": updates, "epochs": epochs}
    if training.max_minutes is None:
        epoch = pace.seconds * pace.updates_an_epoch
        if epoch < LONG_EPOCH:
            return None
        whole = "" if training.epochs == 1 else f", {training.epochs} of them {duration(epoch * training.epochs)}"
        return (
            f"At this pace an epoch takes {duration(epoch)}{whole}. `--max-minutes` ends a training earlier and brings "
            "its schedule to an end by then.",
            numbers,
        )
    if updates >= min(FEW, training.epochs * pace.updates_an_epoch):
        return None
    said = (
        f"At this pace {training.max_minutes:g} minutes make {epochs:.2g} of {training.epochs} epochs, about "
        f"{updates:,} updates: expect little."
    )
    choice = smaller(config, codecs, pace, training.epochs, stated)
    if choice is not None and choice.updates > updates:
        said += f" `{choice.words}` makes about {rounded(choice.updates):,}."
        numbers["suggested"] = dict(choice.settings)
    return said, numbers


def smaller(config: Config, codecs: Codecs, pace: Pace, epochs: int, stated: Mapping[str, Any]) -> Choice | None:
    """The first of `RUNGS` that makes `ENOUGH` updates and `SEEN` of an epoch of the budget, or the last; None where
    nothing can be smaller.

    A model with fresh weights learns `FASTER`, too, unless it is a Transformer. What is `stated` beside the recipe
    stays as it is. A function of its arguments alone, which leaves torch's generator as it was.
    """
    found, own = None, _weights(config, codecs) * batch_of(config)
    rate = _faster(config)
    for divisor, factor, one_layer in RUNGS:
        changed = {
            **batches(config, divisor),
            **_widths(config, factor),
            **(_layers(config) if one_layer else {}),
            **rate,
        }
        settings = {name: value for name, value in changed.items() if name not in stated}
        other = configuration.with_settings(config, settings)
        try:
            work = _weights(other, codecs) * batch_of(other)
        except ConfigError:  # a width that does not go with another setting
            continue
        if work >= own:
            continue
        seconds = pace.seconds * (work / own) ** EXPONENT
        an_epoch = round(pace.updates_an_epoch * batch_of(config) / batch_of(other))
        updates = Pace(seconds, an_epoch, pace.step, pace.left).updates(seconds, epochs)
        found = Choice(settings, updates, updates / an_epoch, seconds)
        if updates >= ENOUGH and found.epochs >= SEEN:
            break
    return found


def rounded(count: int) -> int:
    """An estimate with two digits."""
    return count if count < 100 else int(float(f"{count:.1e}"))


def batch_of(config: Config) -> int:
    """How large the batches of an update are, in whatever their settings count."""
    held = _held(config["batching"], "batching")
    key = next((key for key in ("tokens", "streams", "size") if held.get(key)), None)
    size = 1 if key is None else held[key]
    return int(size * (held.get("steps") or 1) * config["training"].get("accumulate", 1))


def batches(config: Config, divisor: int) -> dict[str, int]:
    """Settings of smaller batches, one for an update."""
    held = _held(config["batching"], "batching")
    one = {"training.accumulate": 1} if config["training"].get("accumulate", 1) > 1 else {}
    return one | {
        f"batching.{key}": max(least, held[key] // divisor)
        for key, least in BATCHES.items()
        if held.get(key) and held[key] > least
    }


def _widths(config: Config, factor: float) -> dict[str, int]:
    """Settings of a narrower model: of recurrent layers, and of symbols' vectors where these are the output's, too."""
    if factor == 1.0 or config.get("init", {}).get("from") is not None:
        return {}
    found = {}
    for where, table in _parts(config):
        keys = (*WIDTHS, "size") if where == "embedder" and _tied(config) else WIDTHS
        if where == "embedder" and not _tied(config):
            continue
        for key in keys:
            width = table.get(key)
            if isinstance(width, int) and width > NARROWEST:
                found[f"{where}.{key}"] = max(NARROWEST, round(width * factor / MULTIPLE) * MULTIPLE)
    return found


def _layers(config: Config) -> dict[str, int]:
    """Settings of one layer."""
    if config.get("init", {}).get("from") is not None:
        return {}
    return {f"{where}.num_layers": 1 for where, table in _parts(config) if (table.get("num_layers") or 1) > 1}


def _faster(config: Config) -> dict[str, float]:
    """The setting of a larger learning rate, where one is known to help."""
    held = config["training"]
    optimiser = held.get("optimiser", Training.optimiser)
    kind = optimiser if isinstance(optimiser, str) else optimiser["kind"]
    fresh = config.get("init", {}).get("from") is None
    if kind not in ADAMS or not fresh or any(table["kind"] == "transformer" for _, table in _parts(config)):
        return {}
    return {"training.learning_rate": round(FASTER * held.get("learning_rate", Training.learning_rate), 6)}


def _tied(config: Config) -> bool:
    """Whether the symbols' vectors are the output's matrix, which is multiplied with at every step."""
    return config["task"].get("tied", False) not in (False, None, "none")


def _parts(config: Config) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(dotted name, its settings with their defaults) of the embedder, the core and the parts of the task."""
    for section in ("embedder", "core"):
        yield section, _held(config[section], section)
    for key, value in config["task"].items():
        if isinstance(value, Mapping) and "kind" in value and key in registry.ROOMS:
            yield f"task.{key}", _held(value, key)


def _held(table: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The settings of a part, defaults included."""
    return {**registry.defaults(kind, table["kind"]), **table}


def _weights(config: Config, codecs: Codecs) -> int:
    """Parameters that are multiplied with at every step: without vectors that are only looked up."""
    with torch.random.fork_rng(devices=[]):
        model = Model.from_config(config, codecs)
    looked_up = 0 if _tied(config) else sum(weights.numel() for weights in model.embedder.parameters())
    return max(1, model.parameter_count - looked_up)
