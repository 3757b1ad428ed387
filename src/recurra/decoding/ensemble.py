"""Several models that search together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.decoding.hypothesis import Step
from recurra.errors import ConfigError


def ensemble(steps: Sequence[Step]) -> Step:
    """One step of all: log of the mean of the probabilities the `steps` give. Its state is the tuple of their states.

    Raises ConfigError where there is no step, and where they do not score the same number of symbols.
    """
    if not steps:
        raise ConfigError("an ensemble of no models, expected one or more.")

    def step(state: Any, token: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
        if not isinstance(state, tuple) or len(state) != len(steps):
            came = f"a tuple of {len(state)}" if isinstance(state, tuple) else f"a {type(state).__name__}"
            raise ConfigError(f"the state of an ensemble is {came}, expected a tuple of {len(steps)}, one for each.")
        total, states = None, []
        for number, (one, its_state) in enumerate(zip(steps, state, strict=True), 1):
            log_p, its_state = one(its_state, token)
            states.append(its_state)
            if total is not None and log_p.shape != total.shape:
                raise ConfigError(
                    f"model {number} of the ensemble scores {log_p.shape[-1]} symbols and the first "
                    f"{total.shape[-1]}: expected models trained with the same target vocabulary."
                )
            total = log_p if total is None else torch.logaddexp(total, log_p)
        assert total is not None
        return total - math.log(len(steps)), tuple(states)

    return step
