"""DRAW: a picture drawn in steps onto a canvas, by a recurrent variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.engine import Layer, Time, reference
from recurra.nn.beside import usual
from recurra.nn.filterbank import filters
from recurra.nn.recurrent import Recurrent

States = tuple[Tensor, ...]
WHERE = 5
"""Numbers that say where a window lies."""


@dataclass
class Canvases:
    """A batch of pictures on their way: what every step left, in their order."""

    canvases: list[Tensor] = field(default_factory=list)
    """c_t [B, P], of P pixels."""
    codes: list[Tensor] = field(default_factory=list)
    """z_t [B, Z]"""
    kl: list[Tensor] = field(default_factory=list)
    """KL(Q(z_t | h_t^enc) ‖ P(z_t)) [B], in nats; none where nothing was read."""
    read: list[Tensor] = field(default_factory=list)
    """Where the reading window lies [B, 4], as `filters` says it; none without one."""
    written: list[Tensor] = field(default_factory=list)
    """Where the writing window lies."""
    names: ClassVar[tuple[str, ...]] = ("canvases", "codes", "kl", "read", "written")

    def stacked(self, name: str) -> Tensor:
        """What is kept by this name, [B, steps, …]."""
        return torch.stack(getattr(self, name), 1)


class DrawNetwork(nn.Module):
    """The networks of DRAW, an encoder and a decoder of any cell with H units, over pictures of B rows, A columns.

    x̂_t = x − σ(c_{t−1}), r_t = read(x, x̂_t, h_{t−1}^dec), h_t^enc = encoder(h_{t−1}^enc, [r_t, h_{t−1}^dec]),
    z_t ~ N(μ_t, σ_t), h_t^dec = decoder(h_{t−1}^dec, z_t), c_t = c_{t−1} + write(h_t^dec) (equations 3 to 8), with
    μ_t = W h_t^enc, log σ_t = W h_t^enc (1, 2). `read` and `write`: filters N of a side of the window that is read, or
    written, by attention (21 to 29); 0: the whole picture, read = [x, x̂_t] (17), write = W h_t^dec (18). c_0 and the
    first states are learned. h of a cell with several states is its first. `given`: numbers that are read of a picture
    in the place of x itself, where these are others.
    Source: Gregor, Danihelka, Graves, Rezende & Wierstra 2015, DRAW: A recurrent neural network for image generation.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        latent: int,
        hidden_size: int,
        given: int | None = None,
        cell: str = "lstm",
        decoder_cell: str | None = None,
        read: int = 0,
        write: int = 0,
    ) -> None:
        super().__init__()
        P, H = rows * columns, hidden_size
        self.rows, self.columns, self.latent, self.read_size, self.write_size = rows, columns, latent, read, write
        looked_at = P if given is None else given
        self.encoder = _Cell(cell, (2 * read**2 if read else looked_at + P) + H, H)
        self.decoder = _Cell(decoder_cell or cell, latent, H)
        self.code = nn.Linear(H, 2 * latent)
        self.where = nn.Linear(H, WHERE) if read else None
        self.where_written = nn.Linear(H, WHERE) if write else None
        self.patch = nn.Linear(H, write**2 if write else P)
        self.canvas = nn.Parameter(torch.zeros(P))

    def encode(self, y: Tensor, x: Tensor, noise: Tensor) -> Canvases:
        """Draw pictures again: what is read of them is `y` [B, given], what the canvas is held against `x` [B, P].

        `noise` [B, steps, Z] from N(0, 1) makes the codes z_t = μ_t + σ_t ⊙ noise_t.
        """
        made = Canvases()
        canvas, encoded, decoded = (
            self.canvas.expand(x.shape[0], -1),
            self.encoder.start(x.shape[0]),
            self.decoder.start(x.shape[0]),
        )
        look = self._looking(y, x, made)
        step, go_on = self.encoder.prepared(), self.decoder.prepared()
        if self.read_size == 0 and not self.encoder.reads_input:
            look, step = self._whole(y, x)
        for some in noise.unbind(1):
            h = decoded[0]
            encoded = step(look(canvas, h), encoded)
            mean, log_sigma = self.code(encoded[0]).chunk(2, 1)  # [B, Z] each
            sigma = log_sigma.exp()
            made.kl.append(0.5 * (mean.square() + sigma.square() - 2 * log_sigma - 1).sum(1))
            code = mean + sigma * some
            decoded = go_on(code, decoded)
            canvas = self._write(canvas, decoded[0], made)
            made.codes.append(code)
            made.canvases.append(canvas)
        return made

    def decode(self, codes: Tensor) -> Canvases:
        """What is drawn of codes z [B, steps, Z] (equations 13 to 15); of those from N(0, 1) new pictures."""
        made = Canvases()
        canvas, decoded = self.canvas.expand(codes.shape[0], -1), self.decoder.start(codes.shape[0])
        go_on = self.decoder.prepared()
        for code in codes.unbind(1):
            decoded = go_on(code, decoded)
            canvas = self._write(canvas, decoded[0], made)
            made.codes.append(code)
            made.canvases.append(canvas)
        return made

    def _looking(self, y: Tensor, x: Tensor, made: Canvases) -> Callable[[Tensor, Tensor], Tensor]:
        """The encoder's input [B, ·] of a canvas and the decoder's h (equations 3, 4, 17, 27)."""

        def look(canvas: Tensor, h: Tensor) -> Tensor:
            error = x - torch.sigmoid(canvas)
            if self.where is None:
                return torch.cat((y, error, h), 1)
            window, place = filters(self.where(h), self.read_size, self.rows, self.columns)
            made.read.append(place)
            both = [window.read(each.unflatten(1, (self.rows, self.columns))) for each in (y, error)]
            return torch.cat((*both, h), 1)

        return look

    def _whole(self, y: Tensor, x: Tensor) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[..., States]]:
        """The same of whole pictures, whose part in the encoder's products is that of every step: computed once.

        W [y, x − σ(c), h] + b = (W_y y + W_x̂ x + b) + [−W_x̂, W_h] [σ(c), h].
        """
        weights, Y, P = self.encoder.weights(), y.shape[1], x.shape[1]
        of_y, of_error, of_h = weights["weight_ih"].split([Y, P, weights["weight_ih"].shape[1] - Y - P], 1)
        alike = F.linear(torch.cat((y, x), 1), torch.cat((of_y, of_error), 1), weights.get("bias_ih"))
        changed = {**weights, "weight_ih": torch.cat((-of_error, of_h), 1), "bias_ih": alike}
        return lambda canvas, h: torch.cat((torch.sigmoid(canvas), h), 1), self.encoder.prepared(changed)

    def _write(self, canvas: Tensor, h: Tensor, made: Canvases) -> Tensor:
        """c_t (equations 8, 18, 28, 29)."""
        patch = self.patch(h)
        if self.where_written is None:
            return canvas + patch
        window, place = filters(self.where_written(h), self.write_size, self.rows, self.columns)
        made.written.append(place)
        return canvas + window.write(patch)


