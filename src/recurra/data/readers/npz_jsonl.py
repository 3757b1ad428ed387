"""Features of recordings in an `.npz` file, and what was said in them in a `.jsonl` file of the same order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.data.arrays import Arrays
from recurra.data.files import check_encoding, counted, read_lines, read_start
from recurra.data.readers.jsonl import json_object
from recurra.data.sample import Sample
from recurra.data.stacked import bounds, packed, side_by_side
from recurra.errors import ConfigError, DataError, did_you_mean
from recurra.registry import part
from recurra.types import Example

LIKE = '{"text": "YES"}'
_STARTS = (b"PK\3\4", b"{")
"""How the two files of a pair begin."""


@part("reader", "npz-jsonl")
class NpzJsonlReader:
    """An example for each recording of a pair of files, named one behind the other: `a.npz a.jsonl b.npz b.jsonl …`.

    The `.npz` file has the array `features` [steps, W] of all recordings, recording i in rows `offsets[i]` to
    `offsets[i + 1]`; line i of the other, a JSON object, says what was said in it. Gives its `vectors` [T, W], its
    `transcript` (the key `text`), its `id`, its `speaker`, who is also its `group`: a group is never cut into two
    parts. The settings say what arrays and keys are called; a key `frames`, where there is one, is compared with T.
    With `stack` above 1 so many rows side by side are one step, [T // stack, stack · W]; the rest at the end is left.

    An `.npz` file alone, of which nobody says what was said, gives `vectors`: to be asked of a run.

    Raises `DataError` where a pair is not whole, has another number of recordings than of lines, or a line no text.
    """

    recipe = "transcribe"
    fields: ClassVar[Mapping[str, str]] = {"vectors": "vectors", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {
            "a.npz": packed(features=np.arange(10.0).reshape(5, 2), offsets=[0, 2, 5]),
            "b.jsonl": b'{"text": "YES", "speaker": "ann"}\n{"text": "GO", "speaker": "bob", "frames": 3}\n',
        },
        2,
        sniffed=False,
    )

    def __init__(
        self,
        encoding: str = "utf-8",
        features: str = "features",
        offsets: str = "offsets",
        text: str = "text",
        speaker: str = "speaker",
        stack: int = 1,
    ) -> None:
        if stack < 1:
            raise ConfigError(f"reader.stack = {stack}, expected 1 or more rows.")
        self.encoding = check_encoding(encoding)
        self.features, self.offsets, self.text, self.speaker = features, offsets, text, speaker
        self.stack = stack

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The recordings of the pairs of files, in the order given."""
        files = [Path(path) for path in paths]
        if len(files) == 1 and files[0].name.endswith(".npz"):
            yield from self._alone(files[0])
            return
        for first, second in zip(files[::2], [*files[1::2], *[None] * (len(files) % 2)], strict=True):
            yield from self._pair(first, second)

    def sniff(self, path: str | Path) -> str | None:
        """None: one file of a pair does not show that it is one."""
        return None

    def _alone(self, path: Path) -> Iterator[Example]:
        held = Arrays(path)
        ends, steps = bounds(held, self.offsets, self._features(held))
        numbers = side_by_side(steps, None, str(path))
        for k in range(len(ends) - 1):
            vectors = self._stacked(numbers[int(ends[k]) : int(ends[k + 1])])
            yield {"vectors": vectors, "place": f"{path}: recording {k + 1}"}

    def _stacked(self, vectors: NDArray[np.generic]) -> NDArray[np.generic]:
        steps = len(vectors) // self.stack
        return vectors[: steps * self.stack].reshape(steps, self.stack * vectors.shape[1])

    def _pair(self, one: Path, other: Path | None) -> Iterator[Example]:
        named = [each for each in (one, other) if each is not None]
        arrays, lines = (_that_begins(named, start) for start in _STARTS)
        if arrays is None or lines is None:
            missing = "a file of features (.npz)" if arrays is None else "the lines of what was said (.jsonl)"
            raise DataError(
                f"{' and '.join(map(str, named))}: {missing} is missing, expected pairs of both. Name them one behind "
                "the other."
            )
        held = Arrays(arrays)
        ends, steps = bounds(held, self.offsets, self._features(held))
        numbers = side_by_side(steps, None, str(arrays))
        rows = [(f"{lines}:{number}", line) for number, line in read_lines(lines, self.encoding) if line.strip()]
        there = len(ends) - 1
        if len(rows) != there:
            raise DataError(
                f"{lines}: {counted(len(rows), 'line')}, expected one for each of {counted(there, 'recording')} "
                f"of {arrays}. Are both files of the same part?"
            )
        for k, (place, line) in enumerate(rows):
            vectors = numbers[int(ends[k]) : int(ends[k + 1])]
            yield {"vectors": self._stacked(vectors), **self._said(line, place, len(vectors)), "place": place}

    def _features(self, held: Arrays) -> dict[str, NDArray[np.generic]]:
        if self.features not in held:
            raise DataError(
                f"{held.path}: no array {self.features!r} (reader.features){did_you_mean(self.features, held)} There "
                f"are {', '.join(held)}."
            )
        return {self.features: held[self.features]}

    def _said(self, line: str, place: str, steps: int) -> dict[str, Any]:
        found = json_object(line, place, LIKE)
        text = found.get(self.text)
        if not isinstance(text, str):
            raise DataError(
                f"{place}: no text in the key {self.text!r}, found {', '.join(map(repr, list(found)[:8])) or 'none'}. "
                "Mend this line, or name another key: --set reader.text=KEY"
            )
        if found.get("frames", steps) != steps:
            raise DataError(
                f"{place}: 'frames' is {found['frames']}, but its features have {counted(steps, 'step')}. Are both "
                "files of the same part, and in the same order?"
            )
        said: dict[str, Any] = {"transcript": text}
        if isinstance(found.get("id"), str):
            said["id"] = found["id"]
        if isinstance(found.get(self.speaker), str):
            said |= {"speaker": found[self.speaker], "group": found[self.speaker]}
        return said


def _that_begins(paths: list[Path], start: bytes) -> Path | None:
    """The path of a file that begins so, or of none that can be looked at: reading it says why."""
    for path in paths:
        head = read_start(path, 512).lstrip(b"\xef\xbb\xbf \t\r\n")
        if head.startswith(start):
            return path
    suffix = ".npz" if start == _STARTS[0] else ".jsonl"
    return next((path for path in paths if path.name.endswith(suffix)), None)
