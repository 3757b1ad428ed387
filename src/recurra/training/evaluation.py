"""Batches through a model, with the state carried from one to the next; the loss over all of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from recurra.engine import short
from recurra.errors import ConfigError, DataError
from recurra.types import Batch, Lengths, Output


class Trainable(Protocol):
    """What training asks of a model: the loss of a batch, and what every torch module can do."""

    training: bool

    def loss(self, batch: Batch, state: Any) -> Output: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
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

    @property
    def per_target(self) -> float:
        return self.loss / self.targets


@dataclass(frozen=True)
class Verdict:
    """What a validation found, in the measure that the best weights are chosen by."""

    metric: str
    value: float
    higher_is_better: bool = False

    @property
    def criterion(self) -> float:
        """Lower is better, whatever the metric."""
        return -self.value if self.higher_is_better else self.value


class Judge(Protocol):
    """Validates a model on batches. None: `stop()` said to stop before the end."""

    def __call__(
        self,
        model: Any,
        batches: Iterable[Batch],
        /,
        *,
        device: torch.device,
        precision: str,
        stop: Callable[[], bool],
    ) -> Verdict | None: ...


def find_device(name: str) -> torch.device:
    """The device called `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` …; raises `ConfigError`."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is unknown to torch. Expected auto, cpu, cuda or cuda:1.") from error
    if device.type != "cuda":
        return device
    index, count = device.index or 0, torch.cuda.device_count()
    if index >= count:
        raise ConfigError(f"device {name!r} is not there: torch sees {count} CUDA devices. Use --device cpu or auto.")
    return torch.device("cuda", index)


def find_precision(name: str, device: torch.device) -> str:
    """The precision called `auto`: `bf16` where the device multiplies bfloat16 by itself, else `float32`."""
    if name != "auto":
        return name
    return "bf16" if short.multiplies(device) else "float32"


def precision_note(precision: str, device: torch.device) -> str | None:
    """What to know of a precision before training with it on this device; None: nothing."""
    if precision != "bf16" or short.multiplies(device):
        return None
    if device.type != "cpu":
        return f"precision bf16: torch knows of no products of bfloat16 on {device}, so it may be slower than float32."
    return (
        "precision bf16: this processor does not multiply bfloat16, so products are made in float32 of rounded factors "
        "and nothing is gained; measured with AVX2, training took 1.0 to 1.2 times as long as in float32. "
        "--precision auto takes float32 here."
    )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """The context of a forward pass; it can be entered again and again."""
    return short.autocast(device) if precision == "bf16" else nullcontext()


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on `device`."""
    if all(tensor.device == device for tensor in batch.fields.values()):
        return batch
    fields = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.fields.items()}
    values, lengths = batch.structure.values, {name: each.to(device) for name, each in batch.lengths.items()}
    structure = Lengths(None if values is None else values.to(device))
    return replace(batch, fields=fields, structure=structure, lengths=lengths)


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
) -> Score | None:
    """The loss over all batches, dropout off, the state carried. None: `stop()` said to stop before the end.

    Raises `DataError` if there is no target in them.
    """
    device = torch.device(device)
    context = autocast(device, precision)
    loss, targets, sequences, state = torch.zeros((), dtype=torch.float64, device=device), 0, 0, None
    training = model.training
    model.train(False)
    try:
        with torch.no_grad():
            for batch in batches:
                if stop():
                    return None
                with context:
                    output = model.loss(moved(batch, device), None if batch.first else state)
                loss += output.loss
                targets += output.targets
                sequences += output.sequences
                state = output.state
    finally:
        model.train(training)
    if not targets:
        raise DataError("the data to evaluate on hold no target. Give a longer file, or cut off a larger fraction.")
    return Score(float(loss), targets, sequences)


def by_loss(
    model: Trainable,
    batches: Iterable[Batch],
    /,
    *,
    device: torch.device,
    precision: str,
    stop: Callable[[], bool],
) -> Verdict | None:
    """The judge where a task has no better measure: the loss per target."""
    score = evaluate(model, batches, device=device, precision=precision, stop=stop)
    return None if score is None else Verdict("loss", score.per_target)
