"""Strings of words put together from recordings of one word each: digits, commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.config import check_seed
from recurra.data.readers.sound_table import SoundTableReader
from recurra.data.recordings import TONE
from recurra.data.sample import Sample
from recurra.data.sound import Sound
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import Example

LONGEST = 100
"""Recordings of a string, at most."""
PAUSE = 5.0
"""Seconds between two of them, at most."""


@part("reader", "spoken-strings")
class SpokenStringsReader:
    """An example for each string: its `sound`, its `transcript`, its `speaker`, who is also its `group`, its `split`.

    The table is read as the reader "sound-table" does, and each recording is taken once in each of `passes`: those of a
    speaker and a part, where the table says any, are shuffled and joined, `shortest` to `longest` of them, with
    `closest` to `farthest` seconds of silence between two. `label` is the column of what is said in each, whose cells,
    with `between` between them, are the transcript. `valid` is the share of each speaker's recordings of the part
    "train" that are joined with each other alone, and are the part "valid": so no recording is in strings of both,
    however many passes there are. All is drawn from `seed`: the same files give the same strings.

    Raises `DataError` as that reader does, for a recording without a label, for several rates, and where `valid` has
    nothing to be a share of; `ConfigError` for
    ranges that are none.
    """

    recipe = "transcribe"
    fields: ClassVar[Mapping[str, str]] = {"sound": "sound", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {"a.csv": "file,label\n" + "a.wav,é\na.wav,b\n" * 2}, 1, sniffed=False, beside={"a.wav": TONE}
    )

    def __init__(
        self,
        encoding: str = "utf-8",
        file: str = "auto",
        label: str = "auto",
        speaker: str = "auto",
        folder: str = "auto",
        shortest: int = 2,
        longest: int = 7,
        passes: int = 1,
        closest: float = 0.05,
        farthest: float = 0.3,
        between: str = "",
        valid: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not 1 <= shortest <= longest <= LONGEST:
            raise ConfigError(
                f"reader.shortest = {shortest} and reader.longest = {longest}, expected 1 to {LONGEST} recordings, the "
                "second no fewer than the first."
            )
        if not 0 <= closest <= farthest <= PAUSE:
            raise ConfigError(
                f"reader.closest = {closest} and reader.farthest = {farthest}, expected seconds between recordings, 0 "
                f"to {PAUSE:g}, the second no fewer than the first."
            )
        if passes < 1:
            raise ConfigError(f"reader.passes = {passes}, expected 1 or more.")
        if not 0 <= valid < 1:
            raise ConfigError(f"reader.valid = {valid}, expected a share of the recordings, 0 or more and less than 1.")
        self._table = SoundTableReader(encoding, file, label=label, speaker=speaker, folder=folder)
        self.encoding = self._table.encoding
        self.shortest, self.longest, self.passes = shortest, longest, passes
        self.closest, self.farthest, self.between = closest, farthest, between
        self.valid = valid
        self.seed = check_seed(seed, "reader.seed")

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The strings of the tables, in the order drawn."""
        for path in map(Path, paths):
            yield from self._strings(path)

    def sniff(self, path: str | Path) -> str | None:
        """That strings are to be made of its recordings no table says, so none is taken for it."""
        return None

    def _strings(self, path: Path) -> Iterator[Example]:
        held: dict[tuple[str, str], list[Example]] = {}
        for example in self._table.read(path):
            if "label" not in example:
                raise DataError(
                    f"{example['place']}: no label, of which strings are made. Say: --set reader.label=COLUMN"
                )
            held.setdefault((example.get("split", ""), example.get("speaker", "")), []).append(example)
        random = np.random.default_rng(self.seed)
        for (part_, speaker), examples in self._parted(held, random).items():
            for _ in range(self.passes):
                order = random.permutation(len(examples)).tolist()
                while len(order) >= self.shortest:
                    length = int(random.integers(self.shortest, self.longest + 1))
                    chosen, order = order[:length], order[length:]
                    yield self._joined([examples[k] for k in chosen], random, part_, speaker)

    def _parted(
        self, held: Mapping[tuple[str, str], list[Example]], random: np.random.Generator
    ) -> Mapping[tuple[str, str], list[Example]]:
        """Each speaker's recordings by parts, with those that are set aside for "valid"."""
        if not self.valid:
            return held
        if not any(part_ == "train" for part_, _ in held):
            raise DataError(
                f"reader.valid = {self.valid} is a share of the recordings of the part 'train', but the table has none "
                "(column split). Leave it out: data.valid_fraction takes strings for validation."
            )
        found: dict[tuple[str, str], list[Example]] = {}
        for (part_, speaker), examples in held.items():
            if part_ != "train":
                found[part_, speaker] = examples
                continue
            order = random.permutation(len(examples)).tolist()
            count = round(self.valid * len(examples))
            found["train", speaker] = [examples[k] for k in order[count:]]
            found["valid", speaker] = [examples[k] for k in order[:count]]
        return found

    def _joined(
        self, examples: Sequence[Example], random: np.random.Generator, part_: str, speaker: str
    ) -> dict[str, Any]:
        first = examples[0]["sound"]
        if others := [each for each in examples if each["sound"].rate != first.rate]:
            raise DataError(
                f"{others[0]['place']}: {others[0]['sound'].rate:,} Hz, expected {first.rate:,} Hz as of the others. "
                "Bring all to one rate first."
            )
        pieces: list[NDArray[np.float32]] = []
        for example in examples:
            if pieces:
                pause = random.uniform(self.closest, self.farthest)
                pieces.append(np.zeros(round(pause * first.rate), np.float32))
            pieces.append(example["sound"].floats())
        samples = (np.concatenate(pieces) * 32767).round().astype(np.int16)
        found: dict[str, Any] = {
            "sound": Sound(samples, first.rate),
            "transcript": self.between.join(example["label"] for example in examples),
            "place": examples[0]["place"],
        }
        found |= {"speaker": speaker, "group": speaker} if speaker else {}
        return found | ({"split": part_} if part_ else {})
