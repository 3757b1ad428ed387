"""A run and a text to look at it with: the one that is given, or the beginning of its own held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from recurra.asking.examples import as_example, beginning, example_of, steps_of
from recurra.asking.threads import threads_set
from recurra.data.files import check_encoding, read_lines, read_text
from recurra.data.pictures import is_picture
from recurra.diagnostics.report import Inspection, inspect_model
from recurra.errors import DataError, RecurraError
from recurra.runs.reading import own_parts, read_like_training
from recurra.runs.run import Run
from recurra.tasks.contract import ReadsTrees
from recurra.types import Example

LOOKED_THROUGH, LONG_ENOUGH = 50, 8
"""Of so many held-out examples the first with so many tokens is taken."""
MORE, PIECE = 5_000, 1_000
"""Symbols over which units are tested for what they track; how many of a long text are read at once."""


def look_inside(
    run: Run, text: str | None, file: str | Path | None, length: int, threads: int | None, encoding: Any = None
) -> Inspection:
    """What `workflow.inspect` gives, of a run that is open."""
    if text is None and file is None:
        looked = _held_out(run, length)
    elif file is not None and run.of_files and is_picture(Path(file)):
        looked = Looked(example_of(Path(file), run.model.codecs), f"of {Path(file).name}")
    elif file is not None and not run.of_text:
        looked = _numbers(run, Path(file), length)
    else:
        looked = _given(run, text, file, length, encoding or run.config["reader"].get("encoding", "utf-8"))
    layers = run.config["core"]
    cell = f", {layers['cell']}" if layers.get("cell") else ""
    about = f"task {run.config['task']['kind']}, core {layers['kind']}{cell}, {run.model.parameter_count:,} parameters"
    with threads_set(threads):
        return inspect_model(
            run.model,
            looked.example,
            run=run.path,
            name=run.path.name,
            about=about,
            origin=looked.origin,
            more=looked.more,
            labelled=looked.labelled,
        )


@dataclass(frozen=True)
class Looked:
    """What is looked at, and where it is from."""

    example: Example
    origin: str
    more: Sequence[Example] = ()
    """More of the same, over which units are tested."""
    labelled: Sequence[Example] = ()
    """Examples that the model is asked about, whole and their beginnings."""


def _given(run: Run, text: str | None, file: str | Path | None, length: int, encoding: Any) -> Looked:
    """The text said or the beginning of a file; of a run that reads sentences, the file's first line with any."""
    codecs = run.model.codecs
    if file is None:
        return Looked(_beginning(run, as_example(text, codecs), length), "given by --text")
    path, encoding = Path(file), check_encoding(str(encoding))
    if run.in_pieces:
        whole = as_example(read_text(path, encoding), codecs)
        return Looked(beginning(whole, codecs, length), f"from the beginning of {path.name}", _pieces(run, whole))
    lines = [(number, line) for number, line in islice(read_lines(path, encoding), MORE) if line.strip()]
    if lines:
        first, *_ = examples = [as_example(line, codecs) for _, line in lines]
        return Looked(_beginning(run, first, length), f"line {lines[0][0]} of {path.name}", _enough(run, examples))
    raise DataError(f"{path}: there is no line with any text. Name another file.")


def _numbers(run: Run, path: Path, length: int) -> Looked:
    """The first sequence of a file that is read as the training data were."""
    examples = read_like_training([path], run.config, {})
    _, chosen = _chosen(run, examples, length)
    place = str(chosen.get("place", path.name))
    return Looked(beginning(chosen, run.model.codecs, length), f"from {place}", labelled=examples)


def _held_out(run: Run, length: int) -> Looked:
    """The beginning of a run's own test, or validation."""
    codecs = run.model.codecs
    try:
        parts = own_parts(run.config)
    except (RecurraError, OSError) as error:
        raise DataError(
            f"the run's own held-out text cannot be read: {error} Or give a text: --text or --file."
        ) from error
    part, examples = ("test", parts.test) if parts.test else ("validation", parts.valid)
    if run.in_pieces:
        first = examples[0]
        return Looked(beginning(first, codecs, length), f"from the beginning of its own {part}", _pieces(run, first))
    number, chosen = _chosen(run, examples, length)
    origin = f"example {number} of its own {part}"
    return Looked(_beginning(run, chosen, length), origin, _enough(run, examples), examples)


def _pieces(run: Run, example: Example) -> Sequence[Example]:
    """The beginning of a long text in pieces; of numbers there are no properties to test."""
    codec, names = run.model.codecs["input"], run.model.codecs.fields["input"].of
    name = next(name for name in names if name in example)
    value = example[name]
    if not run.of_text:
        return ()
    if not isinstance(value, str):
        return [{name: value[k : k + PIECE]} for k in range(0, min(len(value), MORE), PIECE)]
    ids = codec.encode(value[: 100 * MORE])[:MORE]
    return [{name: codec.decode(ids[k : k + PIECE])} for k in range(0, len(ids), PIECE)]


def _enough(run: Run, examples: Sequence[Example]) -> Sequence[Example]:
    """The first examples that have so many symbols together."""
    if not run.of_text:
        return ()
    found: list[Example] = []
    count = 0
    for example in examples:
        size = steps_of(example, run.model.codecs)
        if count >= MORE:
            break
        if 0 < size <= PIECE:
            found.append(_bare(run, example))
            count += size
    return found


def _chosen(run: Run, examples: Sequence[Example], length: int) -> tuple[int, Example]:
    """The first example that is long enough to see something, or else the longest; with its number."""
    sizes = [steps_of(example, run.model.codecs) for example in islice(examples, LOOKED_THROUGH)]
    if not sizes:
        raise DataError("the run has no held-out text. Give one: --text or --file.")
    long_enough = [k for k, size in enumerate(sizes) if LONG_ENOUGH <= size <= length]
    k = long_enough[0] if long_enough else max(range(len(sizes)), key=sizes.__getitem__)
    return k + 1, examples[k]


def _beginning(run: Run, example: Example, length: int) -> Example:
    """So many steps of an example; a tree is not cut."""
    if isinstance(run.model.task, ReadsTrees):
        return example
    return beginning(example, run.model.codecs, length)


def _bare(run: Run, example: Example) -> Example:
    """The input of an example alone, and what is read beside it."""
    names = {name for field in run.model.codecs.fields.values() if not field.learned for name in field.of}
    return {name: value for name, value in example.items() if name in names}