def check_cell(cell: str) -> None:
    """Raise `ConfigError` for a name that is no cell's, and for a cell over trees."""
    Recurrent(cell, 1, 1, device="meta")


class _Cell(nn.Module):
    """One layer of a cell with a learned first state, a step at a time."""

    def __init__(self, cell: str, inputs: int, hidden_size: int) -> None:
        super().__init__()
        made = Recurrent(cell, hidden_size, hidden_size, device="meta").cell
        # A cell that uses x itself wants it as wide as h.
        self.fit = nn.Linear(inputs, hidden_size) if made.ties_input and inputs != hidden_size else None
        width = hidden_size if self.fit is not None else inputs
        self.layer = Recurrent(made, width, hidden_size)
        self.first = nn.ParameterList(nn.Parameter(torch.zeros(hidden_size)) for _ in made.state)
        self._engine = Layer(made.lowest, Time.full(1, 1))

    @property
    def reads_input(self) -> bool:
        """Whether its equations read more of the input than its product with one matrix."""
        return self.fit is not None or self._engine.cell.reads_input or not self._engine.cell.input_gates

    def start(self, batch: int) -> States:
        """The first states [B, H]."""
        return tuple(state.expand(batch, -1) for state in self.first)

    def weights(self) -> dict[str, Tensor]:
        """Of the layer, by the engine's names."""
        return {name.removesuffix("_l0"): values for name, values in self.layer.named_parameters()}

    def prepared(self, weights: dict[str, Tensor] | None = None) -> Callable[[Tensor, States], States]:
        """A step: x [B, I] and states → the new states, by these weights or its own."""
        own = self.weights() if weights is None else weights

        def step(x: Tensor, state: States) -> States:
            x = x if self.fit is None else self.fit(x)
            beside = usual(self._engine.cell, x, state[0].shape[1])
            return reference.step(self._engine, x, state, own, beside)

        return step
