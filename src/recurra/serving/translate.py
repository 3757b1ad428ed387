"""Sources → what models write for them: searched in batches, alone or several models together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from recurra.data.readers.poems import MARKS, form_of, is_character
from recurra.decoding.beam import beam
from recurra.decoding.draw import draw
from recurra.decoding.ensemble import ensemble
from recurra.decoding.form import END, MARK, NEVER, WITHIN, in_form
from recurra.decoding.greedy import greedy
from recurra.decoding.hypothesis import Hypothesis
from recurra.model import Model
from recurra.serving.alignment import aligned_words, attention, looked_at, written_text
from recurra.serving.search import Search
from recurra.serving.stopped import Stopped
from recurra.training.evaluation import autocast, moved
from recurra.types import Batch, Example

LENGTHENING, MORE = 3, 10
"""A target may have so many symbols for each of its source's, and so many more: German takes about one for a symbol of
English, a spelt-out letter up to seven phonemes."""


class Pass(Protocol):
    """Sources in batches: `order` says which are in each."""

    @property
    def order(self) -> Sequence[Sequence[int]]: ...

    def __getitem__(self, k: int, /) -> Batch: ...


@dataclass(frozen=True)
class Written:
    """One hypothesis as text."""

    target: str
    hypothesis: Hypothesis
    unknown: int = 0
    """Symbols of the target that have no name and could not be copied from the source."""
    alignment: tuple[int, ...] | None = None
    """For each of its symbols the place in the source it looks at most; None where nobody asked, or cannot be told."""
    attention: Tensor | None = None
    """How much each of its symbols looks at each of its source, the end marks last."""
    beyond: bool = False
    """Whether that was wanted, and would have been more than is computed."""


def said_of(one: Written, vocabularies: Mapping[str, Any], ids: Any, source: Sequence[str]) -> dict[str, Any]:
    """What `PairRun.predict` says of a hypothesis for a source: its numbers `ids`, and its symbols as written."""
    tokens, found = one.hypothesis.tokens, one.hypothesis
    said = {
        "target": one.target,
        "score": found.score,
        "log_p": found.log_p,
        "ended": found.ended,
        "unknown_target": one.unknown,
    }
    if one.beyond:
        said["beyond_cells"] = True
    if one.alignment is not None:
        said |= {
            "source_tokens": source,
            "target_tokens": vocabularies["target"].pieces(tokens),
            "alignment": list(one.alignment),
            "aligned": aligned_words(vocabularies, ids, tokens, one.alignment),
        }
    return said


def search_batch(
    models: Sequence[Model],
    batches: Sequence[Batch],
    search: Search,
    seeds: Sequence[int],
    sources: Sequence[Sequence[str]] = (),
    stop: Callable[[], bool] = lambda: False,
) -> list[list[Hypothesis]]:
    """The hypotheses for each source of a batch, the best first. `seeds` [B]: those of what is drawn for each.

    `batches`: the same sources as each model encodes them; `sources` [B]: their symbols as they are written, which a
    search that keeps a form reads it from. Raises `Stopped` where `stop()`, asked at every step, says so.
    """
    steps: list[Any] = [partial(model.task.step, model.embedder, model.core) for model in models]
    states = [m.task.start(m.embedder, m.core, b) for m, b in zip(models, batches, strict=True)]
    step, state = (steps[0], states[0]) if len(models) == 1 else (ensemble(steps), tuple(states))
    source, lengths = batches[0].fields["input"], batches[0].structure.values
    longest = search.longest or LENGTHENING * (source.shape[1] if lengths is None else lengths) + MORE
    end: int = models[0].task.end
    if search.form:
        form = torch.tensor([form_of(" ".join(symbols)) for symbols in sources], device=source.device)
        kinds = torch.tensor(symbol_kinds(models[0].vocabularies["target"]), device=source.device)
        step, state = in_form(step, state, form, kinds)
    step = _stopping(step, stop)
    begin = source.new_full((len(source),), end)
    if search.draws:
        temperature = 1.0 if search.temperature is None else search.temperature
        cuts: dict[str, Any] = {"temperature": temperature, "top_k": search.top_k, "top_p": search.top_p}
        return [[one] for one in draw(step, state, begin, end=end, longest=longest, seed=seeds, **cuts)]
    if search.beam == 1 and not search.no_repeat:
        return [[one] for one in greedy(step, state, begin, end=end, longest=longest)]
    return beam(
        step,
        state,
        begin,
        end=end,
        longest=longest,
        size=search.beam,
        length_penalty=search.length_penalty,
        n_best=search.n_best,
        no_repeat=search.no_repeat,
    )


@torch.no_grad()
def translate(
    models: Sequence[Model],
    passes: Sequence[Pass],
    sources: Sequence[Sequence[str]],
    search: Search,
    device: torch.device,
    *,
    aligned: bool = False,
    cells: int | None = None,
    precision: str = "float32",
    stop: Callable[[], bool] = lambda: False,
) -> dict[int, list[Written]] | None:
    """By its row, what the models write together for each source. None: `stop()` said so.

    `passes`: the sources in the same batches, as each model encodes them; `sources` their symbols as they are written,
    by row, for the first model: an unknown symbol of a target is copied from the one it looks at most. `aligned` asks
    for the alignment of all targets; one of more than `cells` numbers, end marks counted, is left out. Dropout is off
    where the models are in `eval()`.
    """
    found: dict[int, list[Written]] = {}
    for k, rows in enumerate(passes[0].order):
        if stop():
            return None
        batches = [moved(each[k], device) for each in passes]
        with autocast(device, precision):
            symbols = [sources[row] for row in rows]
            seeds = [_seed(search, row) for row in rows]
            try:
                hypotheses = search_batch(models, batches, search, seeds, symbols, stop)
            except Stopped:
                return None
            written = _written(models[0], batches[0], hypotheses, symbols, aligned, cells)
        found |= dict(zip(rows, written, strict=True))
    return found


def without_targets(example: Example) -> Example:
    """What is known of a pair before it is translated."""
    return {name: value for name, value in example.items() if name not in ("target", "targets")}


def source_pieces(vocabulary: Any, source: str | Sequence[str], ids: Any) -> list[str]:
    """The symbols of a source as they are written: its tokens, or, where it is cut into subwords, its numbers'."""
    if not hasattr(vocabulary, "tokens"):
        pieces: list[str] = vocabulary.pieces(ids)
        return pieces
    tokens: list[str] = vocabulary.tokens(source)
    return tokens


