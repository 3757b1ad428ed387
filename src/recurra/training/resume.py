"""Everything a training needs to go on as if it had never stopped, in one file that is replaced as a whole.

Tensors: `weights.*`, `optimiser.<parameter>.<key>`, `average.<parameter>`, `carried.<n>`, `generator.*`; the counters,
the form of the carried state and the optimiser's name stand as JSON in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recurra import checkpoint, forms
from recurra.checkpoint import RunFolder
from recurra.errors import CheckpointError
from recurra.forms.files import COUNTERS
from recurra.training.average import Average

KEPT = {
    "SGD": frozenset({"momentum_buffer"}),
    "Adam": frozenset({"step", "exp_avg", "exp_avg_sq"}),
    "AdamW": frozenset({"step", "exp_avg", "exp_avg_sq"}),
}
"""What torch's optimisers keep of a parameter that has learnt; of a plugin's, it is the same of every parameter."""
_ONE = torch.zeros(())
"""What an optimiser's own count of steps is like."""


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
    validating: float = 0.0
    """Seconds that all evaluations took."""
    valid_share: float = 0.0
    """Share of the validation examples that a budget lets be validated on; 0: not yet known."""

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
    generators: Mapping[str, Tensor],
) -> None:
    """Write all of it; `generators`: the states of torch's own, that what is random goes on with."""
    tensors = {f"weights.{name}": tensor for name, tensor in checkpoint.weights(model).items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in state.items() if isinstance(value, Tensor)}
    if average is not None:
        tensors |= {f"average.{index}": mean for index, mean in enumerate(average.means)}
    leaves: list[Tensor] = []
    form = _flatten(carried, leaves)
    tensors |= {f"carried.{index}": leaf for index, leaf in enumerate(leaves)}
    tensors |= {f"generator.{name}": state for name, state in generators.items()}
    metadata = {
        "counters": json.dumps(asdict(counters)),
        "carried": json.dumps(form),
        "optimiser": type(optimiser).__name__,
        **checkpoint.vocabulary_mark(model),
    }
    checkpoint.save_tensors(path, tensors, metadata)


