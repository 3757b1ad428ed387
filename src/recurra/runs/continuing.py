"""What a run writes behind a beginning, drawn step after step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.answers import Answer, Series, Text, series_of
from recurra.asking.examples import unknown_of
from recurra.data.as_arrays import array_in
from recurra.data.codecs.contract import Ends, ReadsTyped, encoded_begin
from recurra.data.fields import Codecs
from recurra.data.numbers import numbers_of
from recurra.decoding.sample import Sampling, prompt_ids, sample
from recurra.errors import ConfigError
from recurra.runs.writing import Prose, Writing
from recurra.tasks.writing import ShowsNumbers


def continued(run: Any, given: Any, options: Sampling) -> Answer:
    """The continuation of a text, or of numbers [T] or [T, D]; without a beginning a line begins, or a step of 0."""
    codec = run.model.codecs["input"]
    if isinstance(given, Mapping):
        given = run.model.codecs.value("input", given)
    if hasattr(codec, "symbols"):
        return _text(run, codec, given, options)
    return _series(run, codec, given, options)


def _top(options: Any) -> int:
    """How many of the likeliest symbols are asked for; a task of one's own may know no such option."""
    return getattr(options, "top", 0) or 0


def _text(run: Any, codec: Any, prompt: str, options: Sampling) -> Answer:
    """What is decoded is decoded as a whole, because a space may belong between prompt and continuation."""
    if _top(options):
        return _with_chances(run, codec, prompt, options)
    known = prompt_ids(codec, prompt)
    new = sample(
        _reads(run),
        None,
        known,
        options.length,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
        never=codec.unknown,
    )
    whole = codec.decode(np.concatenate([known, new]))
    text = Text(prompt, whole[len(codec.decode(known)) :])
    return Answer((text,), {"seed": options.seed}, unknown=unknown_of(codec, prompt))


def _with_chances(run: Any, codec: Any, prompt: str, options: Sampling) -> Answer:
    """The same text, and how likely each symbol of it was."""
    writing = Writing(prompt, asdict(options))
    session = None if run.model.core is None else run.session()
    with torch.no_grad():
        writing.begin(Prose(run.model, prompt, session))
        while not writing.further():
            pass
    writing.end(None)
    *symbols, (_, end) = writing.events
    text = Text(prompt, end["text"], [symbol for _, symbol in symbols])
    return Answer((text,), {"seed": options.seed}, unknown=unknown_of(codec, prompt))


def _reads(run: Any) -> Any:
    """How the model reads a symbol: from packed weights, or, as an export has no core, by its file."""
    if run.model.core is None:
        return run.model.step
    session = run.session()
    return lambda state, number: (session.step(number)["next"], state)


@torch.no_grad()
def _series(run: Any, codec: Any, given: Any, options: Sampling) -> Answer:
    """Numbers are drawn from the task's emission, in the codec's units.

    Where pieces were learned one by one, a step of 0 is read before the first, as in training.
    """
    for name in ("top", "top_k", "top_p"):
        if value := getattr(options, name, None):
            raise ConfigError(
                f"{name} = {value} is for what is written in symbols, this run writes numbers. Leave it out."
            )
    model = run.model
    task, generator = model.task, torch.Generator().manual_seed(options.seed)
    beginning = _beginning(codec, given)
    width = codec.shape[1:] or ()
    none = np.zeros((1, *width), np.float32)
    read = encoded_begin(codec, beginning) if len(beginning) else none[:0]
    if not (run.in_pieces and len(read)):
        read = np.concatenate((none, read))
    state: Any = None
    tokens = torch.from_numpy(np.asarray(read, np.float32))[None]  # [1, T, …]
    for t in range(tokens.shape[1]):
        said, state = task.step(model.embedder, model.core, state, tokens[:, t])
    drawn: list[NDArray[Any]] = []
    while len(drawn) < options.length and not (drawn and isinstance(codec, Ends) and drawn[-1][codec.ends_at] > 0.5):
        if drawn:
            said, state = task.step(model.embedder, model.core, state, value)
        value = task.emission.sample(said, temperature=options.temperature, generator=generator)
        drawn.append(value[0].numpy())
    written = codec.decode(np.stack(drawn) if drawn else none[:0])
    show = task.continuation if isinstance(task, ShowsNumbers) else _shown
    return Answer(tuple(show(beginning, written, model.codecs)), {"seed": options.seed})


def _beginning(codec: Any, given: Any) -> Any:
    """A beginning as the codec reads it, of one that is typed or given."""
    if isinstance(codec, ReadsTyped):
        return codec.read(given) if isinstance(given, str) else given
    return numbers_of(given) if isinstance(given, str) else array_in(given)


def _shown(given: Any, drawn: Any, codecs: Codecs) -> list[Series]:
    return series_of(given, drawn)
