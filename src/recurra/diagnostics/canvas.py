"""How a picture is drawn again: what each step tells of it, and where the windows lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.asking.answering import questions, said
from recurra.asking.examples import as_example
from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import Given
from recurra.errors import DataError
from recurra.model import Model
from recurra.tasks.contract import DrawsInSteps
from recurra.types import Example

MOST = 200
"""Pictures over which the nats of a step are averaged."""
WINDOWS = {"looked_at": "reads", "written_at": "writes"}
"""What a task says of a window, and what that does."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture on its way, step by step."""

    picture: NDArray[np.float32]
    """[H, W], as it was given."""
    frames: NDArray[np.float32]
    """[T, H, W], what the canvas shows after each step."""
    nats: NDArray[np.float64]
    """[T], KL(Q(z_t) ‖ P(z_t)): what each step tells of this picture."""
    mean_nats: NDArray[np.float64]
    """[T], the same as a mean over `pictures`."""
    pictures: int
    windows: dict[str, NDArray[np.float64]]
    """By what it does, "reads" or "writes": where the window lies at each step, [T, 4]: its middle, along and down, its
    side, and how wide each of its filters is (σ), in pixels."""

    @property
    def conclusion(self) -> str:
        """How soon most is told."""
        total = float(self.mean_nats.sum())
        if total <= 0:
            return "No step tells anything of the picture: all are drawn alike."
        half = int(np.searchsorted(np.cumsum(self.mean_nats), total / 2)) + 1
        steps, pictures = len(self.mean_nats), f"{self.pictures} picture{'' if self.pictures == 1 else 's'}"
        return f"{total:.1f} nats in {steps} steps, as a mean over {pictures}: half of them by step {half}."

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values but the pictures."""
        left = ("picture", "frames", "windows")
        found = {each.name: plain(getattr(self, each.name)) for each in fields(self) if each.name not in left}
        return found | {"windows": {name: np.round(each, 3).tolist() for name, each in self.windows.items()}}


def draws_in_steps(model: Model) -> bool:
    """Whether it draws its input again, step by step."""
    return isinstance(model.task, DrawsInSteps)


@torch.no_grad()
def canvas(model: Model, given: Given, others: Sequence[Example] = ()) -> Canvas:
    """How a picture is drawn again; the nats of steps over the first of `others`, too, or over it alone.

    Raises `DataError` for a model that draws nothing.
    """
    task, codecs = model.task, model.codecs
    if not draws_in_steps(model):
        raise DataError("it draws no pictures.")
    one = as_example(given, codecs)
    name = next(name for name in codecs.fields["input"].of if name in one)
    asked = [{name: each[name]} for each in [one, *others[:MOST]]]
    device = next(model.parameters()).device
    nats = np.zeros((len(asked), task.steps))
    first: dict[str, Any] = {}
    for rows, found in said([model], questions([model], asked), device):
        nats[rows] = found["kl"].double().cpu().numpy()
        if 0 in rows:
            first = {key: each[rows.index(0)].float().cpu().numpy() for key, each in found.items()}
    windows = {word: first[key].astype(np.float64) for key, word in WINDOWS.items() if key in first}
    mean = nats[1:].mean(0) if others else nats[0]
    picture = codecs["input"].encode(one[name])
    return Canvas(picture, first[task.canvases], nats[0], mean, max(1, len(asked) - 1), windows)
