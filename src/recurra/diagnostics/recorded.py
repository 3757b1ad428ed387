"""What a training wrote down of its own inside: gradient norms and spectra, over its steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.checkpoint import RunFolder
from recurra.diagnostics.plain import plain
from recurra.errors import CheckpointError
from recurra.forms import Form
from recurra.forms.files import GRADIENTS, SPECTRA
from recurra.training.log import recorded_lines

Series = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecordedGradients:
    """‖∂L/∂h_k‖ as training's own backward passes found it."""

    steps: NDArray[np.int64]
    """[S]: updates of the weights, from 1."""
    norms: dict[str, Series]
    """"layer 1, forwards" → [S, T]: by steps from the end of the window, the last step first; nan where a window was
    shorter."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


@dataclass(frozen=True, eq=False)
class RecordedSpectra:
    """The spectra of the recurrent weights at every validation."""

    steps: NDArray[np.int64]
    norm: dict[str, Series]
    """Weight and gate → [S]: the largest singular value."""
    radius: dict[str, Series]
    """Weight and gate → [S]: the largest absolute value of an eigenvalue."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found


def recorded_gradients(run: str | Path) -> RecordedGradients:
    """What `training.record_gradients` left in a run's folder. Raises `CheckpointError` where it left nothing."""
    lines = _lines(RunFolder(Path(run)).gradients, GRADIENTS, "gradients", "training.record_gradients=50")
    names = list(dict.fromkeys(name for line in lines for name in line["norms"]))
    longest = max((len(norms) for line in lines for norms in line["norms"].values()), default=0)
    out = {name: np.full((len(lines), longest), np.nan) for name in names}
    for k, line in enumerate(lines):
        for name, norms in line["norms"].items():
            out[name][k, : len(norms)] = norms
    return RecordedGradients(_steps(lines), out)


def recorded_spectra(run: str | Path) -> RecordedSpectra:
    """What `training.record_spectrum` left in a run's folder. Raises `CheckpointError` where it left nothing."""
    lines = _lines(RunFolder(Path(run)).spectrum, SPECTRA, "spectra", "training.record_spectrum=true")
    found = {
        kind: {name: np.array([line[kind].get(name, np.nan) for line in lines]) for name in lines[0][kind]}
        for kind in ("norm", "radius")
    }
    return RecordedSpectra(_steps(lines), found["norm"], found["radius"])


def _steps(lines: list[dict[str, Any]]) -> NDArray[np.int64]:
    return np.array([line["step"] for line in lines], np.int64)


def _lines(path: Path, form: Form, what: str, setting: str) -> list[dict[str, Any]]:
    """The whole lines of a file; one that a crash cut off ends it."""
    found = recorded_lines(path, form)
    if not found:
        raise CheckpointError(f"{path} holds no {what}: the training did not record them. Train with --set {setting}")
    return found
