"""A run and a text to look at it with: the one that is given, or the beginning of its own held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from recurra.asking.examples import as_example
from recurra.asking.threads import threads_set
from recurra.data.codecs.contract import Splits
from recurra.data.files import check_encoding, read_lines, read_text
from recurra.diagnostics.report import Inspection, inspect_model
from recurra.errors import DataError, RecurraError
from recurra.runs.reading import own_parts
from recurra.runs.run import Run
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
        given, origin, more = _held_out(run, length)
    else:
        given, origin, more = _given(run, text, file, length, encoding or run.config["reader"].get("encoding", "utf-8"))
    layers = run.config["core"]
    cell = f", {layers['cell']}" if layers.get("cell") else ""
    about = f"task {run.config['task']['kind']}, core {layers['kind']}{cell}, {run.model.parameter_count:,} parameters"
    with threads_set(threads):
        return inspect_model(run.model, given, run=run.path, name=run.path.name, about=about, origin=origin, more=more)


Looked = tuple[Example, str, Sequence[Example]]
"""What is looked at, where it is from, and more of the same over which units are tested."""


def _given(run: Run, text: str | None, file: str | Path | None, length: int, encoding: Any) -> Looked:
    """The text said or the beginning of a file; of a run that reads sentences, the file's first line with any."""
    if file is None:
        return _cut(run, as_example(text, run.model.codecs), length), "given by --text", ()
    path, encoding = Path(file), check_encoding(str(encoding))
    if run.in_pieces:
        whole = as_example(read_text(path, encoding), run.model.codecs)
        return _cut(run, whole, length), f"from the beginning of {path.name}", _pieces(run, whole)
    lines = [(number, line) for number, line in islice(read_lines(path, encoding), MORE) if line.strip()]
    if lines:
        examples = [as_example(line, run.model.codecs) for _, line in lines]
        return _cut(run, examples[0], length), f"line {lines[0][0]} of {path.name}", _enough(run, examples)
    raise DataError(f"{path}: there is no line with any text. Name another file.")


def _held_out(run: Run, length: int) -> Looked:
    """The beginning of a run's own test, or validation."""
    try:
        parts = own_parts(run.config)
    except (RecurraError, OSError) as error:
        raise DataError(
            f"the run's own held-out text cannot be read: {error} Or give a text: --text or --file."
        ) from error
    part, examples = ("test", parts.test) if parts.test else ("validation", parts.valid)
    if run.in_pieces:
        return _cut(run, examples[0], length), f"from the beginning of its own {part}", _pieces(run, examples[0])
    number, chosen = _chosen(run, examples, length)
    return _cut(run, chosen, length), f"example {number} of its own {part}", _enough(run, examples)


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
        size = _steps(run, example)
        if count >= MORE:
            break
        if 0 < size <= PIECE:
            found.append(_bare(run, example))
            count += size
    return found


def _chosen(run: Run, examples: Sequence[Example], length: int) -> tuple[int, Example]:
    """The first example that is long enough to see something, or else the longest; with its number."""
    sizes = [_steps(run, example) for example in islice(examples, LOOKED_THROUGH)]
    if not sizes:
        raise DataError("the run has no held-out text. Give one: --text or --file.")
    long_enough = [k for k, size in enumerate(sizes) if LONG_ENOUGH <= size <= length]
    k = long_enough[0] if long_enough else max(range(len(sizes)), key=sizes.__getitem__)
    return k + 1, examples[k]


def _steps(run: Run, example: Example) -> int:
    """How many steps the input of an example has."""
    return len(run.model.codecs.encode_all([_bare(run, example)])[0]["input"])


def _bare(run: Run, example: Example) -> Example:
    """The input of an example alone."""
    names = run.model.codecs.fields["input"].of
    return {name: value for name, value in example.items() if name in names}


def _cut(run: Run, example: Example, length: int) -> Example:
    """At most so many steps of an example; a task that writes a target for its input has it whole."""
    codecs = run.model.codecs
    codec, field = codecs["input"], codecs.fields["input"]
    if field.ended:
        return example
    name = next(name for name in field.of if name in example)
    value = example[name]
    if isinstance(codec, Splits):
        along = [each for key, each in codecs.fields.items() if each.along and key != "input"]
        cut = {of: example[of][:length] for each in along for of in each.of if of in example}
        rest = {key: each for key, each in example.items() if key != name}
        return {**rest, **cut, "tokens": codec.tokens(value)[:length]}
    if isinstance(value, str):
        value = value[: 100 * length]  # far more than enough symbols, far less than a book
        ids = codec.encode(value)
        return {**example, name: value if len(ids) <= length else codec.decode(ids[:length])}
    return {**example, name: value[:length]}
