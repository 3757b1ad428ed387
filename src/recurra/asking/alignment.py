"""What of a target comes from where in its source: where the decoder looks, symbols copied, words beside words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.answers.pair import UNKNOWN
from recurra.data.codecs.subwords import SPACE
from recurra.data.fields import Codecs
from recurra.decoding.hypothesis import Hypothesis
from recurra.model import Model
from recurra.nn.softmax import IGNORED
from recurra.types import Batch, Lengths, regions_of


def attention(model: Model, batch: Batch, hypotheses: Sequence[tuple[int, Hypothesis]]) -> list[Tensor]:
    """How much each symbol of a hypothesis looks at each of its source, [U + 1, T + 1]: the last of both is the end
    mark; of a picture at each of its regions, [U + 1, R], none of which is a mark. For hypotheses beside the rows of
    the batch whose sources they are for."""
    end: int = model.task.end
    grid = regions_of(model.embedder, model.codecs["input"])
    rows = torch.tensor([row for row, _ in hypotheses], device=batch.fields["input"].device)
    fields = {
        name: values.transpose(0, 1)[:, rows].transpose(0, 1)
        for name, values in batch.fields.items()
        if name != "target"
    }
    T, lengths = fields["input"].shape[1], batch.structure.values
    lengths = torch.full_like(rows, T) if lengths is None else lengths[rows]
    target = rows.new_full((1 + max(len(one.tokens) for _, one in hypotheses), len(rows)), IGNORED)  # [U, N]
    for n, (_, one) in enumerate(hypotheses):
        target[: len(one.tokens) + 1, n] = target.new_tensor([*one.tokens, end])
    asked = Batch({**fields, "target": target.t()}, Lengths(lengths))
    found = model.task.alignment(model.embedder, model.core, asked)  # [N, U, T]
    there = lengths.tolist() if grid is None else [grid[0] * grid[1]] * len(rows)
    sizes = zip(found, there, hypotheses, strict=True)
    return [looks[: len(one.tokens) + 1, :length] for looks, length, (_, one) in sizes]


def looked_at(weights: Tensor, ended: bool = True) -> tuple[int, ...]:
    """The place in the source that each symbol looks at most, end marks left out; an empty source has its own at 0.
    `ended`: whether the source has such a mark."""
    places: list[int] = weights[:-1, : max(1, weights.shape[1] - ended)].argmax(1).tolist()
    return tuple(places)


def written_text(
    vocabulary: Any, tokens: Sequence[int], alignment: Sequence[int] | None, source: Sequence[str]
) -> tuple[str, int]:
    """The text of symbols; in the place of each unknown one stands the symbol of the source it looks at most, or ⁇
    where that is not known. The number is that of the ⁇."""
    text: str = vocabulary.decode(tokens)
    places = [place for place, token in enumerate(tokens) if token == vocabulary.unknown]
    if not places:
        return text, 0
    copied = [source[alignment[place]] if alignment is not None and source else UNKNOWN for place in places]
    pieces = text.split(vocabulary.symbols[vocabulary.unknown])
    if len(pieces) != len(places) + 1:  # the name of the unknown symbol is part of another symbol's
        return text, len(places)
    filled = [piece + copy for piece, copy in zip(pieces, copied, strict=False)]
    return "".join([*filled, pieces[-1]]), copied.count(UNKNOWN)


def aligned_words(
    codecs: Codecs, source: Sequence[int], target: Sequence[int], alignment: Sequence[int]
) -> list[tuple[str, list[str]]]:
    """Each word of a target and the words of the source that its symbols look at most, in their order."""
    places, names = _words(codecs["input"], source)
    targets, written = _words(codecs["target"], target)
    found: list[tuple[str, list[str]]] = []
    for word, name in enumerate(written):
        looked_at = sorted({places[alignment[k]] for k, of in enumerate(targets) if of == word})
        found.append((name, [names[k] for k in looked_at]))
    return found


def _words(vocabulary: Any, ids: Sequence[int]) -> tuple[list[int], list[str]]:
    """The word each symbol belongs to, and the words as text: those of subwords begin with a space."""
    pieces: list[str] = vocabulary.pieces(ids)
    parted = any(piece.startswith(SPACE) for piece in pieces)
    words: list[int] = []
    groups: list[list[int]] = []
    for number, piece in zip(ids, pieces, strict=True):
        if not groups or not parted or piece.startswith(SPACE):
            groups.append([number])
        else:
            groups[-1].append(number)
        words.append(len(groups) - 1)
    return words, [vocabulary.decode(group).strip() for group in groups]
