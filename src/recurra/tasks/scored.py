"""What a task may be where it is scored: by its answers, by how likely the truth was, beside itself, place by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.answers import Answer
from recurra.data.fields import Codecs
from recurra.tasks.contract import Answers, Asks
from recurra.tasks.scores import Scores
from recurra.types import Batch, Example, Output


@runtime_checkable
class Backtests(Asks, Protocol):
    """A task that says of any place in a series of numbers what follows."""

    look_back: int
    """Steps before the place that are read."""
    horizon: int
    """Steps behind it that are told."""
    season: int | None
    """Steps after which the series is alike, where that is known."""

    def at(self, example: Example, place: int) -> Example:
        """An example as it is asked from a place in it: the steps before that are read."""

    def forecasts(self, asked: Mapping[str, Tensor], codecs: Codecs) -> list[dict[str, NDArray[Any]]]:
        """What was asked, place by place, in the units of the file: "forecast" [horizon, W], and of ranges, by the per
        cent of the values inside, "low_80" and "high_80"."""


@runtime_checkable
class HasParts(Answers, Protocol):
    """A task whose answers say what its parts would answer alone."""

    def parts_alone(
        self, predicted: Sequence[Mapping[str, Any]], parameters: int, codecs: Codecs
    ) -> list[tuple[Sequence[Mapping[str, Any]], dict[str, Any]]]:
        """Of answers of the whole, which has so many parameters: those of each part, to be scored as they are, and what
        a table calls it, its "name", "size" and "unit"."""


@runtime_checkable
class Demonstrates(Protocol):
    """A task that shows in a report more than its answers to test examples: the truth beside them, say."""

    def demonstration(self, examples: Sequence[Example], codecs: Codecs, seed: int) -> Sequence[Example]:
        """What to ask for that, made of some test examples."""


@runtime_checkable
class JudgedByLoss(Protocol):
    """A task whose best weights may be chosen by the loss on true targets, though it is scored by its answers."""

    judged_by_loss: bool


@runtime_checkable
class ScoredByLoss(Protocol):
    """A task that is scored by how likely the truth was: no answers are needed."""

    def measure(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The loss of a batch, with all the `details` that `metrics` are made of: sums over its targets by name."""

    def metrics(self, loss: float, targets: int, details: Mapping[str, float]) -> Scores:
        """Metrics of losses, and of `details`, summed over `targets`; those whose details are missing are left out."""


@runtime_checkable
class MeasuresAsked(ScoredByLoss, Protocol):
    """A task whose loss can be had of what `ask` says: so can that of its ONNX file."""

    def measured(self, asked: Mapping[str, Tensor], batch: Batch) -> Output:
        """What `measure` gives, of what `ask` says of all of the batch."""


@runtime_checkable
class StandsBeside(ScoredByLoss, Protocol):
    """A task whose model stands beside itself in a table, seen in another way."""

    def beside(
        self, embedder: nn.Module, core: nn.Module, targets: int, details: Mapping[str, float]
    ) -> list[dict[str, Any]]:
        """Those rows, as baselines have them."""


class Asker(Protocol):
    """A model that a task asks while it is scored."""

    @property
    def options(self) -> Any:
        """Its options, as a caller or the recipe says."""

    def answers(self, examples: Sequence[Example], options: Any) -> list[Answer]:
        """Its answers to examples."""

    def loss(self, examples: Sequence[Example]) -> tuple[float, int]:
        """The loss on true targets, summed, and how many targets there are."""

    def measured(self, examples: Sequence[Example]) -> Any:
        """The same with the sums of its `details`, and the number of `targets`."""


@runtime_checkable
class ScoresItself(Protocol):
    """A task that is scored by more than one set of answers."""

    def scored(
        self, ask: Asker, gold: Sequence[Example], train: Sequence[Example] | None, codecs: Codecs
    ) -> tuple[Scores, list[dict[str, Any]], dict[str, Any]] | None:
        """The scores, rows that stand beside them as those of baselines do, and what else there is to say of them by
        name; None where, as it is set, the task is scored like others."""


@runtime_checkable
class Predicts(Protocol):
    """A task that can adapt to a text while it is scored on it (dynamic evaluation, neural cache)."""

    def predictions(
        self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None
    ) -> tuple[Tensor, Tensor, Any]:
        """What each step's score is made of: log p of the targets [T, B], the core's outputs [T, B, H], its state."""
