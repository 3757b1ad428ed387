"""Decoders: from what an encoder made of the source to a vector for every step of the target.

`RecurrentDecoder` learns of the source in one of three ways. Which of its own outputs it is fed with decides whether a
loop over the steps is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.engine import Layer, Time, reference
from recurra.errors import ConfigError, did_you_mean
from recurra.limits import check_layers, check_size
from recurra.nn import attention as attentions
from recurra.nn import bridge as bridges
from recurra.nn.beside import usual
from recurra.nn.bridge import Bridge, States, summary
from recurra.nn.layers import Layers, start_weights
from recurra.nn.multi_head import LookBack, Pair
from recurra.nn.recurrent import Recurrent
from recurra.registry import part
from recurra.types import Shared

Context = Literal["initial", "every-step", "attention"]
Feeding = Literal["none", "input", "context"]
State = tuple[Shared, States, Tensor | Pair | None]
"""What is kept of the source, the layers' states, and h̃ of the step before where it is fed back, or keys and values
[n, B, H] of all steps before where those are attended to."""


@dataclass(frozen=True)
class Source:
    """What an encoder returned: y [B, T, H], the lengths of the sequences [B] (None: all full), its final state."""

    y: Tensor
    lengths: Tensor | None = None
    state: Any = None


class Decoder(Protocol):
    """What a task asks of a decoder. The constructor's keywords are its settings.

    In every tensor of its state the batch is axis −2, so that a search can reorder any state.
    """

    @property
    def output_size(self) -> int:
        """Width H' of h."""

    @property
    def aligns(self) -> bool:
        """Whether it has attention weights to give."""

    def build(self, inputs: int, source: int) -> Self:
        """Make the weights for targets embedded in `inputs` entries and an encoder's y of width `source`."""

    def start(self, source: Source) -> Any:
        """The state before the first step."""

    def __call__(self, x: Tensor, state: Any, weights: bool = False) -> tuple[Tensor, Any, Tensor | None]:
        """x [B, U, D] → h [B, U, H'], the new state, α [B, U, T] where `weights` asks for it and there are any.

        All steps at once, in pieces or one by one give the same.
        """


