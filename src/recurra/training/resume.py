"""Everything a training needs to go on as if it had never stopped, in one file that is replaced as a whole.

Tensors: `weights.*`, `optimiser.<parameter>.<key>`, `average.<parameter>`, `carried.<n>`, `generator.*`; the counters,
the form of the carried state and the optimiser's name stand as JSON in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recurra import checkpoint
from recurra.errors import CheckpointError
from recurra.training.average import Average


@dataclass
class Counters:
    """Where a training is, in whole numbers and seconds."""

    epoch: int = 0
    """Whole epochs done."""
    batch: int = 0
    """Batches done in the epoch under way."""
    batches: int = 0
    """Batches in the epoch under way; 0 between two epochs."""
    step: int = 0
    """Updates of the weights done."""
    seconds: float = 0.0
    """Time spent, evaluation and saving included."""
    marks: int = 0
    """How many multiples of `evaluate_every` have been evaluated."""
    history: list[float] = field(default_factory=list)
    """Validation losses at those marks; what schedules and patience look at."""
    best: float | None = None
    """Lowest validation loss of all evaluations."""
    best_step: int = 0
    averaged_from: int | None = None
    """Step whose weights are the first of the plain mean that validation set off; None: not yet."""
    evaluated_step: int = -1
    """Step of the latest evaluation."""
    evaluated_at: float = 0.0
    """`seconds` at its end."""
    evaluation_seconds: float = 0.0
    """How long it took."""

    @property
    def epochs_done(self) -> float:
        """Epochs done, with fraction."""
        return self.epoch + (self.batch / self.batches if self.batches else 0.0)


def save(
    path: Path,
    model: nn.Module,
    optimiser: Optimizer,
    average: Average | None,
    carried: Any,
    counters: Counters,
    device: torch.device,
) -> None:
    """Write all of it; what is random goes on with torch's own generators."""
    tensors = {f"weights.{name}": tensor for name, tensor in checkpoint.weights(model).items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items() if isinstance(value, Tensor)}
    if average is not None:
        tensors |= {f"average.{index}": mean for index, mean in enumerate(average.means)}
    leaves: list[Tensor] = []
    form = _flatten(carried, leaves)
    tensors |= {f"carried.{index}": leaf for index, leaf in enumerate(leaves)}
    tensors["generator.cpu"] = torch.get_rng_state()
    if device.type == "cuda":
        tensors["generator.cuda"] = torch.cuda.get_rng_state(device)
    metadata = {
        "counters": json.dumps(asdict(counters)),
        "carried": json.dumps(form),
        "optimiser": type(optimiser).__name__,
    }
    checkpoint.save_tensors(path, tensors, metadata)


def load(
    path: Path,
    model: nn.Module,
    optimiser: Optimizer,
    make_average: Callable[[Counters], Average | None],
    device: torch.device,
) -> tuple[Counters, Average | None, Any]:
    """Put all of it back in place; returns the counters, the mean of the weights and the carried state.

    `make_average` says whether the settings want a mean at these counters.
    Raises `CheckpointError` if the file is missing, cut or corrupt, or was saved with other settings.
    """
    tensors, metadata = checkpoint.load_tensors(path)
    try:
        counters, form = Counters(**json.loads(metadata["counters"])), json.loads(metadata["carried"])
        generator, former = tensors["generator.cpu"], metadata["optimiser"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} holds no training to resume ({error!r} is wrong). Train again.") from error
    if former != type(optimiser).__name__:
        raise CheckpointError(
            f"{path} was saved by the optimiser {former}, the settings now say {type(optimiser).__name__}. "
            f"Resume with the optimiser in config.toml, or train again."
        )
    means, average = _under("average.", tensors), make_average(counters)
    triggered = average is not None and average.decay is None
    if bool(means) != (average is not None) or triggered != (counters.averaged_from is not None):
        was = "with" if means else "without"
        raise CheckpointError(
            f"{path} was saved {was} training.average, the settings now say otherwise. Resume with the same setting."
        )
    checkpoint.restore_weights(model, _under("weights.", tensors), path)
    _restore_optimiser(optimiser, _under("optimiser.", tensors))
    if average is not None:
        for index, mean in enumerate(average.means):
            mean.copy_(means[str(index)])
    torch.set_rng_state(generator)
    if device.type == "cuda" and "generator.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator.cuda"], device)
    leaves = _under("carried.", tensors)
    return counters, average, _unflatten(form, [leaves[str(index)].to(device) for index in range(len(leaves))])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _flatten(carried: Any, leaves: list[Tensor]) -> Any:
    """The form of a carried state as JSON, a nested list with numbers for tensors, which are appended to `leaves`."""
    if carried is None:
        return None
    if isinstance(carried, Tensor):
        leaves.append(carried)
        return len(leaves) - 1
    return [_flatten(inner, leaves) for inner in carried]


def _unflatten(form: Any, leaves: Iterable[Tensor]) -> Any:
    leaves = list(leaves)
    if form is None:
        return None
    return leaves[form] if isinstance(form, int) else tuple(_unflatten(inner, leaves) for inner in form)