def generators(device: torch.device, each: Callable[[Tensor], Sequence[Tensor]]) -> dict[str, Tensor]:
    """The states of what is random: "cpu" and "cuda" of the first process, "cpu.1" of the second. `each`: that of every
    process."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return {_of(name, rank): one for name, state in states.items() for rank, one in enumerate(each(state))}


def _of(name: str, rank: int) -> str:
    return f"{name}.{rank}" if rank else name


def has_state(run: RunFolder) -> bool:
    """Whether a run has a state to go on from. One that was killed before its first one begins at step 0.

    Raises `CheckpointError` where the state is missing and weights are there that were trained.
    """
    if run.resume.exists():
        return True
    if run.model.exists() and checkpoint.load_tensors(run.model)[1].get("step", "0") != "0":
        raise CheckpointError(
            f"{run.resume} is missing, and {run.model.name} holds weights that were trained, which training anew from "
            f"step 0 would replace. Copy the file back, or move {run.model.name} away to begin at step 0."
        )
    return False


def load(
    path: Path,
    model: nn.Module,
    optimiser: Optimizer,
    make_average: Callable[[Counters], Average | None],
    device: torch.device,
    rank: int = 0,
) -> tuple[Counters, Average | None, Any]:
    """Put all of it back in place; returns the counters, the mean of the weights and the carried state, of all
    processes.

    A process that the training did not have before draws what is random anew, by its rank and the step. `make_average`
    says whether the settings want a mean at these counters.
    Raises `CheckpointError` if the file is missing, cut or corrupt, or was saved with other settings.
    """
    tensors, metadata = checkpoint.load_tensors(path)
    checkpoint.check_vocabulary(path, metadata, checkpoint.vocabularies_of(model))
    try:
        written, form = metadata["counters"], metadata["carried"]
        generator, former = tensors["generator.cpu"], metadata["optimiser"]
    except KeyError as error:
        raise CheckpointError(f"{path} holds no training to resume ({error!r} is wrong). Train again.") from error
    counters = Counters(**forms.read_json_text(written, f"{path}: counters", COUNTERS))
    leaves = _under("carried.", tensors)
    carried = _carried(path, form, [leaves[key].to(device) for key in sorted(leaves, key=_order)])
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
    state = _optimiser_state(path, optimiser, _under("optimiser.", tensors))
    for index, mean in enumerate(average.means if average is not None else ()):
        if str(index) not in means:
            raise CheckpointError(f"{path} has no average.{index}. {forms.AGAIN}")
        checkpoint.check_tensor(path, f"average.{index}", means[str(index)], mean, forms.AGAIN)
    checkpoint.restore_weights(model, _under("weights.", tensors), path)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    for index, mean in enumerate(average.means if average is not None else ()):
        mean.copy_(means[str(index)])
    try:
        torch.set_rng_state(tensors.get(f"generator.{_of('cpu', rank)}", generator))
        if device.type == "cuda" and f"generator.{_of('cuda', rank)}" in tensors:
            torch.cuda.set_rng_state(tensors[f"generator.{_of('cuda', rank)}"], device)
        if f"generator.{_of('cpu', rank)}" not in tensors:
            torch.manual_seed(1_000_003 * counters.step + rank)
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: its generator is no state of torch's ({error}). {forms.AGAIN}") from error
    return counters, average, carried


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _order(key: str) -> int:
    return int(key) if key.isdecimal() and len(key) < 9 else -1


def _optimiser_state(path: Path, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The state of an optimiser by the number of the parameter: each tensor of its parameter's form, or one number."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        number = _order(index)
        if not 0 <= number < len(parameters) or not key:
            raise CheckpointError(f"{path} holds optimiser.{name}, which is of none of the parameters. {forms.AGAIN}")
        one = key == "step" or (type(optimiser).__name__ not in KEPT and not tensor.dim())
        like = _ONE if one else parameters[number].detach()
        checkpoint.check_tensor(path, f"optimiser.{name}", tensor, like, forms.AGAIN)
        state.setdefault(number, {})[key] = tensor
    wanted = KEPT.get(type(optimiser).__name__, frozenset(next(iter(state.values()), {})))
    for number, held in state.items():
        if held.keys() != wanted:
            raise CheckpointError(
                f"{path} holds {', '.join(sorted(held))} of parameter {number} for the optimiser, expected "
                f"{', '.join(sorted(wanted)) or 'nothing'}. {forms.AGAIN}"
            )
    return state


def _carried(path: Path, written: str, leaves: list[Tensor]) -> Any:
    """A carried state, put together from its tensors."""
    form = forms.read_json_text(written, f"{path}: carried")
    if list(_numbers(form)) != list(range(len(leaves))):
        raise CheckpointError(f"{path}: its carried state is {written[:60]!r} of {len(leaves)} tensors. {forms.AGAIN}")
    return _unflatten(form, leaves)


def _flatten(carried: Any, leaves: list[Tensor]) -> Any:
    """The form of a carried state as JSON, a nested list with numbers for tensors, which are appended to `leaves`."""
    if carried is None:
        return None
    if isinstance(carried, Tensor):
        leaves.append(carried)
        return len(leaves) - 1
    return [_flatten(inner, leaves) for inner in carried]


def _unflatten(form: Any, leaves: Sequence[Tensor]) -> Any:
    if form is None:
        return None
    return leaves[form] if isinstance(form, int) else tuple(_unflatten(inner, leaves) for inner in form)


def _numbers(form: Any) -> Iterator[Any]:
    """What stands in the form of a carried state in the places of tensors."""
    for inner in form if isinstance(form, list) else () if form is None else (form,):
        yield from _numbers(inner) if isinstance(inner, list) else () if inner is None else (inner,)
