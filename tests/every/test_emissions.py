"""The conformance suite over every registered emission: a new emission is tested by being registered."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recurra import registry
from recurra.nn.emissions.gaussian import Gaussian
from recurra.registry import names
from recurra.testing.emissions import EMISSION_CHECKS, check_emission, emission_settings

ALL = [settings for name in names("emission") for settings in emission_settings(name)]


@pytest.mark.parametrize("check", EMISSION_CHECKS)
@pytest.mark.parametrize("settings", ALL, ids=lambda s: ", ".join(map(str, s.values())))
def test_emission(settings: dict[str, Any], check: str) -> None:
    EMISSION_CHECKS[check](settings)


class Broken(Gaussian):
    """An emission with a fault: each of the checks must see it."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def build(self, width: int, size: int, init_range: float | None = None) -> Broken:
        super().build(width, size, init_range)
        self.unused = torch.nn.Parameter(torch.zeros(2)) if self.fault == "every parameter" else None
        return self

    def log_p(self, y: Tensor, target: Tensor) -> Tensor:
        if self.fault == "ignored":
            target = target.nan_to_num()
        log_p = super().log_p(y, target)
        return log_p + 0.1 if self.fault == "whole" else log_p

    def loss(self, y: Tensor, target: Tensor) -> Tensor:
        loss = super().loss(y, target)
        if self.fault == "finite differences":
            return loss + y.sum() - y.detach().sum()
        return loss / len(y) if self.fault == "steps" else loss

    def distribution(self, y: Tensor) -> dict[str, Tensor]:
        found = super().distribution(y)
        return {"mean": found["mean"]} | ({"sigma": found["spread"]} if self.fault == "shapes" else found)

    def sample(self, given: Any, *, temperature: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        if self.fault == "samples":
            given = {**given, "spread": 1.1 * given["spread"]}
        return super().sample(
            given, temperature=1.0 if self.fault == "temperature" else temperature, generator=generator
        )


def test_check_emission_takes_a_name_or_settings() -> None:
    check_emission({"kind": "mixture", "components": 2})
    check_emission("bernoulli")


@pytest.mark.parametrize("fault", EMISSION_CHECKS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "construct", lambda kind, settings: Broken(fault))
    # What gradcheck raises is a RuntimeError.
    with pytest.raises(RuntimeError if fault == "finite differences" else AssertionError):
        EMISSION_CHECKS[fault]({"kind": "broken"})