@part("decoder", "recurrent")
class RecurrentDecoder(nn.Module):
    """Layers of one cell that write the target, h_t from h_{t−1}, the embedded symbol x_t and the source.

    The source reaches them by `context`:
    - initial: it makes the first states, nothing more; the output is h_t (Sutskever et al. 2014), or tanh(W h_t) where
      `readout_size` is not hidden_size.
    - every-step: a vector c = tanh(V s) of it joins x_t at every step, and h_t and x_t in the output, a maxout layer
      (Cho et al. 2014).
    - attention: c_t = Σ α m as in recurra.nn.attention; what is fed back decides how.
      `feeding` none: the lowest layer reads the x alone, its h_t is the query, and the layers above read c_t, too; the
      output is h̃_t = tanh(W [c_t; h_t]) (Luong et al. 2015, eq. 5). No step waits for another's attention: all are
      computed at once.
      `feeding` input: h̃_{t−1} joins x_t, the query is h_t of the upmost layer (Luong et al. 2015, section 3.3).
      `feeding` context: the query is h_{t−1} of the upmost layer, c_t joins x_t, and h_t and x_t in the output, a
      maxout layer (Bahdanau et al. 2015; s_i as in its eq. 4, where appendix A.2.2 writes s_{i−1}).
    `look_back`: heads of attention to its own steps, at rotary positions: what the output is made of is h_t and what
    was found in h_1 … h_t (Paulus, Xiong & Socher 2018, section 2.2, with keys and values as Vaswani et al. 2017); for
    what ties places far apart, as rhyme does. With `feeding` none.
    From the second layer on a layer's input is added to its output. `dropout` zeroes entries of what a layer reads from
    the one below it, and of what the output layer reads. `readout_size`: width of the output, where not hidden_size.
    `bridge`: see recurra.nn.bridge; s is its summary of the source.
    Shapes: x [B, U, D] → h [B, U, H'], state, α [B, U, T]; time first in memory.
    `backend` runs the layers where all steps are computed at once; single steps are the equations as they stand.
    """

    def __init__(
        self,
        layers: Layers = Layers(cell="gru"),
        context: Context = "attention",
        attention: attentions.Kind = "general",
        feeding: Feeding = "none",
        bridge: bridges.Kind = "dense",
        look_back: int = 0,
        readout_size: int | None = None,
    ) -> None:
        super().__init__()
        H, dropout, init_range = layers.hidden_size, layers.dropout, layers.init_range
        for name, number in (("hidden_size", H), ("num_layers", layers.num_layers), ("readout_size", readout_size)):
            (check_layers if name == "num_layers" else check_size)(f"task.decoder.{name}", number or 1)
            if number is not None and number < 1:
                raise ConfigError(f"task.decoder.{name} = {number}, expected 1 or more.")
        if not 0 <= dropout < 1:
            raise ConfigError(f"task.decoder.dropout = {dropout}, expected 0 or more and less than 1.")
        if init_range is not None and init_range <= 0:
            raise ConfigError(f"task.decoder.init_range = {init_range}, expected more than 0, or none for the default.")
        for name, value, kind in (
            ("context", context, Context),
            ("attention", attention, attentions.Kind),
            ("feeding", feeding, Feeding),
            ("bridge", bridge, bridges.Kind),
        ):
            if value not in (known := get_args(kind)):
                raise ConfigError(
                    f"task.decoder.{name} = {value!r}{did_you_mean(value, known)} Expected one of {', '.join(known)}."
                )
        if feeding != "none" and context != "attention":
            raise ConfigError(
                f"task.decoder.feeding = {feeding!r} feeds what attention found, but context = {context!r} has no "
                "attention. Set feeding = 'none', or context = 'attention'."
            )
        if look_back < 0 or (look_back and H % (2 * look_back)):
            raise ConfigError(
                f"task.decoder.look_back = {look_back}, expected 0, or heads that each take an equal and even share of "
                f"hidden_size = {H}."
            )
        if look_back and feeding != "none":
            raise ConfigError(
                f"task.decoder.look_back = {look_back} reads all steps at once, but feeding = {feeding!r} makes each "
                "wait for the one before. Set feeding = 'none', or look_back = 0."
            )
        # Refuses what cannot be, now.
        made = Recurrent(layers.cell or "gru", H, H, backend=layers.backend, device="meta")
        self.cell, self._layer = made.cell, Layer(made.cell.lowest, Time.full(1, 1))
        self.hidden_size, self.num_layers, self.dropout = H, layers.num_layers, dropout
        self.context, self.attention, self.feeding, self.bridge = context, attention, feeding, bridge
        self.output_size = readout_size or H
        self.look_back, self.init_range, self.backend = look_back, init_range, layers.backend

    @property
    def aligns(self) -> bool:
        """Whether it has attention weights to give; known before `build`."""
        return self.context == "attention"

    def build(self, inputs: int, source: int) -> Self:
        """Make the weights for targets embedded in `inputs` entries and an encoder's y of width `source`."""
        H, R = self.hidden_size, self.output_size
        joined = {"none": 0, "input": R, "context": source}[self.feeding]
        lowest = inputs + (H if self.context == "every-step" else joined)
        above = H + (source if self.aligns and self.feeding == "none" else 0)
        widths = [lowest, *[above] * (self.num_layers - 1)]
        # A cell that uses x itself wants it as wide as h.
        self.fit = nn.ModuleList(nn.Linear(w, H) if self.cell.ties_input and w != H else nn.Identity() for w in widths)
        widths = [H if self.cell.ties_input else w for w in widths]
        self.layers = nn.ModuleList(Recurrent(self.cell, w, H, backend=self.backend) for w in widths)
        self.vector = nn.Linear(source, H) if self.context == "every-step" else None
        first = H if self.context == "every-step" else source
        self.first = Bridge(self.bridge, first, self.num_layers, len(self.cell.state), H)
        self.attend = attentions.Attention(self.attention, H, source, H) if self.aligns else None
        if self.context == "initial":
            self.readout = nn.Linear(H, R) if R != H else None
        elif self._maxout:
            self.readout = nn.Linear(H + inputs + (source if self.aligns else H), 2 * R)
        else:
            self.readout = nn.Linear(source + H, R)
        start_weights(self, self.init_range)
        self.own = LookBack(H, self.look_back, self.dropout) if self.look_back else None
        return self

    @property
    def _maxout(self) -> bool:
        return self.context == "every-step" or self.feeding == "context"

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the tensors of its state are called, in their order: those of the source, then its own."""
        source: tuple[str, ...] = ()
        if self.vector is not None:
            source = ("vector",)
        elif self.attend is not None:
            source = ("memory", "keys", "mask") if self.attend.kind == "additive" else ("memory", "mask")
        layers = [f"{state}_{k}" for k in range(self.num_layers) for state in self.cell.state]
        fed = ["fed"] if self.feeding == "input" else ["own_keys", "own_values"] if self.own is not None else []
        return *source, *layers, *fed

    def start(self, source: Source) -> State:
        """The state before the first step; what needs the source alone is computed here, once."""
        vector = summary(source)
        kept: Any = None
        if self.vector is not None:
            kept = vector = torch.tanh(self.vector(vector))
        elif self.attend is not None:
            kept = self.attend.remember(source.y, source.lengths)
        before: Tensor | Pair | None = None
        if self.feeding == "input":
            before = vector.new_zeros(vector.shape[0], self.output_size)
        elif self.own is not None:
            before = self.own.start(vector)
        return Shared(kept), self.first(source, vector), before

    def forward(self, x: Tensor, state: State, weights: bool = False) -> tuple[Tensor, State, Tensor | None]:
        compute = self._all_steps if self.feeding == "none" else self._step_by_step
        h, state, alpha = compute(x.transpose(0, 1), state, weights)
        return h.transpose(0, 1), state, alpha

    def _all_steps(self, x: Tensor, state: State, weights: bool) -> tuple[Tensor, State, Tensor | None]:
        """x [U, B, D]; every layer once over all steps."""
        (shared, states, before), kept = state, state[0].value
        c = alpha = None
        below = x
        if self.context == "every-step":
            c = kept.expand(x.shape[0], -1, -1)
            below = torch.cat((x, c), 2)
        h, final = self._run(0, below, states[0])
        after = [final]
        if self.attend is not None:
            c, alpha = self.attend(h, kept, weights)
        for k in range(1, self.num_layers):
            below = self._drop(h)
            if self.attend is not None and c is not None:
                below = torch.cat((below, c), 2)
            more, final = self._run(k, below, states[k])
            h = h + more
            after.append(final)
        if self.own is not None:
            h, before = self.own(h, before)
        return self._read(h, x, c), (shared, tuple(after), before), alpha

    def _step_by_step(self, x: Tensor, state: State, weights: bool) -> tuple[Tensor, State, Tensor | None]:
        """x [U, B, D]; a step waits for the attention of the one before it."""
        (shared, states, feed), kept = state, state[0].value
        assert self.attend is not None and not isinstance(feed, tuple)
        outputs, contexts, alphas = [], [], []
        for x_t in x.split(1):
            if feed is None:
                c, alpha = self.attend(states[-1][0][None], kept, weights)
                contexts.append(c)
            h, final = self._run(0, torch.cat((x_t, c if feed is None else feed[None]), 2), states[0])
            after = [final]
            for k in range(1, self.num_layers):
                more, final = self._run(k, self._drop(h), states[k])
                h = h + more
                after.append(final)
            states = tuple(after)
            if feed is not None:
                c, alpha = self.attend(h, kept, weights)
                h = self._read(h, x_t, c)
                feed = h[0]
            outputs.append(h)
            alphas += [alpha] if alpha is not None else []
        h = torch.cat(outputs)
        if feed is None:  # the outputs feed nothing, so that they are read at once
            h = self._read(h, x, torch.cat(contexts))
        return h, (shared, states, feed), torch.cat(alphas, 1) if alphas else None

    def _run(self, k: int, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Layer k over x [U, B, I] from its states [B, H]."""
        x = self.fit[k](x)
        layer = self.layers[k]
        if x.shape[0] == 1:
            weights = {name.removesuffix("_l0"): values for name, values in layer.named_parameters()}
            beside = usual(self._layer.cell, x[0], state[0].shape[1])
            after = reference.step(self._layer, x[0], state, weights, beside)
            return after[0][None], after
        h, final = layer(x, tuple(s[None] for s in state))
        return h, (final[0],) if isinstance(final, Tensor) else tuple(s[0] for s in final)

    def _read(self, h: Tensor, x: Tensor, c: Tensor | None) -> Tensor:
        """The output of steps h [U, B, H] at the inputs x and the contexts c."""
        if self.readout is None:
            return h
        if c is None:
            return torch.tanh(self.readout(self._drop(h)))
        if self._maxout:
            return torch.maximum(*self.readout(self._drop(torch.cat((h, x, c), 2))).chunk(2, 2))
        return torch.tanh(self.readout(self._drop(torch.cat((c, h), 2))))

    def _drop(self, h: Tensor) -> Tensor:
        return F.dropout(h, self.dropout, self.training) if self.dropout else h
