"""The conformance suite over every registered core: a new core is tested by being registered."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recurra import registry
from recurra.nn.tdnn import Tdnn
from recurra.registry import names
from recurra.testing.cores import CORE_CHECKS, check_core, core_settings
from recurra.types import Lengths, Sizes

ALL = [settings for name in names("core") for settings in core_settings(name)]


@pytest.mark.parametrize("check", CORE_CHECKS)
@pytest.mark.parametrize("settings", ALL, ids=lambda s: ", ".join(map(str, s.values())))
def test_core(settings: dict[str, Any], check: str) -> None:
    CORE_CHECKS[check](settings)


class Broken(nn.Module):
    """A core with a fault: each of the checks must see it."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.right = Tdnn(hidden_size=4, num_layers=1, delays=2)
        self.output_size, self.causal = 4, True

    def build(self, sizes: Sizes) -> Broken:
        self.right.build(sizes)
        self.unused = nn.Parameter(torch.zeros(2)) if self.fault == "every parameter" else None
        return self

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, Any]:
        if self.fault == "padding":
            structure = Lengths()
        if self.fault == "chunks":
            state = None
        y, state = self.right(x, structure, state)
        if self.fault == "causal":
            y = y + x.sum((1, 2), keepdim=True)
        if self.fault == "shapes":
            y = y.contiguous()
        if self.fault == "finite differences":
            y = y + (y - y.detach())
        return y, state


def test_a_right_core_passes_and_check_core_takes_a_name_or_settings() -> None:
    check_core({"kind": "tdnn", "hidden_size": 4, "delays": 1})
    check_core("tdnn")


@pytest.mark.parametrize("fault", CORE_CHECKS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "construct", lambda kind, settings: Broken(fault))
    # What gradcheck raises is a RuntimeError.
    with pytest.raises(RuntimeError if fault == "finite differences" else AssertionError):
        CORE_CHECKS[fault]({"kind": "broken"})
