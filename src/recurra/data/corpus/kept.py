"""Examples as they were read, a line of JSON each: those that are scored, and of training what baselines learn from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recurra import forms, storage
from recurra.data.corpus.index import LARGEST
from recurra.errors import DataError
from recurra.types import Example


def name_of(part: str) -> str:
    """The file of a part's examples."""
    return f"{part}.jsonl"


def line_of(example: Any) -> str:
    """An example as a line. Raises `DataError` for one that holds more than text and numbers."""
    try:
        return json.dumps(example, ensure_ascii=True) + "\n"
    except (TypeError, ValueError) as error:
        place = example.get("place", "an example") if isinstance(example, dict) else "an example"
        raise DataError(
            f"{place}: {error}. A corpus is made of text, with labels and numbers beside it: recordings, pictures and "
            "series are trained on from their files."
        ) from error


def write(path: Path, examples: Iterable[Example]) -> None:
    """Write examples."""
    storage.write_text(path, "".join(map(line_of, examples)))


def read(path: Path) -> list[Example]:
    """Read what `write` wrote. Raises `DataError` for a file that is cut or changed."""
    return [*lines(forms.read_text(path, LARGEST, DataError), path)]


def lines(text: str, path: Path) -> Iterator[Any]:
    """What the lines of a file hold."""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: no JSON ({error}). Copy the corpus again, or encode anew.") from error
