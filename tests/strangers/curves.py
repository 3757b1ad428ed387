"""Curves: pen movements, drawn step by step from a Gaussian, on from a beginning or from nothing."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from recurra import registry
from recurra.baselines.row import Row
from recurra.errors import DataError
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.scores import Scores
from recurra.types import Batch, Field, Output


@part("reader", "strokes")
class StrokeReader:
    """One example a line of JSON: {"moves": [[dx, dy], …]}."""

    fields: ClassVar[Mapping[str, str]] = {"moves": "vectors"}

    def read(self, *paths):
        for path in map(Path, paths):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                try:
                    yield {"moves": np.array(json.loads(line)["moves"], float), "place": f"{path}:{number}"}
                except (ValueError, KeyError, TypeError) as error:
                    raise DataError(f'{path}:{number}: {error}, expected {{"moves": [[0.1, 0.2], …]}}.') from error

    def sniff(self, path):
        return None


@dataclass(frozen=True)
class Options:
    """What drawing takes."""

    length: int = 40
    """How many moves to draw."""
    temperature: float = 1.0
    """Below 1 the likely becomes likelier; 0 takes the mean always."""
    seed: int = 0
    """The same seed draws the same."""


@part("task", "draw-curve")
class DrawCurve(nn.Module):
    """p(move_t | the moves before), a Gaussian of the core's state; loss −Σ log p, the first move's included."""

    fields: ClassVar[Mapping[str, Field]] = {"input": Field(("moves",), {"kind": "scaled"})}
    unit, causal, main_metric = "moves", True, ("nats_per_move", "min")
    baselines = ("one-gaussian",)
    card = Card("Draw", "The beginning of a curve, a move of two numbers a line; nothing draws one.", "0.5 0.1")
    Options = Options

    def __init__(self) -> None:
        super().__init__()
        self.emission = registry.construct("emission", {"kind": "gaussian"})

    def build(self, sizes):
        self.emission.build(sizes.core, sizes.width)
        return self

    def forward(self, embedder, core, batch, state=None):
        x, lengths = batch.fields["input"], batch.structure.values
        before = torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), 1)  # scaled, so that 0 is the mean move
        y, state = core(*embedder(replace(batch, fields={**batch.fields, "input": before})), state)
        lengths = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        there = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        loss = self.emission.loss(y, x.masked_fill(~there[..., None], torch.nan))
        return Output(loss, int(lengths.sum()), int((lengths > 0).sum()), state)

    def measure(self, embedder, core, batch, state=None):
        return self.forward(embedder, core, batch, state)

    def metrics(self, loss, targets, details=None):
        return Scores({"nats_per_move": loss / targets})

    def beside(self, embedder, core, targets, details):
        return []

    def ask(self, embedder, core, batch, state=None):
        return self.emission.distribution(core(*embedder(batch), state)[0])

    def step(self, embedder, core, state, token):
        """Read a move [B, D] of each curve; the mean and spread of the next, and the new state."""
        y, state = core(*embedder(Batch({"input": token[:, None]})), state)
        return self.emission.distribution(y[:, 0]), state

    def follow(self, embedder, y, memory=None):
        return self.emission.distribution(y), None

    def followed(self, symbol, number, before, now, codecs, top):
        return {"read": symbol, "next": codecs["input"].decode(now["mean"][:1].cpu())[0].tolist()}


@part("baseline", "one-gaussian")
class OneGaussian:
    """Every move from one Gaussian, whatever was before."""

    def rows(self, train, test, codecs):
        z = np.concatenate([codecs["input"].encode(each["moves"]) for each in test])  # less their mean, by their spread
        log_p = -0.5 * (np.square(z, dtype=float) + math.log(2 * math.pi)).sum(1)
        yield Row("one Gaussian", 2 * z.shape[1], "numbers", log_p=log_p)
