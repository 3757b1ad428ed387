"""Examples → answers: encoded, batched, asked of one model or of several together, put into their order again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from recurra import registry
from recurra.answers import Answer
from recurra.asking.examples import is_empty, unknown_in, written_as
from recurra.asking.stopped import Stopped
from recurra.asking.writing import write
from recurra.data.codecs.contract import Remarks
from recurra.engine.device import autocast, moved
from recurra.errors import ConfigError
from recurra.model import Model
from recurra.progress import steps
from recurra.tasks.contract import Calibrates, Combines, Prepares, Reads
from recurra.tasks.writing import Starts
from recurra.types import Batch, Example

Stop = Callable[[], bool]


def never() -> bool:
    """What `stop` is where nobody stops anything."""
    return False


@dataclass(frozen=True)
class Questions:
    """Examples as models read them: once for every model, in the same batches."""

    examples: Sequence[Example]
    """As answers show them: where the input is symbols with "tokens", as they are written, how many are "unknown", and
    which are, "met"."""
    rows: Sequence[int]
    """Those that are asked; an empty input of a task that writes is not."""
    passes: Sequence[Any]
    """For each model all batches; `order` says which examples are in each, by their place in `rows`."""


def questions(
    models: Sequence[Model], examples: Sequence[Example], facts: Mapping[str, Any] | None = None
) -> Questions:
    """What models are asked of examples. `facts`: the report of the run, which says what training has seen.

    Raises `DataError` for an example that is no question, `ConfigError` for models that cannot answer together.
    """
    first, *others = models
    task = first.task
    if isinstance(task, Reads):
        examples = [task.question(example, first.codecs, facts or {}) for example in examples]
    if isinstance(task, Prepares):
        examples = task.prepare([first.codecs.tokenised(example) for example in examples])[0]
    learned = {name for field in task.fields.values() if field.learned for name in field.of}
    bare = [{name: value for name, value in each.items() if name not in learned} for each in examples]
    encoded = first.codecs.encode_all(bare)
    shown = [_shown(first, example, each) for example, each in zip(examples, encoded, strict=True)]
    rows = list(range(len(bare)))
    if isinstance(task, Starts):
        rows = [row for row in rows if not is_empty(bare[row], first.codecs)]
    asked = [bare[row] for row in rows]
    passes = [_batched(first, [encoded[row] for row in rows])]
    for model in others:
        check_together(first, model, asked)
        passes.append(replace(_batched(model, model.codecs.encode_all(asked)), order=passes[0].order))
    return Questions(shown, rows, passes)


@torch.no_grad()
def answer(
    models: Sequence[Model],
    asked: Questions,
    options: Any,
    device: torch.device,
    *,
    precision: str = "float32",
    stop: Stop = never,
    cells: int | None = None,
    calibrate: bool = False,
) -> list[Answer]:
    """The answer to each example, in their order; dropout is off where the models are in `eval()`.

    `cells`: an alignment of more numbers is left out. With `calibrate` the task first chooses by the examples, which
    are labelled, what it leaves to them. Raises `Stopped` where `stop()` says so between two batches.
    """
    first = models[0]
    found: dict[int, Answer] = {}
    order = asked.passes[0].order
    examples = [[asked.examples[asked.rows[place]] for place in places] for places in order]
    later = calibrate and isinstance(first.task, Calibrates)
    said: list[Mapping[str, torch.Tensor]] = []
    answering = steps(enumerate(order), "answering", "examples", len(asked.rows), size=lambda batch: len(batch[1]))
    for k, places in answering:
        if stop():
            raise Stopped
        batches = [moved(each[k], device) for each in asked.passes]
        with autocast(device, precision):
            if isinstance(first.task, Starts):
                made = write(models, batches, examples[k], options, places, stop=stop, cells=cells)
            elif later:
                said.append(_mean(models, batches))
                continue
            else:
                made = first.task.answers(_mean(models, batches), examples[k], first.codecs, options)
        found |= {asked.rows[place]: each for place, each in zip(places, made, strict=True)}
    if said:
        for places, some, one in zip(order, examples, first.task.calibrate(said, examples, first.codecs), strict=True):
            made = first.task.answers(one, some, first.codecs, options)
            found |= {asked.rows[place]: each for place, each in zip(places, made, strict=True)}
    for row, example in enumerate(asked.examples):
        if row not in found:
            found[row] = first.task.written(example, (), first.codecs, options)
    return [
        replace(found[row], unknown=each.get("met", ()), notes=(*found[row].notes, *each.get("remarks", ())))
        for row, each in enumerate(asked.examples)
    ]


@torch.no_grad()
def said(
    models: Sequence[Model], asked: Questions, device: torch.device, stop: Stop = never
) -> Iterator[tuple[list[int], Mapping[str, torch.Tensor]]]:
    """What models say of each batch of questions, tensors by name, with the places of its examples."""
    for k, places in enumerate(asked.passes[0].order):
        if stop():
            raise Stopped
        yield [asked.rows[place] for place in places], _mean(models, [moved(each[k], device) for each in asked.passes])


def _mean(models: Sequence[Model], batches: Sequence[Batch]) -> Mapping[str, torch.Tensor]:
    """What models say of a batch together: the mean of each tensor, or what their task makes of them."""
    asked = [model.task.ask(model.embedder, model.core, batch) for model, batch in zip(models, batches, strict=True)]
    for other in asked[1:]:
        if other.keys() != asked[0].keys():
            raise ConfigError(
                f"the runs score labels in different ways, by {', '.join(asked[0])} and by {', '.join(other)}, so "
                "they cannot answer together. Name runs with one task.decoder."
            )
    if len(asked) == 1:
        return asked[0]
    if isinstance(models[0].task, Combines):
        return models[0].task.combined(asked)
    for model, other in zip(models[1:], asked[1:], strict=True):
        for name, each in other.items():
            if each.shape != asked[0][name].shape:
                raise ConfigError(
                    f"{models[0].name} and {model.name} cannot answer together: one gives {name} in the shape "
                    f"{list(asked[0][name].shape)}, the other {list(each.shape)}. Name runs that make the same "
                    "steps of an input (input, embedder.stride)."
                )
    return {name: torch.stack([each[name] for each in asked]).mean(0) for name in asked[0]}


def _batched(model: Model, encoded: Sequence[Any]) -> Any:
    batching = registry.construct("batching", model.config["batching"])
    if batching.in_pieces:  # what is asked is whole
        batching = registry.construct("batching", {"kind": "buckets"})
    return batching.batches(encoded, model.codecs.layouts, whole=True)


def _shown(model: Model, example: Example, encoded: Mapping[str, Any]) -> Example:
    """An example as its answer shows it."""
    codec, field = model.codecs["input"], model.task.fields["input"]
    if not hasattr(codec, "symbols"):
        own = next(example[name] for name in field.of if name in example)
        return {**example, "remarks": codec.remarks(own)} if isinstance(codec, Remarks) else example
    ids = encoded["input"][: -1 if field.ended else None]
    value = next(example[name] for name in field.of if name in example)
    tokens = written_as(codec, value, ids)
    unknown = 0 if codec.unknown is None else int((ids == codec.unknown).sum())
    return {**example, "tokens": tokens, "unknown": unknown, "met": unknown_in(codec, tokens, ids)}


def check_together(first: Model, other: Model, examples: Sequence[Example]) -> None:
    """Raise `ConfigError` for models that cannot answer together: of other fields, other names, other tokens."""
    wanted, found = (tuple(name for name, field in m.task.fields.items() if field.learned) for m in (first, other))
    together = f"{first.name} and {other.name} cannot answer together: "
    if found != wanted:
        raise ConfigError(
            f"{together}one names {' and '.join(wanted)}, the other {' and '.join(found)}. Name runs of the same task."
        )
    for name in wanted:
        if first.codecs[name].record() != other.codecs[name].record():
            raise ConfigError(f"{together}their codecs of {name} differ. Name runs that were trained on the same data.")
    if isinstance(first.task, Starts) or not first.codecs.splits:
        return
    for example in examples:
        mine, theirs = (model.codecs.tokens(example) for model in (first, other))
        if mine != theirs:
            raise ConfigError(
                f"{together}they split a text in different ways, first at {example.get('place', 'the first')}. "
                "Name runs with one vocabulary.split."
            )
