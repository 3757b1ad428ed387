"""Weights of a language model's run as the start of another model's embedder and core.

Source: Dai & Le 2015, Semi-supervised sequence learning, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra import checkpoint
from recurra import config as configuration
from recurra.checkpoint import RunFolder
from recurra.data.codecs import file as codec_file
from recurra.data.codecs.contract import Vocabulary
from recurra.errors import CheckpointError, DataError
from recurra.model import Model
from recurra.training.unfreezing import Unfreezing, from_the_top, layer_of

VECTORS = "embedder.weight"


@dataclass(frozen=True)
class Taken:
    """What a model took from a run."""

    path: Path
    origin: dict[str, Any]
    """Of the run: the fingerprint of its data, its steps, the checksum of its weights."""
    symbols: tuple[int, int] | None
    """How many symbols' vectors were taken, of how many; the unknown one not counted. None where numbers are read."""
    share: float | None
    """Of the training tokens: those whose vector was taken, 0 to 1. None where numbers are read."""
    tensors: tuple[int, int]
    """Tensors of the core taken, of how many; then their numbers."""
    parameters: tuple[int, int]
    names: list[str]
    """The parameters taken, in whole or in part, by their names in the model."""
    new: list[str]
    """What starts afresh, in words."""

    def facts(self) -> dict[str, Any]:
        """For the report; `unfreezing` reads it when a training goes on."""
        return {
            "from": str(self.path),
            **self.origin,
            "symbols": None if self.symbols is None else list(self.symbols),
            "share_of_training_tokens": self.share,
            "core": {"tensors": list(self.tensors), "parameters": list(self.parameters)},
            "names": self.names,
            "new": self.new,
        }

    def told(self) -> str:
        """The same in a sentence."""
        (tensors, N), (parameters, P), steps = self.tensors, self.parameters, self.origin["steps"]
        run = f"Start: run {self.path.name}{'' if steps is None else f' ({steps:,} steps)'}:"
        core = f"{tensors} of {N} tensors of the core ({parameters:,} of {P:,} parameters)."
        new = f" New: {', '.join(self.new)}." if self.new else ""
        if self.symbols is None:
            beside = [part for part in ("the embedder", "the task") if part not in self.new]
            taken = ", ".join([*beside, core] if N else beside)
            return f"{run} {taken.removesuffix('.')}.{new}"
        symbols, V = self.symbols
        return (
            f"{run} the vectors of {symbols:,} of {V:,} symbols ({self.share:.1%} of the training tokens), {core}{new}"
        )


def take(model: Model, path: Path, counts: NDArray[np.int64]) -> Taken:
    """Start a fresh model's embedder and core from the run in `path`, as far as they fit.

    A symbol gets the vector of the same symbol, the unknown one that of the unknown one. A layer of the core is taken
    in one direction as a whole or not at all; where its input is wider than the run's, as beside a spelling, the
    columns of the vectors are. What a run read forwards starts the forward half of a core that reads both ways apart.
    `counts` [V] says how often the training data hold each symbol of the input.

    Raises `CheckpointError` for a run that cannot be read, `DataError` where no symbol is in both.
    """
    run = checkpoint.open_run(path)
    tensors, metadata = checkpoint.load_tensors(run.model)
    vocabularies = codec_file.load(run.codecs)
    checkpoint.check_vocabulary(run.model, metadata, vocabularies)
    theirs: Vocabulary = vocabularies["input"]
    if VECTORS not in tensors:
        raise CheckpointError(f"{run.model} has no vectors of symbols ({VECTORS}). Start from another run.")
    rows = _rows(model.codecs["input"], theirs)
    known = [number for number in rows if number != model.codecs["input"].unknown]
    if not counts[known].sum():
        raise DataError(
            f"no symbol of these data is one of the run {path}, {_some(model.codecs['input'])} against "
            f"{_some(theirs)}. Start from a run on texts of the same language."
        )
    _take_vectors(model.embedder, tensors[VECTORS], rows)
    core = {name.removeprefix("core."): tensor for name, tensor in tensors.items() if name.startswith("core.")}
    numbers, left = _take_core(model.core, core, tensors[VECTORS].shape[1])
    own = dict(model.core.named_parameters())
    V, special = len(model.codecs["input"]), int(model.codecs["input"].unknown is not None)
    return Taken(
        path=path,
        origin={"data": data_of(run), "steps": steps_of(metadata), "weights": metadata.get("checksum")},
        symbols=(len(known), V - special),
        share=float(counts[known].sum() / max(1, counts.sum())),
        tensors=(len(numbers), len(own)),
        parameters=(sum(numbers.values()), sum(parameter.numel() for parameter in own.values())),
        names=[VECTORS, *(f"core.{name}" for name in numbers)],
        new=[*([f"{V - len(rows):,} vectors"] if len(rows) < V else []), *left, "the task"],
    )


