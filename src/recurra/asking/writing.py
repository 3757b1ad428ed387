"""What models write for sources: searched in batches, by one model or by several together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from recurra.answers import Answer
from recurra.asking.alignment import aligned_words, attention, looked_at, written_text
from recurra.asking.stopped import Stopped
from recurra.decoding.beam import beam
from recurra.decoding.draw import draw
from recurra.decoding.ensemble import ensemble
from recurra.decoding.greedy import greedy
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.search import Search, longest_of
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.tasks.writing import Constrains, Written, aligns, copies
from recurra.types import Batch, Example, regions_of


def write(
    models: Sequence[Model],
    batches: Sequence[Batch],
    examples: Sequence[Example],
    search: Search,
    places: Sequence[int],
    *,
    stop: Callable[[], bool],
    cells: int | None = None,
) -> list[Answer]:
    """The answers of models that write together; `places` say which random numbers each source has.

    `batches`: the same sources as each model encodes them. An alignment of more than `cells` numbers is left out.
    Raises `Stopped` where `stop()`, asked at every step, says so, and `ConfigError` for an alignment that cannot be.
    """
    first = models[0]
    if (search.alignment or search.attention) and not aligns(first):
        raise ConfigError(
            f"the embedder {first.config['embedder']['kind']!r} gives other steps than the input has, or the input has "
            "no words, so nothing says which of them a word comes from. Leave the alignment out."
        )
    examples = [{"tokens": (), "unknown": 0, **each} for each in examples]  # numbers have neither
    seeds = [((search.seed or 0) << 32) + place for place in places]
    hypotheses = search_batch(models, batches, examples, search, seeds, stop)
    found = _written(first, batches[0], hypotheses, examples, search, cells)
    return [
        first.task.written(example, some, first.codecs, search) for example, some in zip(examples, found, strict=True)
    ]


def search_batch(
    models: Sequence[Model],
    batches: Sequence[Batch],
    examples: Sequence[Example],
    search: Search,
    seeds: Sequence[int],
    stop: Callable[[], bool],
) -> list[list[Hypothesis]]:
    """The hypotheses for each source of a batch, the best first. `seeds` [B]: those of what is drawn for each."""
    steps: list[Any] = [partial(model.task.step, model.embedder, model.core) for model in models]
    states = [m.task.start(m.embedder, m.core, b) for m, b in zip(models, batches, strict=True)]
    step, state = (steps[0], states[0]) if len(models) == 1 else (ensemble(steps), tuple(states))
    source, lengths = batches[0].fields["input"], batches[0].structure.values
    steps_there = source.shape[1] if lengths is None else lengths
    of_symbols = hasattr(models[0].codecs["input"], "symbols")
    longest = longest_of(search, steps_there) if of_symbols else search.longest or steps_there
    task: Any = models[0].task
    end: int = task.end
    if search.form and isinstance(task, Constrains):
        step, state = task.constrain(step, state, examples, models[0].codecs)
    step = _guarded(step, stop, None if copies(models[0]) else models[0].codecs["target"].unknown)
    begin = torch.full((len(source),), end, dtype=torch.int64, device=source.device)
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


def _guarded(step: Any, stop: Callable[[], bool], never: int | None) -> Any:
    """A step that is taken unless `stop()` says that nobody waits for the search any more, and that rules out the
    symbol `never`: the others keep the log-probability the model gives them."""

    def guarded(state: Any, token: Tensor) -> Any:
        if stop():
            raise Stopped
        log_p, state = step(state, token)
        if never is not None:
            log_p = log_p.index_fill(1, torch.tensor([never], device=log_p.device), -torch.inf)
        return log_p, state

    return guarded


def _written(
    model: Model,
    batch: Batch,
    hypotheses: Sequence[Sequence[Hypothesis]],
    examples: Sequence[Example],
    search: Search,
    cells: int | None,
) -> list[list[Written]]:
    """Hypotheses as text; those with unknown symbols, or all where it is asked, are read by the model once more."""
    codec: Any = model.codecs["target"]
    asked_for = search.alignment or search.attention
    grid = regions_of(model.embedder, model.codecs["input"])
    flat = [(row, one) for row, several in enumerate(hypotheses) for one in several]
    beyond = [asked_for and cells is not None and _cells(one, examples[row], grid) > cells for row, one in flat]
    asked = [
        k
        for k, (_, one) in enumerate(flat)
        if (asked_for and not beyond[k]) or codec.unknown in one.tokens  # which is copied from where it looks
    ]
    looks: dict[int, Tensor] = {}
    if asked and aligns(model):
        looks = dict(zip(asked, attention(model, batch, [flat[k] for k in asked]), strict=True))
    sources = batch.fields["input"].cpu().numpy()
    found: list[list[Written]] = [[] for _ in hypotheses]
    for k, (row, one) in enumerate(flat):
        tokens = examples[row]["tokens"]
        places = looked_at(looks[k], grid is None) if k in looks else None
        text, unknown = written_text(codec, one.tokens, places, tokens)
        if beyond[k]:
            found[row].append(Written(text, one, unknown, beyond_cells=True))
        elif asked_for and places is not None:
            words: list[tuple[str, list[str]]] = []  # of a picture no words
            if grid is None:
                words = aligned_words(model.codecs, sources[row, : len(tokens)].tolist(), one.tokens, places)
            found[row].append(Written(text, one, unknown, places, words, looks[k], grid))
        else:
            found[row].append(Written(text, one, unknown))
    return found


def _cells(one: Hypothesis, example: Example, grid: tuple[int, int] | None) -> int:
    """Numbers that say how much each symbol of a hypothesis looks at each of its source."""
    return (len(one.tokens) + 1) * (len(example["tokens"]) + 1 if grid is None else grid[0] * grid[1])
