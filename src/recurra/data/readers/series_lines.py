"""A sequence of numbers in each line, as JSON, with what is known of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.data.files import check_encoding, head_lines, read_lines, shortened, some
from recurra.data.numbers import number_in
from recurra.data.readers.jsonl import json_object
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

LIKE = '{"series": [[0.1, 2], [0.3, 4]], "number": 5.5}'


@part("reader", "jsonl-series")
class SeriesLinesReader:
    """One example a line, a JSON object: its `series`, a list of numbers [T] or of vectors of one width [T, W], and the
    `number`, the `label` and the `scale` that it has, and its `place`.

    The settings say what the keys are called. A key that is missing or null gives nothing, and other keys are left out.

    Raises `DataError` for a line that is no such object, holds no series, vectors of different widths, or anything that
    is no finite number.
    """

    recipe = "scorer"
    fields: ClassVar[Mapping[str, str]] = {
        "series": "vectors",
        "number": "number",
        "label": "label",
        "scale": "label",
    }
    sample: ClassVar[Sample] = Sample(
        {"a.jsonl": '{"series": [[1, 2], [3, 4.5]], "number": 2}\n{"series": [[5, 6]], "label": "é"}\n'}, 2
    )

    def __init__(
        self,
        encoding: str = "utf-8",
        series: str = "series",
        number: str = "number",
        label: str = "label",
        scale: str = "scale",
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.keys = {"series": series, "number": number, "label": label, "scale": scale}

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The examples of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._examples(path), path, "a JSON object with a series a line")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its first line is no JSON object with a series."""
        first = next((line for line in head_lines(Path(path), self.encoding) if line.strip()), "")
        key = re.escape(json.dumps(self.keys["series"], ensure_ascii=False))
        return "a JSON object with a series a line" if re.match(rf"\s*\{{.*{key}\s*:\s*\[", first) else None

    def _examples(self, path: Path) -> Iterator[Example]:
        for number, line in read_lines(path, self.encoding):
            if line.strip():
                place = f"{path}:{number}"
                yield {**self._example(json_object(line, place, LIKE), place), "place": place}

    def _example(self, found: Mapping[str, Any], place: str) -> dict[str, Any]:
        there = {field: found[key] for field, key in self.keys.items() if found.get(key) is not None}
        if "series" not in there:
            raise DataError(
                f"{place}: no key {self.keys['series']!r}, found {', '.join(map(repr, list(found)[:8])) or 'none'}. "
                "Name it: --set reader.series=KEY"
            )
        example: dict[str, Any] = {"series": _series(there["series"], place, self.keys["series"])}
        if "number" in there:
            example["number"] = number_in(str(there["number"]), place, f"as {self.keys['number']!r}")
        for name in ("label", "scale"):
            if name in there:
                example[name] = str(there[name]).strip()
                if not example[name]:
                    raise DataError(f"{place}: an empty {self.keys[name]!r}. Write one there, or leave the line out.")
        return example


def _series(value: Any, place: str, key: str) -> NDArray[np.float64]:
    """The numbers [T] or [T, W] of a JSON value."""
    rows = value if isinstance(value, list) else [value]
    vectors = any(isinstance(row, list) for row in rows)
    widths = {len(row) if isinstance(row, list) else -1 for row in rows}
    if not isinstance(value, list) or len(widths) > 1 or widths == {0}:
        raise DataError(
            f"{place}: {key!r} is {shortened(str(value))}, expected a list of numbers, or of vectors that are all as "
            f"wide: {LIKE}"
        )
    numbers = [number for row in rows for number in row] if vectors else rows
    for number in numbers:
        plain = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not plain or not np.isfinite(float(number)):
            raise DataError(
                f"{place}: {shortened(str(number))} in {key!r} is no finite number. Mend it, or leave the line out."
            )
    array = np.array(numbers, np.float64)
    return array.reshape(len(rows), -1) if vectors else array
