"""What a training writes down of its inside where it is asked to: gradient norms by step, and spectra.

Two files beside metrics.jsonl, an object a line. gradients.jsonl: `{"step", "norms": {"layer 1, forwards": [‖∂L/∂h‖ by
steps from the end of the window, the last step first]}}`, L summed over a sequence's targets, means over the sequences.
spectrum.jsonl: `{"step", "norm": {weight: largest singular value}, "radius": {weight: spectral radius}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from recurra.checkpoint import RunFolder
from recurra.engine import Record
from recurra.nn.blocks import eigenvalues, recurrent_blocks, singular_values
from recurra.training.log import MetricsLog
from recurra.training.settings import Training


class Recordings:
    """The two files, of which only those are made that the settings ask for, once `open` has been called."""

    def __init__(self, settings: Training) -> None:
        self._every, self._with_spectra = settings.record_gradients, settings.record_spectrum
        self._gradients: MetricsLog | None = None
        self._spectra: MetricsLog | None = None

    def open(self, run: RunFolder, keep: int | None) -> None:
        """Begin the files in a run's folder; `keep`: as of `MetricsLog`."""
        self._gradients = MetricsLog(run.gradients, keep) if self._every else None
        self._spectra = MetricsLog(run.spectrum, keep) if self._with_spectra else None

    def due(self, step: int) -> list[Record] | None:
        """The list to be filled by the first batch of the update with this number, from 1; None: not now."""
        return [] if self._gradients is not None and (step - 1) % self._every == 0 else None

    def gradients(self, step: int, records: list[Record]) -> None:
        """Write what a backward left."""
        if self._gradients is not None:
            self._gradients.write({"step": step, "norms": by_layer(records)})

    def spectra(self, step: int, model: nn.Module) -> None:
        """Write the spectra of the model's recurrent weights as they are."""
        if self._spectra is None:
            return
        norm, radius = {}, {}
        for block in recurrent_blocks(model):
            norm[block.name] = float(singular_values(block.matrix)[0])
            found = eigenvalues(block.matrix)
            if len(found):
                radius[block.name] = float(found[0].abs())
        self._spectra.write({"step": step, "norm": norm, "radius": radius})

    def close(self) -> None:
        """Close the files."""
        for log in (self._gradients, self._spectra):
            if log is not None:
                log.close()


def by_layer(records: list[Record]) -> Mapping[str, Any]:
    """Layer and direction → mean norms by steps from the end; six digits are enough to draw."""
    counts = {False: 0, True: 0}
    found = {}
    for record in records:
        counts[record.reverse] += 1
        name = f"layer {counts[record.reverse]}, {'backwards' if record.reverse else 'forwards'}"
        found[name] = [float(f"{norm:.6g}") for norm in record.from_the_end.tolist()]
    return found