def unfreezing(model: nn.Module, names: list[str], every: float) -> Unfreezing:
    """The plan by which the parameters called `names` begin to learn."""
    own = dict(model.named_parameters())
    return Unfreezing([[own[name] for name in layer] for layer in from_the_top(names)], every)


def told_of_unfreezing(names: list[str], every: float) -> str:
    """A sentence about that plan."""
    layers = from_the_top(names)
    said = [f"{_called(layer)} from epoch {number * every:g}" for number, layer in enumerate(layers, start=1)]
    return f"What is new learns first, {', '.join(said)} on."


def _called(layer: list[str]) -> str:
    """What the parameters of a layer are, in words."""
    if layer[0] == VECTORS:
        return "the vectors"
    return "the embedder" if layer[0].startswith("embedder.") else f"layer {layer_of(layer[-1]) or 0} of the core"


def cut_otherwise(config: Mapping[str, Any], path: Path) -> str | None:
    """A warning where the run was trained on files that are this model's too, cut into other parts; else None."""
    theirs = configuration.load_recipe(path / "config.toml")
    ours, other = config["data"], theirs["data"]
    shared = {*ours.get("train", ())} & {*other.get("train", ())}
    if not shared or ours.get("test"):
        return None
    fractions = [data.get("test_fraction", configuration.Data.test_fraction) for data in (ours, other)]
    if fractions[0] == fractions[1] and not other.get("test") and theirs["reader"]["kind"] != "text":
        return None
    return (
        f"The run {path.name} was trained on {min(shared)} cut otherwise, so it may have read texts of this test. For "
        f"a fair score train it with --set reader.kind={config['reader']['kind']} and the same data.test_fraction."
    )


def _rows(ours: Vocabulary, theirs: Vocabulary) -> dict[int, int]:
    """The number of a symbol here → its number there, of all that are in both."""
    numbers = {symbol: number for number, symbol in enumerate(theirs.symbols)}
    if theirs.unknown is not None:
        del numbers[theirs.symbols[theirs.unknown]]
    rows = {number: numbers[symbol] for number, symbol in enumerate(ours.symbols) if symbol in numbers}
    if ours.unknown is not None and theirs.unknown is not None:
        rows[ours.unknown] = theirs.unknown
    return rows


@torch.no_grad()
def _take_vectors(embedder: Any, vectors: Tensor, rows: Mapping[int, int]) -> None:
    weight: nn.Parameter = embedder.weight
    here, there = (torch.tensor(list(numbers)) for numbers in (rows.keys(), rows.values()))
    if hasattr(embedder, "adopt"):  # which knows what is not to be tuned
        ready = torch.zeros(weight.shape)
        ready[here] = vectors[there]
        embedder.adopt(ready)
    else:
        weight[here] = vectors[there].to(weight)


@torch.no_grad()
def _take_core(core: nn.Module, found: Mapping[str, Tensor], width: int) -> tuple[dict[str, int], list[str]]:
    """Copy the layers that fit. Gives the tensors' names with how many numbers each took, and what is new in words."""
    groups: dict[tuple[int | None, bool], dict[str, nn.Parameter]] = {}
    for name, parameter in core.named_parameters():
        reverse = name.endswith("_reverse") or name.startswith("backwards.")
        groups.setdefault((layer_of(name), reverse), {})[name] = parameter
    if any(name.startswith("forwards.") for own in groups.values() for name in own):
        found = {name.replace("layers.", "forwards.", 1): tensor for name, tensor in found.items()}
    taken, left = {}, []
    for (layer, reverse), own in groups.items():
        if not all(name in found and _fits(own[name], found[name], layer, width) for name in own):
            where = "a part" if layer is None else f"layer {layer}"
            left.append(f"{where} of the core{' read backwards' if reverse else ''}")
            continue
        for name, parameter in own.items():
            part = parameter if parameter.shape == found[name].shape else parameter[:, :width]
            part.copy_(found[name])
            taken[name] = part.numel()
            if part.shape != parameter.shape:
                left.append(f"{parameter.shape[1] - width:,} columns of {name}")
    return taken, left


def _fits(own: Tensor, found: Tensor, layer: int | None, width: int) -> bool:
    """Whether a tensor can be taken whole, or as the columns of the vectors in a first layer that reads more."""
    if own.shape == found.shape:
        return True
    wider = own.dim() == 2 and own.shape[0] == found.shape[0] and own.shape[1] > found.shape[1] == width
    return layer == 0 and wider


def data_of(run: RunFolder) -> str | None:
    """The fingerprint of the data that a run was trained on."""
    report = checkpoint.read_report(run.report) if run.report.is_file() else {}
    return report.get("data")


def steps_of(metadata: Mapping[str, str]) -> int | None:
    """The steps that a run's weights were trained for."""
    written = metadata.get("step", "")
    return int(written) if written.isdecimal() and len(written) < 19 else None


def _some(vocabulary: Vocabulary) -> str:
    return ", ".join(map(repr, vocabulary.symbols[1:4]))
