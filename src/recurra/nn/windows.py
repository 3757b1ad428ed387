"""Batches of series as the windows that are learnt from and asked of: what is looked back on, what lies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recurra.errors import DataError
from recurra.nn.frame import Window, tail
from recurra.types import GAPS, Batch


@dataclass(frozen=True)
class Windows:
    """Of the field "input" [B, T, W] the windows of `look_back` steps and the `horizon` behind them.

    `covariates` names the fields that are read beside it, those that are known of the future first, "past" last.
    """

    look_back: int
    horizon: int
    covariates: Sequence[str] = ()

    def learnt(self, batch: Batch) -> Window:
        """A batch of windows with what follows them, as they are learnt from and scored: "target", where it is there,
        is "input" one step later; with "target_seen" what was not seen is NaN. A sequence that is too short for what is
        looked back on and the horizon looks back on one step."""
        x, n, later = batch.fields["input"], batch.structure.values, batch.fields.get("target")
        whole = [x if later is None else torch.cat((x[:, :1], later), 1)]
        for name in self.covariates:
            given, following = batch.fields[name], batch.fields.get(f"next_{name}")
            if later is not None:  # as long as both together; the last step of what is past is read nowhere
                pair = (given, given[:, -1:]) if following is None else (given[:, :1], following)
                given = torch.cat(pair, 1)
            whole.append(given)
        known = len({*self.covariates} - {"past"})
        n = n if n is None or later is None else n + 1
        window = Window.cut(whole, n, self.horizon, known)
        gaps = {name: batch.fields[name][:, : window.past.shape[1]] for name in GAPS if name in batch.fields}
        future = window.future
        if "target_seen" in batch.fields:
            seen = torch.cat((batch.fields["seen"][:, :1], batch.fields["target_seen"]), 1)
            future = future.masked_fill(Window.cut([seen], n, self.horizon).future < 0.5, torch.nan)
        return replace(window, gaps=gaps, future=future)

    def asked(self, batch: Batch) -> Window:
        """A batch of series, as the steps behind them are asked for; the future of each is empty.

        Raises `DataError` where a covariate is not beside the series.
        """
        n = batch.structure.values
        past, lengths = tail(batch.fields["input"], n, self.look_back)
        beside = [tail(_given(batch, name), n, self.look_back)[0] for name in self.covariates]
        to_come = [_given(batch, f"{name}_to_come") for name in self.covariates if name != "past"]
        gaps = {name: tail(batch.fields[name], n, self.look_back)[0] for name in GAPS if name in batch.fields}
        return Window(past, lengths, past[:, :0], beside, to_come, gaps)


def _given(batch: Batch, name: str) -> Tensor:
    if name not in batch.fields:
        raise DataError(
            f"no {name.removesuffix('_to_come')} beside the series{' for the steps to come' if '_' in name else ''}"
            ", which this run reads (task.covariates). Give a file that has it, as the training data had."
        )
    return batch.fields[name]
