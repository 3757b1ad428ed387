"""Draw pictures like those of the training data, step by step, and draw given ones again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.answers import Answer, Picture
from recurra.config import check_seed
from recurra.data.fields import Codecs
from recurra.errors import ConfigError, DataError
from recurra.limits import check_size
from recurra.nn.chance import normal, seeds_of, uniform
from recurra.nn.draw import Canvases, DrawNetwork, check_cell
from recurra.registry import part
from recurra.tasks.contract import Card
from recurra.tasks.scores import Scores
from recurra.types import Batch, Example, Field, Lengths, Output, Sizes

MOST_STEPS = 1_000
MOST_FILTERS = 64
BETWEEN = 9
"""Pictures from one to another, both of them among them."""
LEAST = 1e-3
"""How often a pixel is on at least, and off, where the canvas begins."""


@dataclass(frozen=True)
class DrawOptions:
    """What drawing takes."""

    n: int = 1
    """Pictures to draw, of each picture that is given, or of nothing."""
    seed: int = 0
    """What is drawn at random is drawn by this."""
    between: bool = False
    """Go from each picture that is given to the next, by what the model makes of both."""

    draws: ClassVar[bool] = True
    """A seed is for all that is asked at once."""

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 10_000:
            raise ConfigError(f"n = {self.n}, expected 1 to 10,000 pictures.")
        check_seed(self.seed, "seed")


@part("task", "draw")
class Draw(nn.Module):
    """Pictures drawn in `steps` steps onto a canvas, by a recurrent variational autoencoder (recurra.nn.draw).

    L = −log D(x | c_T) + Σ_t KL(Q(z_t | h_t^enc) ‖ N(0, 1)), in nats a picture, with z_t drawn from Q: a bound on
    −log p(x). D are independent Bernoulli pixels of the means σ(c_T) (equations 9 to 12); `latent` numbers make a z_t.
    `binarise` "drawn": x is 0 or 1, as often 1 as the picture is bright there, drawn anew whenever it is shown; "once":
    drawn once for each picture; "none": the intensities themselves, as means of bits, as the paper has it for house
    numbers; what the bound then says is no density of intensities.
    Encoder and decoder are of `hidden_size` units of the cells `cell` and `decoder_cell` (none: the same); `read` and
    `write` are the filters N of a side of their windows, 0: the whole picture.
    What is drawn for a score or an answer comes from a seed of the picture's own, or the one that is asked for.

    Reads the field "input" [B, H, W], and what the core makes of it; where they are asked for "seed" [B, 1] and
    "towards" [B, H, W], another picture. The canvas begins at how often each pixel is on in the training data.
    Source: Gregor et al. 2015, DRAW: A recurrent neural network for image generation.
    """

    fields: Mapping[str, Field] = {
        "input": Field(("image",), {"kind": "grey-picture"}),
        "seed": Field(("seed",), {"kind": "integers"}, by_task=True),
        "towards": Field(("towards",), {"kind": "grey-picture"}, record="input", by_task=True),
    }
    unit = "pictures"
    causal = False
    main_metric = ("nats_per_picture", "min")
    baselines = ("pixels",)
    card = Card("Draw", "A picture to draw again; without one, a new one is drawn.", "", "drawer")
    canvases = "again"
    """What `ask` says of that."""
    Options: ClassVar[type] = DrawOptions

    def __init__(
        self,
        steps: int = 8,
        latent: int = 16,
        hidden_size: int = 64,
        cell: str = "lstm",
        decoder_cell: str | None = None,
        read: int = 0,
        write: int = 0,
        binarise: Literal["drawn", "once", "none"] = "drawn",
    ) -> None:
        super().__init__()
        for name, number in (("latent", latent), ("hidden_size", hidden_size)):
            check_size(f"task.{name}", number)
            if number < 1:
                raise ConfigError(f"task.{name} = {number}, expected 1 or more.")
        if not 1 <= steps <= MOST_STEPS:
            raise ConfigError(f"task.steps = {steps}, expected 1 to {MOST_STEPS:,}: a canvas takes a step to be drawn.")
        for name, number in (("read", read), ("write", write)):
            if not 0 <= number <= MOST_FILTERS:
                raise ConfigError(
                    f"task.{name} = {number}, expected 1 to {MOST_FILTERS} filters of a side of the window, or 0 for "
                    "the whole picture."
                )
        for each in (cell, decoder_cell or cell):
            check_cell(each)
        self.steps, self.latent, self.hidden_size = steps, latent, hidden_size
        self.cell, self.decoder_cell, self.read, self.write = cell, decoder_cell, read, write
        self.binarise = binarise

    def build(self, sizes: Sizes) -> Self:
        """Make the networks for pictures of `sizes.rows` rows of `sizes.width` pixels."""
        if not sizes.rows:
            raise ConfigError(
                "task.kind = 'draw' learns pictures of one size, but the input is something else. Set input.kind = "
                "'grey-picture', and name a reader of pictures."
            )
        if self.read and sizes.core != sizes.width:
            raise ConfigError(
                f"task.read = {self.read} moves a window over the picture, but the core gives {sizes.core} numbers for "
                f"a row of {sizes.width} pixels. Set core.kind = 'identity' and embedder.kind = 'numbers' without a "
                "size, or task.read = 0."
            )
        self.network = DrawNetwork(
            sizes.rows,
            sizes.width,
            self.latent,
            self.hidden_size,
            sizes.rows * sizes.core,
            self.cell,
            self.decoder_cell,
            self.read,
            self.write,
        )
        return self

    def begin_from(self, encoded: Sequence[Mapping[str, Any]]) -> str:
        """Let the canvas begin at how often each pixel is on."""
        mean = torch.from_numpy(np.mean([each["input"] for each in encoded], 0)).flatten()
        with torch.no_grad():
            self.network.canvas.copy_(torch.logit(mean.clamp(LEAST, 1 - LEAST)))
        return ""

    def forward(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The bound of a batch of pictures."""
        x, noise = self._shown(batch)
        made = self.network.encode(self._read(embedder, core, x), x.flatten(1), noise)
        target, canvas = x.flatten(1), made.canvases[-1]
        again = F.binary_cross_entropy_with_logits(canvas, target.to(canvas.dtype), reduction="sum")
        kl = torch.stack(made.kl).sum()
        details = {} if self.training else {"reconstruction": again.detach(), "kl": kl.detach()}
        return Output(again + kl, len(x), len(x), None, details)

    def _shown(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is to be drawn again, x [B, H, W], and noise [B, steps, Z]: in training drawn by torch's generator, as
        dropout is, else by the seed of each picture."""
        given = batch.fields["input"]
        if self.training:
            noise = torch.randn(len(given), self.steps, self.latent, dtype=given.dtype, device=given.device)
            x = torch.bernoulli(given) if self.binarise == "drawn" else self._once(given)
            return x, noise
        return self._once(given), normal(seeds_of(given), (self.steps, self.latent), given)

    def _once(self, given: Tensor) -> Tensor:
        """Pictures [B, H, W] as bits that their own seeds draw, or as they are."""
        if self.binarise == "none":
            return given
        return (uniform(seeds_of(given), tuple(given.shape[1:]), given) < given).to(given.dtype)

    @staticmethod
    def _read(embedder: nn.Module, core: nn.Module, x: Tensor) -> Tensor:
        """What the core makes of pictures x [B, H, W], flat."""
        y, _ = core(*embedder(Batch({"input": x})))
        return y.flatten(1)

    def measure(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> Output:
        """The bound with its two parts."""
        return self.forward(embedder, core, batch, state)

    def metrics(self, loss: float, targets: int, details: Mapping[str, float]) -> Scores:
        """Nats a picture of a loss summed over them; "reconstruction" and "kl", what it is made of."""
        if targets < 1:
            raise DataError("a score over 0 pictures means nothing. Evaluate on one or more.")
        parts = {name: details[name] / targets for name in ("reconstruction", "kl") if name in details}
        return Scores({"nats_per_picture": loss / targets, **parts})

    @property
    def inputs(self) -> Mapping[str, tuple[str | int, ...]]:
        """What `arrange` adds to a batch, and its axes."""
        return {"noise": ("batch", self.steps, self.latent)}

    def arrange(self, batch: Batch) -> Batch:
        """The batch with "noise" [B, steps, Z] from N(0, 1), by the seeds that are asked for or the pictures' own, and
        with each picture itself "towards" which to go, where there is no other."""
        x, fields = batch.fields["input"], dict(batch.fields)
        if "noise" not in fields:
            seeds = fields["seed"][:, 0].tolist() if "seed" in fields else seeds_of(x)
            fields["noise"] = normal(seeds, (self.steps, self.latent), x)
        fields.setdefault("towards", x)
        return Batch(fields, Lengths(torch.full((x.shape[0],), x.shape[1], device=x.device)))

    def ask(self, embedder: nn.Module, core: nn.Module, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        """What the canvas shows, σ(c_t), of 0 to 1: "drawn" [B, steps, H, W], new pictures of the noise alone; "again"
        [B, steps, H, W], each picture drawn again; "between" [B, K, H, W], the last canvases on the way from each to
        that "towards" which it goes, by codes on the line between the means of both. Of those drawn again "kl"
        [B, steps] in nats, and where there are windows "looked_at" and "written_at" [B, steps, 4]: the middle, along
        and down, the side, and the σ of filters, in pixels."""
        fields = self.arrange(batch).fields
        x, other, noise = fields["input"], fields["towards"], fields["noise"]
        nothing, sides = torch.zeros_like(noise), tuple(x.shape[1:])
        all_three = torch.cat((x, x, other))
        read = self._read(embedder, core, all_three)
        made = self.network.encode(read, all_three.flatten(1), torch.cat((noise, nothing, nothing)))
        kept = {
            name: made.stacked(name).unflatten(0, (3, x.shape[0])) for name in Canvases.names if getattr(made, name)
        }
        here, there = kept["codes"][1], kept["codes"][2]
        share = torch.linspace(0, 1, BETWEEN, dtype=here.dtype, device=here.device)[:, None, None]
        codes = torch.cat((noise[:, None], torch.lerp(here[:, None], there[:, None], share)), 1)  # [B, 1 + K, steps, Z]
        new = self.network.decode(codes.flatten(0, 1)).stacked("canvases").unflatten(0, (-1, 1 + BETWEEN))
        found = {"drawn": new[:, 0], "again": kept["canvases"][0], "between": new[:, 1:, -1]}
        found = {name: torch.sigmoid(each).unflatten(2, sides) for name, each in found.items()}
        words = {"kl": "kl", "looked_at": "read", "written_at": "written"}
        return found | {word: kept[name][0] for word, name in words.items() if name in kept}

    def imagined(self, given: Sequence[Example | None], codecs: Codecs, options: DrawOptions) -> list[Example]:
        """What is asked for what is given, None being nothing: so many drawings of each as the options say, or the way
        from each to the next. Raises `ConfigError` for a way between fewer than two pictures."""
        if options.between:
            there = [each for each in given if each is not None]
            if len(there) < 2:
                raise ConfigError(
                    f"between goes from one picture to the next, but {'one' if there else 'none'} is given. Name two "
                    "or more, or leave between out."
                )
            return [
                {**one, "towards": other["image"], "seed": [options.seed], "asked": "between"}
                for one, other in pairwise(there)
            ]
        nothing = {"image": np.zeros(codecs["input"].shape, np.uint8), "asked": "drawn"}
        found: list[Example] = []
        for each in given:
            asked = nothing if each is None else {**each, "asked": "again"}
            for number in range(options.n):
                seed = int(np.random.SeedSequence((options.seed, number)).generate_state(1)[0])
                found.append({**asked, "towards": asked["image"], "seed": [seed]})
        return found

    def answers(
        self, asked: Mapping[str, Tensor], examples: Sequence[Example], codecs: Codecs, options: DrawOptions
    ) -> list[Answer]:
        """The picture that is drawn, and how its canvas came about; of one drawn again the nats of each step, "kl"."""
        found = []
        for row, example in enumerate(examples):
            wanted = example.get("asked", "again")
            frames = asked[wanted][row].float().cpu().numpy()
            more: dict[str, Any] = {"drawn": wanted}
            if wanted == "again":
                more["kl"] = asked["kl"][row].float().cpu().numpy().round(4).tolist()
            whole = np.concatenate(frames, 1) if wanted == "between" else frames[-1]
            found.append(Answer((Picture(whole, frames=list(frames)),), more))
        return found
