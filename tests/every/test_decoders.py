"""The conformance suite over every registered decoder: a new decoder is tested by being registered."""

from __future__ import annotations

from typing import Any, Self

import pytest
import torch
from torch import Tensor, nn

from recurra import registry
from recurra.nn.decoder import RecurrentDecoder, Source
from recurra.nn.layers import Layers
from recurra.registry import names
from recurra.testing.decoders import DECODER_CHECKS, check_decoder, decoder_settings

ALL = [settings for name in names("decoder") for settings in decoder_settings(name)]


@pytest.mark.parametrize("check", DECODER_CHECKS)
@pytest.mark.parametrize("settings", ALL, ids=lambda s: ", ".join(map(str, s.values())))
def test_decoder(settings: dict[str, Any], check: str) -> None:
    DECODER_CHECKS[check](settings)


@pytest.mark.parametrize("cell", names("cell"))
def test_over_any_cell(cell: str) -> None:
    for settings in ({}, {"feeding": "context"}):
        DECODER_CHECKS["pieces"]({"kind": "recurrent", "hidden_size": 6, "num_layers": 2, "cell": cell, **settings})


class Broken(nn.Module):
    """A decoder with a fault: each of the checks must see it."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.right = RecurrentDecoder(Layers(hidden_size=4))
        self.output_size, self.aligns = 4, True

    def build(self, inputs: int, source: int) -> Self:
        self.right.build(inputs, source)
        self.unused = nn.Parameter(torch.zeros(2)) if self.fault == "every parameter" else None
        return self

    def start(self, source: Source) -> Any:
        if self.fault == "one by one":
            source = Source(source.y.nan_to_num(), None, source.state)
        state = self.right.start(source)
        return (state, source.y.new_zeros(3, 4, 5)) if self.fault == "batch axis" else state

    def forward(self, x: Tensor, state: Any, weights: bool = False) -> tuple[Tensor, Any, Tensor | None]:
        if self.fault == "batch axis":
            h, state, alpha = self.right(x, state[0], weights)
            return h, (state, x.new_zeros(3, 4, 5)), alpha
        h, after, alpha = self.right(x, state, weights)
        if self.fault == "pieces":
            after = state
        if self.fault == "causal":
            h = h + x.sum((1, 2), keepdim=True)
        if self.fault == "shapes" and weights:
            h = h + 1e-3
        if self.fault == "finite differences":
            h = h + (h - h.detach())
        return h, after, alpha


def test_a_right_decoder_passes_and_check_decoder_takes_a_name_or_settings() -> None:
    check_decoder({"kind": "recurrent", "hidden_size": 3, "attention": "additive"})
    check_decoder("transformer")


@pytest.mark.parametrize("fault", DECODER_CHECKS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    construct = registry.construct
    monkeypatch.setattr(
        registry,
        "construct",
        lambda kind, settings: Broken(fault) if kind == "decoder" else construct(kind, settings),
    )
    # What gradcheck raises is a RuntimeError.
    with pytest.raises(RuntimeError if fault == "finite differences" else AssertionError):
        DECODER_CHECKS[fault]({"kind": "broken"})
