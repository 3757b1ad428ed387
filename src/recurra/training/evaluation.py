"""Batches through a model, with the state carried from one to the next; the loss over all of a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from recurra.engine.device import autocast, moved
from recurra.errors import DataError
from recurra.progress import steps
from recurra.types import Batch, Output

if TYPE_CHECKING:
    from recurra.training.group import Group


class Trainable(Protocol):
    """What training asks of a model: the loss of a batch, and what every torch module can do."""

    training: bool

    def loss(self, batch: Batch, state: Any) -> Output: ...
    def measure(self, batch: Batch, state: Any) -> Output: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def train(self, mode: bool = True) -> Any: ...
    def to(self, device: torch.device) -> Any: ...


class Batches(Protocol):
    """One pass over the training data, of which any batch can be had: training may go on in the middle."""

    def __len__(self) -> int: ...
    def __getitem__(self, k: int, /) -> Batch: ...


@dataclass(frozen=True)
class Score:
    """The loss summed over `targets` targets in `sequences` sequences; natural logarithm."""

    loss: float
    targets: int
    sequences: int
    details: Mapping[str, float] = field(default_factory=dict)
    """The sums of `Output.details`."""

    @property
    def per_target(self) -> float:
        return self.loss / self.targets

    def __add__(self, other: Score) -> Score:
        """The score of both parts."""
        names = {**self.details, **other.details}
        details = {name: self.details.get(name, 0.0) + other.details.get(name, 0.0) for name in names}
        counts = self.targets + other.targets, self.sequences + other.sequences
        return Score(self.loss + other.loss, *counts, details)


@dataclass(frozen=True)
class Validation:
    """What a validation found, in the measure that the best weights are chosen by."""

    metric: str
    value: float
    higher_is_better: bool = False

    @property
    def criterion(self) -> float:
        """Lower is better, whatever the metric."""
        return -self.value if self.higher_is_better else self.value


class Validator(Protocol):
    """Validates a model on batches. None: `stop()` said to stop before the end. Every process of a `group` calls it;
    what it gives the first counts."""

    def __call__(
        self,
        model: Any,
        batches: Iterable[Batch],
        /,
        *,
        device: torch.device,
        precision: str,
        stop: Callable[[], bool],
        group: Group,
    ) -> Validation | None: ...


def detached(state: Any) -> Any:
    """The carried state, cut off from the batch that made it: where truncated backpropagation ends."""
    if isinstance(state, Tensor):
        return state.detach()
    return None if state is None else tuple(detached(inner) for inner in state)


def evaluate(
    model: Trainable,
    batches: Iterable[Batch],
    *,
    device: torch.device | str = "cpu",
    precision: str = "float32",
    stop: Callable[[], bool] = lambda: False,
    detailed: bool = False,
    called: str = "validating",
    group: Group | None = None,
) -> Score | None:
    """The loss over all batches, dropout off, the state carried. None: `stop()` said to stop before the end.

    `detailed`: by the task's `measure`, which sums up all that its metrics are made of. `called`: what this is, to
    whoever waits for it. `group`: the processes of which each takes a part of every batch, if that can be had.

    Raises `DataError` if there is no target in them.
    """
    device = torch.device(device)
    context = autocast(device, precision)
    loss, targets, sequences, state = torch.zeros((), dtype=torch.float64, device=device), 0, 0, None
    details: dict[str, Any] = defaultdict(lambda: torch.zeros((), dtype=torch.float64, device=device))
    measure: Any = model.measure if detailed else model.loss
    training, stopped = model.training, False
    model.train(False)
    try:
        with torch.no_grad():
            for batch in steps(batches if group is None else group.part_of(batches), called, "batches"):
                if stop():
                    stopped = True
                    break
                if not batch.counted:
                    continue
                with context:
                    output = measure(moved(batch, device), None if batch.first else state)
                loss += output.loss
                targets += output.targets
                sequences += output.sequences
                state = output.state
                for name, value in output.details.items():
                    details[name] += value
    finally:
        model.train(training)
    own = Score(float(loss), targets, sequences, {name: float(value) for name, value in details.items()})
    parts = [None if stopped else own] if group is None else group.gathered(None if stopped else own)
    scores = [part for part in parts if part is not None]
    if len(scores) < len(parts):
        return None
    if not any(score.targets for score in scores):
        raise DataError("the data to evaluate on hold no target. Give a longer file, or cut off a larger fraction.")
    return sum(scores[1:], start=scores[0])


def by_loss(
    model: Trainable,
    batches: Iterable[Batch],
    /,
    *,
    device: torch.device,
    precision: str,
    stop: Callable[[], bool],
    group: Group,
) -> Validation | None:
    """The validator where a task has no better measure: the loss per target."""
    score = evaluate(model, batches, device=device, precision=precision, stop=stop, group=group)
    return None if score is None else Validation("loss", score.per_target)
