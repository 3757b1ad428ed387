"""How likely labels are: probabilities beside what a model decodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.model import Model
from recurra.nn.crf import marginals
from recurra.types import Lengths

CHAIN = ("transitions", "start", "end")
"""What a CRF's potentials hold beside its emissions."""


def likely(
    model: Model,
    potentials: Mapping[str, Tensor],
    decoded: Mapping[str, Sequence[Any]],
    structure: Lengths,
    top: int,
) -> list[dict[str, Any]]:
    """For each sequence "p", the probability of each of its decoded tags, above a CRF p(tag | all words); and
    "likeliest", the `top` labels `[{"label", "p"}]`, the likeliest first."""
    count = len(next(iter(decoded.values())))
    found: list[dict[str, Any]] = [{} for _ in range(count)]
    if "tags" in decoded:
        for each, shares in zip(found, _of_tags(potentials, decoded["tags"], structure), strict=True):
            each["p"] = shares
    for name, p in (("label", torch.exp), ("labels", torch.sigmoid)):
        if name in potentials:
            for each, shares in zip(found, p(potentials[name]), strict=True):
                each["likeliest"] = _ranked(shares, model.vocabularies["label"].symbols, top)
    return found


def _of_tags(potentials: Mapping[str, Tensor], tags: Sequence[Sequence[int]], structure: Lengths) -> list[list[float]]:
    z = potentials["tags"]  # [B, T, K]
    if "transitions" in potentials:
        transitions, start, end = (potentials[name] for name in CHAIN)
        p = marginals(z.transpose(0, 1), transitions, start, end, structure.values).transpose(0, 1)
    else:
        p = z.exp()
    rows = p.cpu()
    return [
        row[torch.arange(len(chosen)), torch.tensor(chosen, dtype=torch.int64)].tolist()
        for row, chosen in zip(rows, tags, strict=True)
    ]


def _ranked(shares: Tensor, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    best = shares.topk(min(top, len(shares)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [{"label": names[number], "p": p} for number, p in pairs]
