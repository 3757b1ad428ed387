"""The processes that train one model together: each computes the gradient of its part of every batch.

The group's batch is the batch of the settings, so that n processes learn what one does. torch's DistributedDataParallel
adds the gradients up; this module says what else they must have in common: counts, the clock, what the first decides.
"""

from __future__ import annotations

import atexit
import inspect
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recurra.engine.device import find_device
from recurra.errors import ConfigError, TrainingError
from recurra.training.evaluation import Batches, Trainable, detached
from recurra.training.ranks import place
from recurra.types import Batch, Output

Value = TypeVar("Value")
Loss = Callable[[Batch, Any, Mapping[str, Any]], tuple[Tensor, Output]]
"""Batch, state and what is recorded → what is minimised, to go backward from, and the output, cut off from it."""

PATIENCE = timedelta(days=1)
"""How long a process waits for the others, of which the first may validate for hours. One that dies is noticed at once,
by its launcher and by its closed connections."""
SAYING = 2.0
"""Seconds in which the first process says what went wrong, where it has gone wrong for all."""
_STORE: list[dist.Store] = []
"""Where the processes leave each other word, once they have met."""
_BUFFERS = ("forward_sync_buffers", "broadcast_buffers")
_GONE = ("connection closed", "connection reset", "socket", "gloo", "nccl", "broken pipe", "peer")
"""Words in what torch says where another process is gone."""


@runtime_checkable
class Divisible(Protocol):
    """A pass that can be divided among processes."""

    def divisible(self, size: int) -> bool:
        """Whether there is enough for each of so many."""

    def share(self, rank: int, size: int) -> Batches:
        """Of every batch the part of one of `size` processes; of one too small for all of them, with nothing counted
        for those that go without."""


