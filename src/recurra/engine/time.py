"""Time with lengths: a batch of sequences laid out as packed rows, so that a step computes only rows still alive.

Packed rows are those of torch's PackedSequence: sequences sorted by length, all rows of step 0, then of step 1, …
A batch without lengths is packed already: [T, B, D] seen as [T·B, D].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from recurra.errors import WrongTensor, WrongType, WrongValue

WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def check_lengths(lengths: Tensor, steps: int, batch: int) -> Tensor:
    """`lengths` as they came: [B] whole numbers from 0 to `steps`, one for each of `batch` sequences.

    Everything that takes lengths calls it, since lengths that do not fit read another sequence's rows.
    Raises WrongType for what is no tensor of whole numbers, WrongTensor for another number of them, WrongValue for one
    that is negative or over `steps`.
    """
    if not isinstance(lengths, Tensor):
        raise WrongType(
            f"lengths is a {type(lengths).__name__}, expected a tensor [{batch}] of whole numbers, one for each "
            "sequence: torch.tensor(lengths)."
        )
    if lengths.dtype not in WHOLE:
        raise WrongType(f"lengths are {lengths.dtype}, expected whole numbers (torch.int64): they count time steps.")
    if lengths.shape != (batch,):
        raise WrongTensor(f"lengths have shape {tuple(lengths.shape)}, expected [{batch}], one for each sequence.")
    if batch and not torch.compiler.is_exporting():  # a program is made for any lengths
        shortest, longest = torch.stack(lengths.detach().aminmax()).tolist()
        if shortest < 0 or longest > steps:
            raise WrongValue(
                f"lengths must be one number from 0 to {steps} (the padded steps) per sequence, they go from "
                f"{shortest} to {longest}."
            )
    return lengths


@dataclass(frozen=True, eq=False)
class Time:
    """The rows of a batch in time.

    Shapes: with B sequences of T steps at most and N valid steps in all, `sizes` has T entries that sum to N.
    """

    batch: int
    sizes: tuple[int, ...]
    """Rows alive at each step, never growing."""
    order: Tensor | None = None
    """Sorted position → sequence; None: the sequences are in order."""
    lengths: Tensor | None = None
    """Length of each sequence, sorted, on the CPU; None: all have T steps."""

    @staticmethod
    def full(steps: int, batch: int) -> Time:
        return Time(batch, (batch,) * steps)

    @staticmethod
    def of(lengths: Tensor, steps: int, batch: int) -> Time:
        """From the lengths [B] of `batch` sequences of `steps` padded steps; raises as `check_lengths`."""
        lengths = check_lengths(lengths, steps, batch).detach().to("cpu", torch.int64)
        values, order = torch.sort(lengths, descending=True, stable=True)
        alive = len(lengths) - torch.cumsum(torch.bincount(lengths, minlength=steps + 1), 0)
        sizes = tuple(int(n) for n in alive[:steps] if n > 0)
        in_order = bool(torch.equal(order, torch.arange(len(order), device="cpu")))
        return Time(len(lengths), sizes, None if in_order else order, values)

    @property
    def alive(self) -> int:
        """Sequences with at least one step."""
        return self.sizes[0] if self.sizes else 0

    @property
    def steps(self) -> int:
        """Steps of the longest sequence."""
        return len(self.sizes)

    @property
    def rows(self) -> int:
        return sum(self.sizes)

    @cached_property
    def starts(self) -> Tensor:
        """First packed row of each step."""
        sizes = torch.tensor((0, *self.sizes), device="cpu")
        return torch.cumsum(sizes, 0)[:-1] if len(self.sizes) else torch.zeros(0, dtype=torch.int64, device="cpu")

    @cached_property
    def place(self) -> tuple[Tensor, Tensor]:
        """For each packed row its time step and its sorted position, [N] each."""
        sizes = torch.tensor(self.sizes, dtype=torch.int64, device="cpu")
        step = torch.repeat_interleave(torch.arange(len(self.sizes), device="cpu"), sizes)
        return step, torch.arange(self.rows, device="cpu") - self.starts[step]

    @cached_property
    def padded_rows(self) -> Tensor:
        """For each packed row its row in the padded batch [T·B]."""
        step, position = self.place
        return step * self.batch + (position if self.order is None else self.order[position])

    @cached_property
    def backwards(self) -> Tensor:
        """For each packed row the row that stands there when each sequence is read from its own end."""
        assert self.lengths is not None
        step, position = self.place
        return self.starts[self.lengths[position] - 1 - step] + position

    @cached_property
    def last(self) -> Tensor:
        """For each sorted sequence its last row, counted behind `alive` rows of initial states; for empty ones 0."""
        assert self.lengths is not None
        position = torch.arange(self.alive, device="cpu")
        return self.alive + self.starts[self.lengths[: self.alive] - 1] + position

    @cached_property
    def previous(self) -> Tensor:
        """For each packed row the row of the same sequence one step earlier, counted behind `alive` initial rows."""
        step, position = self.place
        return torch.where(step == 0, position, self.alive + self.starts[(step - 1).clamp(min=0)] + position)

    def pack(self, x: Tensor) -> Tensor:
        """[T, B, D] → [N, D]."""
        flat = x.reshape(-1, x.shape[-1])
        return flat if self.lengths is None else flat.index_select(0, self.padded_rows.to(x.device))

    def unpack(self, rows: Tensor, steps: int) -> Tensor:
        """[N, D] → [T, B, D], zeros where no step is."""
        if self.lengths is None:
            return rows.view(steps, self.batch, rows.shape[1])
        out = rows.new_zeros(steps * self.batch, rows.shape[-1])
        return out.index_copy(0, self.padded_rows.to(rows.device), rows).view(steps, self.batch, rows.shape[1])

    def reverse(self, rows: Tensor) -> Tensor:
        """Packed rows with every sequence turned round within its own length."""
        if self.lengths is None:
            return rows.view(len(self.sizes), self.batch, rows.shape[1]).flip(0).view(rows.shape)
        return rows.index_select(0, self.backwards.to(rows.device))

    def sort(self, state: Tensor) -> Tensor:
        """[B, …] in the order of the packed rows."""
        return state if self.order is None else state.index_select(0, self.order.to(state.device))

    def unsort(self, state: Tensor) -> Tensor:
        """[B, …] back in the caller's order."""
        return state if self.order is None else state.index_select(0, torch.argsort(self.order).to(state.device))
