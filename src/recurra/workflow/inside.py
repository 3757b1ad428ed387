"""A run and a text to look at it with: the one that is given, or the beginning of its own held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from recurra import registry
from recurra.config import Data
from recurra.data.files import check_encoding, read_lines, read_text
from recurra.data.former import label_codecs
from recurra.data.parts import gather, text_of
from recurra.data.sides import source_of
from recurra.diagnostics.report import Inspection, inspect_model
from recurra.errors import DataError, RecurraError
from recurra.serving.run import Run
from recurra.serving.threads import threads_set
from recurra.types import Example

LOOKED_THROUGH, LONG_ENOUGH = 50, 8
"""Of so many held-out examples the first with so many tokens is taken."""


def look_inside(
    run: Run, text: str | None, file: str | Path | None, length: int, threads: int | None, encoding: Any = None
) -> Inspection:
    """What `workflow.inspect` gives, of a run that is open."""
    if text is None and file is None:
        given, origin = _held_out(run, length)
    else:
        given, origin = _given(run, text, file, length, encoding or run.config["reader"].get("encoding", "utf-8"))
    layers = run.config["core"]
    cell = f", {layers['cell']}" if layers.get("cell") else ""
    about = f"task {run.config['task']['kind']}, core {layers['kind']}{cell}, {run.model.parameter_count:,} parameters"
    with threads_set(threads):
        return inspect_model(run.model, given, run=run.path, name=run.path.name, about=about, origin=origin)


def _given(run: Run, text: str | None, file: str | Path | None, length: int, encoding: Any) -> tuple[Example, str]:
    """The text said or the beginning of a file; of a run that reads sentences, the file's first line with any."""
    if file is None:
        return _cut(run, {"text": text}, length), "given by --text"
    path, encoding = Path(file), check_encoding(str(encoding))
    if run.does == "write":
        return _cut(run, {"text": read_text(path, encoding)}, length), f"from the beginning of {path.name}"
    for number, line in read_lines(path, encoding):
        if line.strip():
            return _cut(run, {"text": line}, length), f"line {number} of {path.name}"
    raise DataError(f"{path}: there is no line with any text. Name another file.")


def _held_out(run: Run, length: int) -> tuple[Example, str]:
    """The beginning of a run's own test, or validation."""
    data = Data(**registry.checked(Data, run.config["data"], where="data"))
    reader: Any = registry.construct("reader", run.config["reader"])
    try:
        if run.does == "write":
            corpus = gather(data, reader, "time")
            part, texts = ("test", corpus.test) if corpus.test else ("validation", corpus.valid)
            return _cut(run, {"text": text_of(texts)}, length), f"from the beginning of its own {part}"
        parts = gather(data, reader, "shuffle")
    except (RecurraError, OSError) as error:
        raise DataError(
            f"the run's own held-out text cannot be read: {error} Or give a text: --text or --file."
        ) from error
    part, examples = ("test", parts.test) if parts.test else ("validation", parts.valid)
    number, chosen = _chosen(run, examples, length)
    return _cut(run, chosen, length), f"example {number} of its own {part}"


def _chosen(run: Run, examples: Sequence[Example], length: int) -> tuple[int, Example]:
    """The first example that is long enough to see something, or else the longest; with its number."""
    sizes = [len(_tokens(run, example)) for example in islice(examples, LOOKED_THROUGH)]
    if not sizes:
        raise DataError("the run has no held-out text. Give one: --text or --file.")
    long_enough = [k for k, size in enumerate(sizes) if LONG_ENOUGH <= size <= length]
    k = long_enough[0] if long_enough else max(range(len(sizes)), key=sizes.__getitem__)
    return k + 1, examples[k]


def _tokens(run: Run, example: Example) -> Sequence[str]:
    if run.does == "translate":
        source = source_of(example)
        return source.split() if isinstance(source, str) else source
    return label_codecs(run.model.vocabularies).tokens(example)


def _cut(run: Run, example: Example, length: int) -> Example:
    """At most so many symbols of an example."""
    if run.does == "write":
        text = example["text"][: 100 * length]  # far more than enough symbols, far less than a book
        ids = run.model.vocabulary.encode(text)
        return {"text": text if len(ids) <= length else run.model.vocabulary.decode(ids[:length])}
    if run.does == "translate":
        return example
    tokens = _tokens(run, example)
    shortened = {"tokens": tokens[:length]}
    if "tags" in example:
        shortened["tags"] = example["tags"][:length]
    return {**example, **shortened}