def symbol_kinds(vocabulary: Any) -> list[int]:
    """What each symbol of a target is for in a poem, its end mark last; see `recurra.decoding.form`."""
    kinds = [MARK if s in tuple(MARKS) else WITHIN if is_character(s) else NEVER for s in vocabulary.symbols]
    return [*kinds, END]


def _stopping(step: Any, stop: Callable[[], bool]) -> Any:
    """A step that is taken unless `stop()` says that nobody waits for the search any more."""

    def stopping(state: Any, token: Tensor) -> Any:
        if stop():
            raise Stopped
        return step(state, token)

    return stopping


def _seed(search: Search, row: int) -> int:
    return ((search.seed or 0) << 32) + row


def _written(
    model: Model,
    batch: Batch,
    hypotheses: list[list[Hypothesis]],
    sources: Sequence[Sequence[str]],
    aligned: bool,
    cells: int | None,
) -> list[list[Written]]:
    """Hypotheses as text; those with unknown symbols, or all if `aligned`, are read by the model once more."""
    vocabulary: Any = model.vocabularies["target"]
    flat = [(row, one) for row, several in enumerate(hypotheses) for one in several]
    beyond = [aligned and cells is not None and _cells(one, sources[row]) > cells for row, one in flat]
    asked = [
        k
        for k, (_, one) in enumerate(flat)
        if (aligned and not beyond[k]) or vocabulary.unknown in one.tokens  # is copied from where it looks
    ]
    looks: dict[int, Tensor] = {}
    if asked and model.task.aligns:
        looks = dict(zip(asked, attention(model, batch, [flat[k] for k in asked]), strict=True))
    written: list[list[Written]] = [[] for _ in hypotheses]
    for k, (row, one) in enumerate(flat):
        places = looked_at(looks[k]) if k in looks else None
        target, unknown = written_text(vocabulary, one.tokens, places, sources[row])
        seen = (None, None, True) if beyond[k] else (places, looks.get(k)) if aligned else ()
        written[row].append(Written(target, one, unknown, *seen))
    return written


def _cells(one: Hypothesis, source: Sequence[str]) -> int:
    """Numbers that say how much each symbol of a hypothesis looks at each of its source."""
    return (len(one.tokens) + 1) * (len(source) + 1)
