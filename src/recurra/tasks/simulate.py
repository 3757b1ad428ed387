"""Simulate a system: the outputs that its inputs bring about, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.answers import Answer, Series
from recurra.data.fields import Codecs, place_of
from recurra.data.timed import context_of
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.tasks.contract import Card, NoOptions
from recurra.tasks.scored import Asker
from recurra.tasks.scores import Scores, Table
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

SHOWN = 300
"""Steps of a test series that a report shows."""


@part("task", "simulate")
class Simulate(nn.Module):
    """ŷ_t of u_1 … u_t: the outputs [T, W] of a dynamic system by its inputs [T, D].

    Of a core with a state, of any cell, ŷ_t = V h_t + c: a nonlinear state-space model. A core that feeds its outputs
    back (`narx`) says ŷ_t itself; `learn` is how it is trained: "series-parallel", all outputs before a step given as
    they were measured, or in "free-run", by its own, through which the gradient goes. It begins at the least squares
    of its linear part, with a ridge of `ridge`.

    The first `initial` steps of a sequence are not counted, in training and in scores: a state finds itself there. A
    core that feeds back reads the outputs that were measured at them, and none later: what is scored is a simulation.

    L = Σ_t (y_t − ŷ_t)², in the units of the target's codec. Reads the fields "input" [B, T, D], in training "target"
    [B, T, W], and where they are known the outputs to begin with, "initial" [B, K, W].
    Source: Schoukens & Ljung 2019, Nonlinear system identification: a user-oriented road map.
    """

    unit = "values"
    causal = True
    main_metric = ("rmse", "min")
    baselines = ("arx", "fir")
    card = Card("Simulate", "What goes into the system, a line a step.", "0.1 0.4 0.2 -0.3 -0.1 0.5", "simulator")
    Options: ClassVar[type] = NoOptions

    def __init__(
        self,
        initial: int = 0,
        learn: Literal["series-parallel", "free-run"] = "series-parallel",
        ridge: float = 0.0,
    ) -> None:
        super().__init__()
        if initial < 0:
            raise ConfigError(f"task.initial = {initial}, expected 0 or more steps.")
        if ridge < 0:
            raise ConfigError(f"task.ridge = {ridge}, expected 0 or more.")
        self.initial, self.learn, self.ridge = initial, learn, ridge
        self.width, self.feeds_back = 0, False
        """How many outputs there are, and whether the core says them itself; known after `build`."""

    @property
    def fields(self) -> Mapping[str, Field]:
        scaled = {"kind": "scaled"}
        found = {"input": Field(("inputs",), scaled), "target": Field(("outputs",), scaled, along=True, learned=True)}
        return found | ({"initial": Field(("initial",), scaled, record="target")} if self.initial else {})

    @property
    def implies(self) -> dict[str, Any]:
        """What is known at the beginning is known to the baseline, too."""
        return {"baseline.initial": self.initial}

    def build(self, sizes: Sizes) -> Self:
        """Make the layer from `sizes.core` units to the outputs, unless the core says them itself."""
        self.width, self.feeds_back = sizes.fields["target"], sizes.feeds_back
        self.linear = None if self.feeds_back else nn.Linear(sizes.core, self.width)
        return self

    def adapt(self, encoded: Sequence[Mapping[str, Any]]) -> None:
        """Refuse training series that are all shorter than what is not counted of them."""
        longest = max((len(each["input"]) for each in encoded), default=0)
        if longest <= self.initial:
            raise DataError(
                f"the longest training series has {longest:,} steps, of which task.initial = {self.initial:,} are not "
                "counted: there is nothing to learn. Set it to less, or use longer series."
            )

    def begin_with(self, embedder: nn.Module, core: Any, encoded: Sequence[Mapping[str, Any]]) -> str:
        """Let a core that feeds back begin at the least squares of its linear part."""
        if not self.feeds_back:
            return ""
        pieces = []
        with torch.no_grad():
            for each in encoded:
                x, _ = embedder(Batch({"input": torch.from_numpy(each["input"])[None]}))
                pieces.append((x[0], torch.from_numpy(each["target"]).to(x.dtype)))
        degree, error = core.solve(pieces, self.ridge)
        return (
            f"It begins at least squares with products of degree {degree}, as AIC says: a step ahead they are "
            f"{error:.3g} off, of a spread of 1."
        )

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch; of a core that feeds back in use, and where it learns so, of predictions of one step."""
        target, lengths = batch.fields["target"], batch.structure.values
        given = target
        if self.training and self.learn == "free-run":
            given = target.masked_fill(self._steps(target)[:, None] >= self.initial, torch.nan)
        said, state = self._said(embedder, core, batch, given, state)
        counted = self._steps(target) >= self.initial  # [T]
        there = counted.expand(len(target), -1)
        if lengths is not None:
            there = there & (self._steps(target) < lengths[:, None])
        error = (said - target).masked_fill(~there[..., None], 0)
        squares = error.square().sum((0, 1))
        sequences = len(target) if lengths is None else int((lengths > 0).sum())
        details = {} if self.training else {f"squared_{k}": square for k, square in enumerate(squares.detach())}
        return Output(squares.sum(), int(there.sum()) * self.width, sequences, state, details)

    def step_loss(self, embedder: nn.Module, core: nn.Module, batch: Batch, steps: Tensor) -> Tensor:
        """The squared error of a simulation at one step a sequence, that of its step `steps` [B], summed over them."""
        target = batch.fields["target"]
        given = target.masked_fill(self._steps(target)[:, None] >= self.initial, torch.nan)
        error = self._said(embedder, core, batch, given, None)[0] - target
        return error[torch.arange(error.shape[0], device=error.device), steps].square().sum()

    def _said(
        self, embedder: nn.Module, core: nn.Module, batch: Batch, given: Tensor, state: Any
    ) -> tuple[Tensor, Any]:
        """ŷ [B, T, W] and the state; `given` [B, T, W]: outputs that are known, NaN where none are."""
        x, structure = embedder(batch)
        if self.linear is None:
            x = torch.cat((x.transpose(0, 1), given.transpose(0, 1).to(x.dtype)), 2).transpose(0, 1)
            return core(x, structure, state)
        y, state = core(x, structure, state)
        return self.linear(y), state

    @staticmethod
    def _steps(x: Tensor) -> Tensor:
        return torch.arange(x.shape[1], device=x.device)

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        """ "simulated" [B, T, W], from the outputs "initial" on where they are known."""
        x = batch.fields["input"]
        given = x.new_full((x.shape[0], x.shape[1], self.width), torch.nan)
        if self.initial:
            begun = self.arrange(batch).fields["initial"].to(given.dtype)
            given = torch.cat((begun, given), 1)[:, : x.shape[1]]
        return {"simulated": self._said(embedder, core, batch, given, state)[0]}

    @property
    def inputs(self) -> Mapping[str, tuple[str | int, ...]]:
        """What `arrange` adds to a batch, and its axes."""
        return {"initial": ("batch", self.initial, self.width)} if self.initial and self.feeds_back else {}

    def arrange(self, batch: Batch) -> Batch:
        """The batch with "initial" [B, initial, W], NaN where an output is not known."""
        x, lengths = batch.fields["input"], batch.structure.values
        fields = dict(batch.fields)
        if self.initial:
            begun = fields.get("initial")
            if begun is None:
                begun = x.new_zeros(x.shape[0], 0, self.width)
            known = batch.lengths.get("initial")
            if known is not None:
                begun = begun.masked_fill((self._steps(begun) >= known[:, None])[..., None], torch.nan)
            nothing = begun.new_full((x.shape[0], self.initial, begun.shape[2]), torch.nan)
            fields["initial"] = torch.cat((begun, nothing), 1)[:, : self.initial]
        lengths = torch.full((x.shape[0],), x.shape[1], device=x.device) if lengths is None else lengths
        return Batch(fields, Lengths(lengths))

    def question(self, example: Example, codecs: Codecs, report: Mapping[str, Any]) -> Example:
        """The example with the first `initial` of its outputs as those to begin with, as far as it has any.

        Raises `DataError` for outputs of another width than the training data's.
        """
        if not self.initial:
            return example
        width, axes = codecs["target"].size, codecs["target"].axes
        begun = _columns(example.get("initial", example.get("outputs", np.zeros((0, width)))))[: self.initial]
        if begun.shape[1] != width:
            raise DataError(
                f"{place_of(example)}: outputs of the shape {list(begun.shape)}, expected {width} a step as in the "
                "training data. Name the columns: --set 'reader.outputs=[…]', or none."
            )
        return {**example, "initial": begun if axes == 2 else begun[:, 0]}

    def demonstration(self, examples: Sequence[Example], codecs: Codecs, seed: int) -> Sequence[Example]:
        """The begin of each series, beside what was measured."""
        along = ("inputs", "outputs", "times")
        return [{key: value[:SHOWN] if key in along else value for key, value in each.items()} for each in examples]

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: NoOptions
    ) -> list[Answer]:
        """Each output behind the beginning that is known, beside what was measured; all steps as "outputs"."""
        found = []
        for row, example in enumerate(examples):
            steps = len(example["inputs"])
            said = _columns(codecs["target"].decode(asked["simulated"][row, :steps].float().cpu()))
            begun = _columns(example.get("initial", said[:0]))[:steps]
            known = len(begun)
            names = example.get("names") or [f"{k}" for k in range(1, said.shape[1] + 1)]
            truth = _whole(example, len(said))
            parts = tuple(
                Series(begun[:, k], said[known:, k], name=name, truth=None if truth is None else truth[known:, k])
                for k, name in enumerate(names)
            )
            found.append(Answer(parts, {"outputs": said.tolist()}))
        return found

    def scored(
        self, ask: Asker, gold: Sequence[Example], train: Sequence[Example] | None, codecs: Codecs
    ) -> tuple[Scores, list[dict[str, Any]], dict[str, Any]]:
        """The scores of simulations; of a core that feeds back that of predictions of one step beside them."""
        scores = self.score(gold, ask.answers(gold, ask.options), codecs)
        if self.feeds_back and not getattr(codecs["target"], "logarithm", False):
            found = ask.measured(gold)
            unit = codecs["target"].decode(np.ones((1, self.width))) - codecs["target"].decode(
                np.zeros((1, self.width))
            )
            squared = sum(found.details[f"squared_{k}"] * each**2 for k, each in enumerate(unit[0].tolist()))
            scores.metrics["one_step_rmse"] = math.sqrt(squared / found.targets)
        return scores, [], {}

    def score(
        self, gold: Sequence[Example], predicted: Sequence[Mapping[str, Any]], codecs: Codecs | None = None
    ) -> Scores:
        """ "rmse" in the units of the outputs, √ of the mean over all counted steps and outputs; "fit", per cent,
        100 (1 − ‖y − ŷ‖ / ‖y − ȳ‖), and "r2", 1 − its square, of each output, their mean; a table "outputs" of them.

        Steps that a part begins early by (`data.context`) are simulated, but not counted either.
        Raises `DataError` for an example without outputs, or with fewer than inputs, and where no step is counted.
        """
        pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        names: Sequence[str] = ()
        for true, guess in zip(gold, predicted, strict=True):
            measured = _whole(true, len(true["inputs"]))
            if measured is None:
                raise DataError(
                    f"{place_of(true)}: no output for each of {len(true['inputs']):,} inputs, which is what a "
                    "simulation is compared with. Score a file that has them, or predict instead."
                )
            said = _columns(guess["outputs"])
            skipped = max(self.initial, context_of(true))
            pairs.append((measured[skipped:], said[skipped:]))
            names = names or true.get("names") or [f"{k}" for k in range(1, measured.shape[1] + 1)]
        y, said = (np.concatenate(side) for side in zip(*pairs, strict=True))
        if not y.size:
            raise DataError(f"no series has more than the {self.initial:,} steps of task.initial. Score longer ones.")
        squares = np.square(y - said).sum(0)
        around = np.maximum(np.square(y - y.mean(0)).sum(0), np.finfo(float).tiny)
        fits, r2 = 100 * (1 - np.sqrt(squares / around)), 1 - squares / around
        rmse = np.sqrt(squares / len(y))
        metrics = {"rmse": math.sqrt(squares.sum() / y.size), "fit": float(fits.mean()), "r2": float(r2.mean())}
        scores = Scores(
            metrics, notes=[f"The first {self.initial} steps of a series are not counted."] if self.initial else []
        )
        if y.shape[1] > 1:
            rows: list[list[str | float]] = [
                [name, float(a), float(b), float(c)] for name, a, b, c in zip(names, rmse, fits, r2, strict=True)
            ]
            scores.tables["outputs"] = Table(columns=["output", "rmse", "fit", "r2"], rows=rows)
        return scores

    def follow(self, embedder: nn.Module, y: Tensor, memory: Any = None) -> tuple[Mapping[str, Tensor], Any]:
        """The outputs at a step, "output" [B, W]; y [B, H] is what the core says there."""
        return {"output": y if self.linear is None else self.linear(y)}, None

    def followed(
        self,
        symbol: str,
        number: int,
        before: Mapping[str, Tensor] | None,
        now: Mapping[str, Tensor],
        codecs: Codecs,
        top: int,
    ) -> dict[str, Any]:
        """`{"read", "output"}`, in the units of the outputs."""
        return {"read": symbol, "output": codecs["target"].decode(now["output"][:1].cpu())[0].tolist()}


def _whole(example: Example, steps: int) -> NDArray[np.float64] | None:
    """The outputs of an example where it has all of them."""
    outputs = example.get("outputs")
    return None if outputs is None or len(outputs) != steps else _columns(outputs)


def _columns(values: Any) -> NDArray[np.float64]:
    """Numbers [T, W], of one a step [T, 1]."""
    array = np.asarray(values, np.float64)
    return array if array.ndim > 1 else array[:, None]
