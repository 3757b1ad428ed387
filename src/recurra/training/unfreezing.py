"""Gradual unfreezing: what was taken from another run learns layer by layer, from the top."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence

from torch import nn

_LAYER = re.compile(r"_l(\d+)(?:_reverse)?$|\.(\d+)\.")


class Unfreezing:
    """First only what is new learns; after every `every` epochs one more of `layers`, in their order, does too.

    A frozen parameter gets no gradient, so no optimiser moves it, decays it or keeps a state for it. What learns is a
    function of the epochs done alone: a resumed training freezes the same.
    Source: Howard & Ruder 2018, Universal Language Model Fine-tuning, section 3.3.
    """

    def __init__(self, layers: Sequence[Sequence[nn.Parameter]], every: float) -> None:
        self.layers = layers
        self.every = every

    def reach(self, epoch: float) -> None:
        """Let those learn that do after `epoch` epochs, with fraction, and freeze the others."""
        learning = math.floor(epoch / self.every + 1e-9)
        for number, layer in enumerate(self.layers):
            for parameter in layer:
                parameter.requires_grad_(number < learning)


def layer_of(name: str) -> int | None:
    """The number of the layer that a core's parameter belongs to, by its name; None for one of no layer."""
    found = _LAYER.search(name)
    return int(found[1] or found[2]) if found else None


def from_the_top(names: Collection[str]) -> list[list[str]]:
    """Names of taken parameters, "core.…" and "embedder.…", by layer: the core's from the top, then the embedder's.

    A core's parameters of no layer, such as a last norm, go with the layer at the top.
    """
    core = [name for name in names if name.startswith("core.")]
    numbers = {name: layer_of(name) for name in core}
    highest = max((number for number in numbers.values() if number is not None), default=0)
    layers = [
        [name for name in core if (highest if numbers[name] is None else numbers[name]) == number]
        for number in range(highest, -1, -1)
    ]
    layers.append([name for name in names if name.startswith("embedder.")])
    return [layer for layer in layers if layer]
