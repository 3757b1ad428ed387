"""`Recurrent`: any registered cell as a layer, stacked, in one direction or both, over padded or packed sequences."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.engine import Layer, Record, Time, Trace, check_backend, operator, run, signature
from recurra.engine.native.step import StepLayer
from recurra.engine.padded import Padded, recorded, traced
from recurra.equations.derive import Variant, derive
from recurra.equations.language import Cell
from recurra.errors import ConfigError, WrongValue
from recurra.nn.arguments import (
    check_cell,
    check_input,
    check_packed,
    check_recorded,
    check_shares,
    check_sizes,
    check_states,
    check_switches,
)
from recurra.nn.beside import Beside, check_given
from recurra.nn.call import Call
from recurra.nn.dropout import draw_mask, packed_dropout
from recurra.nn.starts import draw, gates_of
from recurra.nn.watch import Watch
from recurra.registry import find

State = tuple[Tensor, ...]

OPTIONS = (
    "proj_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",  # as torch.nn, and in its order
    "merge", "variational", "recurrent_dropout", "weight_dropout", "zoneout", "truncate", "backend",
)  # fmt: skip
"""What `repr` says of a layer where it is not as by default."""


class Recurrent(nn.Module):
    """A recurrent network of any cell, with the constructor, call and parameter names of torch.nn.LSTM.

    Call: `y, state = layer(input, hx=None, lengths=None, *, dt=None, seen=None, since=None)`.
    Shapes: input [T, B, I] ([B, T, I] with batch_first, [T, I] without a batch), T at least 1, or a PackedSequence;
    y [T, B, H'] with H' = H, or proj_size, times two where bidirectional results are concatenated; each state
    [num_layers · directions, B, H], without a batch [num_layers · directions, H]; lengths [B], whole numbers from 0 to
    T, y is zero behind them. A cell with one state takes and gives that tensor, one with several a tuple.
    Parameters of layer k: `weight_ih_lk` [gates·H, I], `weight_hh_lk` [gates·H, H], `bias_ih_lk`, `bias_hh_lk`, then
    the cell's own, `<name>_lk`; `_reverse` behind the names of the backward direction. Gates stand in the cell's order.
    Options: `dropout` between layers, with `variational` by one mask a sequence for all its time steps (Gal &
    Ghahramani 2016); `proj_size`, the units of h after a product behind the step (Sak et al. 2014);
    `recurrent_dropout`, one mask a sequence on the h that the recurrent product sees (Gal & Ghahramani 2016);
    `weight_dropout`, DropConnect: the share of entries of W_hh that are zero during one call, the others divided by
    1 − weight_dropout, anew for each call, layer and direction (Wan et al. 2013; Merity, Keskar & Socher 2017, section
    2);
    `zoneout`, the share of units a step leaves as they were (Krueger et al. 2017); `truncate`, steps after which the
    backward is cut; `merge`, how two directions are joined.
    A cell whose equations read `dt`, `seen` or `since` (recurra.equations.expression.GIVEN) is given them by keyword,
    dt [T, B], seen and since [T, B, I]; recurra.nn.beside says what they are from the end and in upper layers.
    Gradients reach dt and since.
    A cell that reads `lower(…)` sees the layer below it in its own direction; the lowest layer, which has none below,
    lacks the gates and parameters that only served for it.
    Raises ConfigError for options that do not fit, before any tensor is made, and for calls that do not; of its kinds
    (recurra.errors) the one that is also what torch.nn raises there.
    """

    __call__: Call[Any]

    def __init__(
        self,
        cell: str | Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        merge: Literal["concat", "sum"] = "concat",
        variational: bool = False,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float = 0.0,
        truncate: int = 0,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell: Cell = find("cell", cell) if isinstance(cell, str) else cell
        check_backend(backend)
        check_sizes(input_size, hidden_size, num_layers, proj_size)
        check_shares(
            dropout=dropout, recurrent_dropout=recurrent_dropout, weight_dropout=weight_dropout, zoneout=zoneout
        )
        check_switches(bias=bias, batch_first=batch_first, bidirectional=bidirectional, variational=variational)
        if merge not in ("concat", "sum"):
            raise WrongValue(f"merge = {merge!r}, expected 'concat' or 'sum'.")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout = {dropout} works between layers, but num_layers = 1: nothing is dropped.",
                stacklevel=2 if type(self) is Recurrent else 3,  # the line that makes the layer, also of a subclass
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias and self.cell.bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size, self.merge = bidirectional, proj_size, merge
        self.variational, self.weight_dropout = variational, float(weight_dropout)
        self.recurrent_dropout, self.zoneout, self.truncate = float(recurrent_dropout), float(zoneout), truncate
        self.backend = backend
        self.variant = Variant(
            projected=proj_size > 0,
            recurrent_mask=recurrent_dropout > 0 and self.cell.has_recurrent_product,
            zoneout=self.cell.state if zoneout > 0 else (),
        )
        derive(self.cell, self.variant)
        check_cell(self.cell, self.weight_dropout)
        for k in range(num_layers):
            for reverse in self._directions:
                for name, shape in self._shapes(k):
                    parameter = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(self._key(name, k, reverse), parameter)
        self._signatures, self._names = self._signed(), self._named()
        self.reset_parameters()

    def _cell(self, layer: int) -> Cell:
        """The cell of a layer; the lowest has nothing below it, of the others' inputs nothing is missing."""
        return self.cell.upper if layer else self.cell.lowest

    @property
    def _weight(self) -> Tensor:
        """Some weight, for the type and the device of all."""
        weight: Tensor = getattr(self, self._names[0, False][0][1])
        return weight

    @property
    def _directions(self) -> tuple[bool, ...]:
        return (False, True) if self.bidirectional else (False,)

    @property
    def output_size(self) -> int:
        """Width of y."""
        width = self.proj_size or self.hidden_size
        return width * 2 if self.bidirectional and self.merge == "concat" else width

    @property
    def causal(self) -> bool:
        """Whether y at t depends on x up to t only."""
        return not self.bidirectional

    def _shapes(self, layer: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        cell, H, P = self._cell(layer), self.hidden_size, self.proj_size or self.hidden_size
        width = self.input_size if layer == 0 else self.output_size
        if cell.ties_input and width != H:
            raise ConfigError(
                f"cell {cell.name!r} uses x itself, so input_size must be hidden_size = {H}, not {width}."
            )
        rows = {"ih": len(cell.input_gates) * H, "hh": len(cell.recurrent_gates) * H}
        yield from ((f"weight_{n}", (rows[n], w)) for n, w in (("ih", width), ("hh", P)) if rows[n])
        if self.bias:
            yield from ((f"bias_{n}", (rows[n],)) for n in ("ih", "hh") if rows[n])
        if self.proj_size:
            yield "weight_hr", (P, H)
        yield from ((f"weight_{n}", cell.product_shape(n, H, width)) for n in cell.products)
        yield from ((n, cell.parameter_shape(n, H, width)) for n in cell.parameters)

    def _named(self) -> dict[tuple[int, bool], list[tuple[str, str]]]:
        """Layer and direction → the engine's name of each weight, and the module's."""
        return {
            (k, reverse): [(name, self._key(name, k, reverse)) for name, _ in self._shapes(k)]
            for k in range(self.num_layers)
            for reverse in self._directions
        }

    @staticmethod
    def _key(name: str, layer: int, reverse: bool) -> str:
        return f"{name}_l{layer}{'_reverse' if reverse else ''}"

    def reset_parameters(self) -> None:
        """Uniform in ±1/√H as torch.nn; what the cell names a start for, there."""
        bound = 1 / math.sqrt(self.hidden_size)
        starts = {n: p.start for n, p in self.cell.parameters.items() if p.start is not None} | dict(self.cell.start)
        for key, parameter in self.named_parameters():
            name, _, layer = key.removesuffix("_reverse").rpartition("_l")
            start = starts.get(name)
            gates = () if start is None else gates_of(self._cell(int(layer)), name)
            draw(parameter, start, gates, self.hidden_size, bound)

    def flatten_parameters(self) -> None:
        """Nothing to do; torch.nn's layers have it."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction, in order."""
        return [[getattr(self, key) for _, key in names] for names in self._names.values()]

    @property
    def _flat_weights(self) -> list[Tensor]:
        """All of them in one list, which tools for torch.nn's layers read."""
        return [weight for weights in self.all_weights for weight in weights]

    def extra_repr(self) -> str:
        """The cell, the sizes and the options that are not as by default."""
        return f"{self.cell.name!r}, {self._described()}"

    def _described(self) -> str:
        """The sizes, then the options that are not as by default, in the order of torch.nn's layers."""
        named = {n: p.default for n, p in inspect.signature(Recurrent).parameters.items()}
        named["bias"] = self.cell.bias
        options = [f"{n}={getattr(self, n)!r}" for n in OPTIONS if getattr(self, n) != named[n]]
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | State | None = None,
        lengths: Tensor | None = None,
        record: list[Record] | None = None,
        trace: list[Trace] | None = None,
        *,
        dt: Tensor | None = None,
        seen: Tensor | None = None,
        since: Tensor | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor | State]:
        """See the class. `record`: a list that gets one `Record` per layer and direction, filled on backward.

        `trace`: a list that gets one `Trace` each, of gates and states; the layers then run on "reference".
        """
        named = {"dt": dt, "seen": seen, "since": since}
        given = {name: value for name, value in named.items() if value is not None}
        if recorded():
            watched, packed = record is not None or trace is not None, isinstance(input, PackedSequence)
            if torch.compiler.is_dynamo_compiling() and (packed or watched or self.backend == "aten"):
                from recurra.nn.eager import run_eagerly  # loads torch's compiler, which is there by now

                return run_eagerly(self._call, input, hx, lengths, record, trace, given)
            check_recorded(packed, watched, self.backend)
        return self._call(input, hx, lengths, record, trace, given)

    def _call(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | State | None,
        lengths: Tensor | None,
        record: list[Record] | None,
        trace: list[Trace] | None,
        given: Mapping[str, Tensor],
    ) -> tuple[Tensor | PackedSequence, Tensor | State]:
        watch = Watch(record, trace)
        if isinstance(input, PackedSequence):
            if lengths is not None:
                raise WrongValue("input is a PackedSequence, which has lengths of its own: call the layer without any.")
            if given:
                raise WrongValue(
                    f"input is a PackedSequence, and {', '.join(given)} beside it would have to lie like it: give the "
                    "layer the padded tensor and lengths=."
                )
            return self._forward_packed(input, hx, watch)
        x = input
        check_input(x, self._weight, self.input_size, self.batch_first)
        check_given(given, self.cell, x, self._weight)
        batched = x.ndim == 3
        x = x[:, None] if not batched else x.transpose(0, 1) if self.batch_first else x
        T, B, _ = x.shape
        time = self._time(x, lengths, watch)
        initial = self._initial(hx, B, x, batched)
        rows, finals = self._stack(time.pack(x), Beside(self._laid(given, batched), time), initial, watch)
        y = time.unpack(rows, T)
        y = y[:, 0] if not batched else y.transpose(0, 1) if self.batch_first else y
        finals = finals if batched else tuple(s[:, 0] for s in finals)
        return y, finals if len(finals) > 1 else finals[0]

    def _forward_packed(
        self, x: PackedSequence, hx: Tensor | State | None, watch: Watch
    ) -> tuple[PackedSequence, Tensor | State]:
        check_packed(x, self._weight, self.input_size)
        sizes = x.batch_sizes
        lengths = (sizes[:, None] > torch.arange(int(sizes[0]), device="cpu")).sum(0)
        time = Time(int(sizes[0]), tuple(sizes.tolist()), x.sorted_indices, lengths)
        initial = self._initial(hx, time.batch, x.data, True)
        rows, finals = self._stack(x.data, Beside({}, time), initial, watch)
        y = PackedSequence(rows, sizes, x.sorted_indices, x.unsorted_indices)
        return y, finals if len(finals) > 1 else finals[0]

    def _laid(self, given: Mapping[str, Tensor], batched: bool) -> dict[str, Tensor]:
        """What comes beside x as [T, B, ·], of the weights' type."""
        found = {}
        for name, value in given.items():
            value = value.to(self._weight.dtype) if name == "seen" or not value.is_floating_point() else value
            value = value[..., None] if name == "dt" else value
            found[name] = value[:, None] if not batched else value.transpose(0, 1) if self.batch_first else value
        return found

    def _time(self, x: Tensor, lengths: Tensor | None, watch: Watch) -> Time | Padded:
        """The rows of x [T, B, I] in time; where only shapes are known, or a call is recorded, those of all steps."""
        T, B, _ = x.shape
        if traced(x) and self.backend != "reference" and watch.record is None and watch.trace is None:
            return Padded(T, B, lengths)
        return Time.full(T, B) if lengths is None else Time.of(lengths, T, B)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._signatures, self._names = self._signed(), self._named()

    def _signed(self) -> list[str]:
        """What a recorded program holds of each layer's equations."""
        return [signature.write(self.cell, self.variant, k == 0) for k in range(self.num_layers)]

    def _initial(self, hx: Tensor | State | None, batch: int, x: Tensor, batched: bool) -> State:
        """States [layers · directions, B, ·], zeros where none is given."""
        count = self.num_layers * len(self._directions)
        widths = [self.proj_size or self.hidden_size, *[self.hidden_size] * (len(self.cell.state) - 1)]
        if hx is None:
            dtype = self._weight.dtype
            return tuple(torch.zeros(count, batch, w, dtype=dtype, device=x.device) for w in widths)
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        shapes = [(count, batch, w) if batched else (count, w) for w in widths]
        check_states(states, shapes, self.cell, self._weight)
        return states if batched else tuple(s[:, None] for s in states)

    def _stack(self, rows: Tensor, beside: Beside, initial: State, watch: Watch) -> tuple[Tensor, State]:
        """All layers over packed rows [N, I]; states come and go in the caller's order of sequences."""
        time = beside.time
        states = tuple(time.sort(s.transpose(0, 1)).transpose(0, 1) for s in initial)
        finals: list[State] = []
        below: dict[bool, dict[str, Tensor]] = {reverse: {} for reverse in self._directions}
        for k in range(self.num_layers):
            if k:
                rows = packed_dropout(rows, time, self.dropout, self.training, self.variational)
            outputs = []
            for reverse in self._directions:
                index = len(finals)
                given = tuple(s[index] for s in states)
                y, final, below[reverse] = self._direction(rows, beside, given, k, reverse, watch, below[reverse])
                outputs.append(y)
                finals.append(final)
            rows = _joined(outputs, self.merge)
        joined = tuple(torch.stack(s) for s in zip(*finals, strict=True))
        return rows, tuple(time.unsort(s.transpose(0, 1)).transpose(0, 1) for s in joined)

    def _direction(
        self,
        rows: Tensor,
        beside: Beside,
        state: State,
        k: int,
        reverse: bool,
        watch: Watch,
        below: Mapping[str, Tensor],
    ) -> tuple[Tensor, State, dict[str, Tensor]]:
        """One layer in one direction: y, the final state, and what the layer above reads of this one's states, as
        `below` is of the one underneath; both in the direction's own time."""
        time = beside.time
        kept, seen = (None, None) if isinstance(time, Padded) else watch.layer(self._cell(k), time, k, reverse)
        handed = self.cell.reads_below if k < self.num_layers - 1 else ()
        also = tuple(s for s in handed if s != self.cell.state[0])
        weights = {name: getattr(self, key) for name, key in self._names[k, reverse]}
        if self.weight_dropout and self.training:
            matrix = weights["weight_hh"]
            weights["weight_hh"] = matrix * draw_mask(matrix.shape, self.weight_dropout, matrix)
        if seen is not None:
            seen.recurrent = weights.get("weight_hh")
        masks = self._masks(time, state) | dict(below) | beside.rows(self._cell(k), k, reverse, rows, self.hidden_size)
        x = time.reverse(rows) if reverse else rows
        if isinstance(time, Padded):
            cut = (self.truncate, also)
            y, final = operator.run(self._signatures[k], cut, time, x, state, weights, masks, self.backend)
        else:
            layer = Layer(self._cell(k), time, self.variant, self.truncate, kept, seen, also)
            y, final = run(layer, x, tuple(s[: time.alive] for s in state), weights, masks, self.backend)
        if time.alive < time.batch:
            final = tuple(torch.cat((f, s[time.alive :])) for f, s in zip(final, state, strict=True))
        given = (self.cell.state[0], *also)
        y, *rest = y.split([state[self.cell.state.index(s)].shape[1] for s in given], -1) if also else (y,)
        values = dict(zip(given, (y, *rest), strict=True))
        return (time.reverse(y) if reverse else y), final, {f"lower_{s}": values[s] for s in handed}

    def step_layers(self) -> list[StepLayer]:
        """The layers for `recurra.nn.Step`, as they are outside training."""
        sizes = dict.fromkeys(self.cell.state, self.hidden_size) | {
            self.cell.state[0]: self.proj_size or self.hidden_size
        }
        some = next(self.parameters())
        masks = {f"mask_zoneout_{s}": some.new_full((width,), 1 - self.zoneout) for s, width in sizes.items()}
        masks["mask_recurrent"] = some.new_ones(sizes[self.cell.state[0]])
        layers = []
        for k in range(self.num_layers):
            tensors = {name: getattr(self, key) for name, key in self._names[k, False]}
            layers.append(StepLayer(self._cell(k), self.variant, tensors, masks))
        return layers

    def _masks(self, time: Time | Padded, state: State) -> dict[str, Tensor]:
        """Masks for all packed rows: fixed per sequence for the recurrent product, per step for zoneout."""
        masks = {}
        if self.variant.recurrent_mask:
            share = 1 - self.recurrent_dropout if self.training else 1.0
            drawn = torch.full_like(state[0][: time.alive], share)
            drawn = torch.bernoulli(drawn) / share if self.training else drawn
            masks["mask_recurrent"] = drawn.index_select(0, time.place[1].to(drawn.device))
        for name, values in zip(self.cell.state, state, strict=True):
            if name in self.variant.zoneout:
                keep = torch.full(
                    (time.rows, values.shape[1]), 1 - self.zoneout, dtype=values.dtype, device=values.device
                )
                masks[f"mask_zoneout_{name}"] = torch.bernoulli(keep) if self.training else keep
        return masks


def _joined(directions: list[Tensor], merge: str) -> Tensor:
    """What the directions of one layer make together: side by side, or summed."""
    if len(directions) == 1:
        return directions[0]
    return directions[0] + directions[1] if merge == "sum" else torch.cat(directions, -1)