class Group(Protocol):
    """The processes of a training."""

    rank: int
    size: int

    def device(self, name: str) -> torch.device:
        """The device of this process where the settings call it so."""

    def loss(self, model: Trainable) -> Loss:
        """What goes forward through a model, and backward so that all processes have the mean of their gradients."""

    def last(self, last: bool) -> AbstractContextManager[Any]:
        """Around a batch's way forward and backward: gradients are added up where it is the `last` of its step."""

    def share(self, batches: Batches) -> Batches:
        """This process's part of every batch. Raises `ConfigError` for a pass that cannot be divided."""

    def clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """The clock that all decide by. Of several processes it is the first's, as it was when they last met: in
        `added` or `told`."""

    def added(self, loss: Tensor, *numbers: float) -> tuple[Tensor, list[float]]:
        """A number on the device, and others, each summed over the processes."""

    def told(self, value: Value) -> Value:
        """What the first process has, for all."""

    def whole(self, state: Any) -> Any:
        """A carried state of all sequences, put together from the processes' parts along axis −2."""

    def part(self, state: Any) -> Any:
        """This process's part of a carried state of all sequences."""

    def part_of(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        """This process's part of batches that are evaluated; where they cannot be divided the first has all."""

    def gathered(self, value: Value) -> list[Value]:
        """The value of every process, in their order."""

    def hearing(self) -> AbstractContextManager[Any]:
        """Inside, `TrainingError` says so where another process is gone."""

    def speaks(self, sentence: str) -> bool:
        """Whether this process says what went wrong: the first does, another where the first does not say the same."""


class Alone:
    """One process: all is its own."""

    rank = 0
    size = 1

    def device(self, name: str) -> torch.device:
        return find_device(name)

    def loss(self, model: Trainable) -> Loss:
        return lambda batch, state, watch: _apart(model.loss(batch, state, **watch))

    def last(self, last: bool) -> AbstractContextManager[Any]:
        return nullcontext()

    def share(self, batches: Batches) -> Batches:
        return batches

    def clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        return clock

    def added(self, loss: Tensor, *numbers: float) -> tuple[Tensor, list[float]]:
        return loss, [*numbers]

    def told(self, value: Value) -> Value:
        return value

    def whole(self, state: Any) -> Any:
        return state

    def part(self, state: Any) -> Any:
        return state

    def part_of(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        return batches

    def gathered(self, value: Value) -> list[Value]:
        return [value]

    def hearing(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def speaks(self, sentence: str) -> bool:
        return True


class Together:
    """This process among those of torch's process group, which has begun. `local`: its number on its machine; `store`:
    where they leave each other word."""

    def __init__(self, local: int = 0, store: dist.Store | None = None) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._local, self._store = local, store
        self._wrapped: DistributedDataParallel | None = None
        self._clock, self._now = time.monotonic, 0.0

    def device(self, name: str) -> torch.device:
        """A GPU that is not named by its number is that of the process's own number."""
        on_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
        return find_device(f"cuda:{self._local}" if on_gpu else name)

    def loss(self, model: Trainable) -> Loss:
        # Parameters may be without a gradient: frozen ones, those of a reading that a batch has nothing of. Buffers do
        # not change while training; before torch 2.13 the keyword that says so had another name.
        buffers = next(name for name in _BUFFERS if name in inspect.signature(DistributedDataParallel).parameters)
        keywords: dict[str, Any] = {"find_unused_parameters": True, buffers: False}
        self._wrapped = DistributedDataParallel(_Loss(model), **keywords)
        warnings.filterwarnings("ignore", "Grad strides do not match")  # those of convolutions are as they come
        wrapped: Any = self._wrapped
        return lambda batch, state, watch: wrapped(batch, state, watch)

    def last(self, last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last or self._wrapped is None else self._wrapped.no_sync()

    def share(self, batches: Batches) -> Batches:
        if not isinstance(batches, Divisible):
            raise ConfigError(
                f"a pass of the kind {type(batches).__name__} cannot be divided among {self.size} processes: it has no "
                "methods share(rank, size) and divisible(size). Set another batching.kind, or train with one process."
            )
        return batches.share(self.rank, self.size)

    def clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        self._clock = clock
        self.told(None)
        return lambda: self._now

    def added(self, loss: Tensor, *numbers: float) -> tuple[Tensor, list[float]]:
        on_cpu, now = loss.device.type == "cpu", 0.0 if self.rank else self._clock()
        held = torch.tensor([float(loss) if on_cpu else 0.0, now, *numbers], dtype=torch.float64)
        dist.all_reduce(held)  # one for all of them: each is a wait for the slowest
        total, self._now, *found = (float(number) for number in held.tolist())
        if on_cpu:
            return loss.new_tensor(total), found
        loss = loss.clone()
        dist.all_reduce(loss)  # stays on the device, and nobody waits for it
        return loss, found

    def told(self, value: Value) -> Value:
        held: list[Any] = [(value, self._clock())]
        dist.broadcast_object_list(held, src=0)
        told: Value
        told, self._now = held[0]
        return told

    def whole(self, state: Any) -> Any:
        return _joined(self.gathered(_on_cpu(state)))

    def part(self, state: Any) -> Any:
        if isinstance(state, Tensor):
            B = state.shape[-2]
            return state[..., B * self.rank // self.size : B * (self.rank + 1) // self.size, :].contiguous()
        return None if state is None else tuple(self.part(inner) for inner in state)

    def part_of(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        if isinstance(batches, Divisible) and batches.divisible(self.size):
            own: Any = batches.share(self.rank, self.size)
            return (own[k] for k in range(len(own)))
        return () if self.rank else batches

    def gathered(self, value: Value) -> list[Value]:
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    @contextmanager
    def hearing(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, TrainingError) or not any(word in str(error).lower() for word in _GONE):
                raise
            raise TrainingError(
                f"process {self.rank} of {self.size} no longer reaches the others: one of them has ended. What was "
                "saved before stands; go on with --resume."
            ) from error

    def speaks(self, sentence: str) -> bool:
        if self._store is None:
            return True
        key, until = f"said: {sentence}", time.monotonic() + SAYING
        try:
            if self.rank == 0:
                self._store.set(key, "")
                return True
            while time.monotonic() < until:
                if self._store.check([key]):
                    return False
                time.sleep(0.05)
        except RuntimeError:  # whoever kept it is gone
            pass
        return True


class _Loss(nn.Module):
    """A model's loss as the forward pass that DistributedDataParallel wants."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, state: Any, watch: Mapping[str, Any]) -> tuple[Tensor, Output]:
        return _apart(self.model.loss(batch, state, **watch))


def _apart(output: Output) -> tuple[Tensor, Output]:
    """What is minimised of an output, and the output without a way back."""
    minimised = output.loss if output.penalty is None else output.loss + output.penalty
    return minimised, replace(output, loss=output.loss.detach(), state=detached(output.state), details={}, penalty=None)


def joined() -> Group:
    """The group of this process: that of its launcher (torchrun, or whoever sets RANK, WORLD_SIZE, MASTER_ADDR and
    MASTER_PORT), which is joined once and left when the process ends, or itself alone.

    Raises `ConfigError` where the others are not to be found.
    """
    found = place()
    if dist.is_available() and dist.is_initialized():
        return Together(0 if found is None else found.local, *_STORE)
    if found is None:
        return Alone()
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        # A launcher that begins anew keeps its store, where the processes that are gone have left their addresses.
        own = found.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        kept = dist.TCPStore(found.host, found.port, found.size, own, PATIENCE)
        store = dist.PrefixStore(f"recurra, begun anew {found.restarts} times", kept)
        dist.init_process_group(backend, store=store, rank=found.rank, world_size=found.size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"process {found.rank} of {found.size} could not join the others ({str(error).splitlines()[0]}). Start all "
            "with torchrun, or see to MASTER_ADDR and MASTER_PORT."
        ) from error
    atexit.register(dist.destroy_process_group)
    _STORE[:] = [store]
    return Together(found.local, store)


def _on_cpu(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.cpu()
    return None if state is None else tuple(_on_cpu(inner) for inner in state)


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], Tensor):
        return torch.cat(parts, -2)
    return None if parts[0] is None else tuple(_joined([*inner]) for inner in zip(*parts, strict=True))
