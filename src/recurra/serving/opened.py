"""What every run is, once it is opened: its folder, its recipe, its model, its report, and a stream of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recurra import checkpoint
from recurra.checkpoint import RunFolder
from recurra.config import Config
from recurra.model import Model
from recurra.serving.session import Session, open_session
from recurra.serving.stepping import How


@dataclass(frozen=True)
class OpenedRun:
    """A run directory and the model in it; what it answers, and how it is scored, its kinds say."""

    path: Path
    config: Config
    model: Model
    device: torch.device

    @property
    def report(self) -> dict[str, Any]:
        """What training wrote down: scores beside the baselines, split, seed, commands, minutes."""
        return checkpoint.read_report(RunFolder(self.path).report)

    def session(self, step: How = "auto") -> Session:
        """One stream of this run, to be read symbol by symbol: see `Session`, and for `step` `open_session`.

        Raises `NotCausal` for a model that needs more than what came before: one that also reads from the end, one
        that translates, and one that fills blanks; `ConfigError` for an export, which has no parts to hold a stream of.
        """
        return open_session(self.model, self.path, step)
