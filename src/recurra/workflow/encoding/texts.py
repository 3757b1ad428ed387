"""One long text into a corpus: counted piece by piece, cut by time, encoded piece by piece."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from recurra.config import Data
from recurra.data.parts import gives_examples
from recurra.data.pieces import pieces_of
from recurra.data.sets import DataSet, find_set
from recurra.data.split import check_fractions, described, too_short
from recurra.data.timed import part_of, read_text, shares_of, text_in
from recurra.errors import ConfigError
from recurra.runs.scoring import sizes
from recurra.types import Example
from recurra.workflow.encoding.folded import folded
from recurra.workflow.encoding.making import HELD, KEPT, Making
from recurra.workflow.encoding.pool import Worker

PIECE = 1 << 21
"""Bytes of a file that are read at once."""
SPOTS = 64
"""Places that the kept training text is from, where it is a part of all."""


@dataclass(frozen=True)
class Piece:
    """A part of a file, the whole file where it has no `end`, or a text that is there."""

    path: str
    begin: int = 0
    end: int | None = None
    ended: bool = True
    """Whether a line end follows where there is none: something comes behind it."""
    text: str | None = None

    @property
    def size(self) -> int:
        """Bytes, as far as that is known."""
        if self.text is not None:
            return len(self.text)
        return Path(self.path).stat().st_size if self.end is None else self.end - self.begin


def read(reader: Any, piece: Piece) -> str:
    """The text of a piece."""
    if piece.text is not None:
        texts: list[str] = [piece.text]
    elif piece.end is None:
        texts = [text_in(example) for example in reader.read(Path(piece.path))]
    else:
        texts = [text_in(example) for example in reader.read_piece(Path(piece.path), piece.begin, piece.end)]
    last = texts.pop() if texts and not piece.ended else ""
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts) + last


def count(worker: Worker, piece: Piece) -> tuple[int, dict[str, Counter[str]]]:
    """How many characters a piece has, and what its codecs count in it."""
    text = read(worker.reader, piece)
    return len(text), worker.codecs.count([{"text": text}]) if text else {}


def encode(worker: Worker, task: tuple[Piece, int, int]) -> Any:
    """The shard of a piece's characters, from one to before another."""
    piece, begin, end = task
    text = read(worker.reader, piece)[begin:end]
    codecs = worker.codecs
    encoded = codecs.encode_all([{"text": text, "place": piece.path}])
    found = sizes(codecs, encoded, in_pieces=True)
    unknown = round(found["unknown_share"] * found["symbols"])
    return worker.shard(encoded, {"steps": found["symbols"], "input symbols": found["symbols"], "unknown": unknown})


def encode_text(making: Making, data: Data) -> None:
    """Make a corpus of the texts that `[data]` names."""
    known = find_set(data.set) if data.set and not data.train else DataSet("files", ())
    if gives_examples(making.reader()):
        raise ConfigError(
            f"reader.kind = {making.config['reader']['kind']!r} gives more than texts, of which alone a corpus of one "
            "long sequence is made. Train from the files themselves, or name a reader of text."
        )
    if known.fractions or not all(isinstance(each, Path) or "text" in _example(each) for each in known.train):
        raise ConfigError(
            f"the data set {known.name!r} is cut in a way of its own. Name its files on the command line, or train "
            f"from it without a corpus: --set data.set={known.name}"
        )
    reader = making.reader()
    pieces = _pieces(reader, [*map(Path, data.train)] or known.train)
    texts = {"valid": read_text([*map(Path, data.valid)] or known.valid, reader)}
    texts["test"] = read_text([*map(Path, data.test)] or known.test, reader)
    found = folded(
        making.pool,
        making.job,
        count,
        pieces,
        {"characters": [], "counts": {}},
        _add,
        making.work / "counts.json",
        "counting",
        "bytes",
        lambda piece: piece.size,
    )
    whole = _Text(reader, pieces, found["characters"])
    wanted = _held(shares_of(data, bool(texts["valid"]), bool(texts["test"] or known.split)), len(whole))
    spans, said = whole.cut(wanted) if len(wanted) > 1 else ({"train": (0, len(whole))}, [])
    done = [*([f"{known.name}: {known.split}"] if known.split else []), *said]
    making.split = "; ".join(done) or "files as given"
    texts |= {part: whole.read(*span) for part, span in spans.items() if part != "train"}
    begin, end = spans["train"]
    kept = whole.spots(begin, end)
    making.keep({"train": part_of(kept), "valid": part_of(texts["valid"]), "test": part_of(texts["test"])})
    making.kept, making.whole = len(kept), end - begin
    counts = {name: Counter(held) for name, held in found["counts"].items()}
    for sign, part in whole.edges(begin, end):
        for name, held in making.codecs().count([{"text": part}]).items():
            for symbol, number in held.items():
                counts[name][symbol] += sign * number
    making.learn({name: +held for name, held in counts.items()})
    making.write(encode, [*whole.within(begin, end)], "characters", lambda task: task[2] - task[1])


def _example(source: Any) -> Example:
    return source if isinstance(source, dict) else {}


def _pieces(reader: Any, sources: Iterable[Any]) -> list[Piece]:
    """The pieces of all sources."""
    found: list[Piece] = []
    for source in sources:
        if not isinstance(source, Path):
            found.append(Piece(str(source.get("path", "")), text=source["text"]))
            continue
        cuts = pieces_of(reader, source, PIECE)
        found += [Piece(str(source))] if cuts is None else [Piece(str(source), *cut) for cut in cuts]
    last = found[-1]
    return [*found[:-1], Piece(last.path, last.begin, last.end, False, last.text)]


def _add(state: Any, result: tuple[int, dict[str, Counter[str]]]) -> None:
    characters, counts = result
    state["characters"].append(characters)
    for name, held in counts.items():
        known = state["counts"].setdefault(name, {})
        for symbol, number in held.items():
            known[symbol] = known.get(symbol, 0) + number


def _held(shares: dict[str, float], total: int) -> dict[str, float]:
    """Shares of which those that are scored are no larger than what is held in memory."""
    found = {part: min(share, HELD / max(1, total)) for part, share in shares.items() if part != "train"}
    return {part: found.get(part, 1 - sum(found.values())) for part in shares}


class _Text:
    """A text that lies in pieces, of which the characters are known."""

    def __init__(self, reader: Any, pieces: Sequence[Piece], characters: Sequence[int]) -> None:
        self._reader, self._pieces = reader, pieces
        self._ends = [*accumulate(characters)]
        self._last: tuple[Piece, str] | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def within(self, begin: int, end: int) -> Iterator[tuple[Piece, int, int]]:
        """The pieces with characters from `begin` to before `end`, and which these are in each."""
        first = 0
        for piece, last in zip(self._pieces, self._ends, strict=True):
            if first < end and last > begin and last > first:
                yield piece, max(0, begin - first), min(end, last) - first
            first = last

    def read(self, begin: int, end: int) -> str:
        """The characters from `begin` to before `end`."""
        return "".join(self._text(piece)[a:b] for piece, a, b in self.within(begin, end))

    def cut(self, shares: dict[str, float]) -> tuple[dict[str, tuple[int, int]], list[str]]:
        """The characters of each part, cut as `recurra.data.split.cut` cuts a text, and what was done."""
        fractions, names = [*shares.values()], [*shares]
        check_fractions(fractions)
        places, where = [0], []
        for k in range(1, len(fractions)):
            place = int(math.fsum(fractions[:k]) * len(self))
            line = self._line(places[-1], place)
            places.append(line or place)
            where.append("at a line end" if line else "inside a line")
        places.append(len(self))
        spans = {name: (places[k], places[k + 1]) for k, name in enumerate(names)}
        if any(begin >= end for begin, end in spans.values()):
            raise too_short(len(self), names, fractions)
        return spans, [described({name: end - begin for name, (begin, end) in spans.items()}, where)]

    def spots(self, begin: int, end: int) -> str:
        """As much of some characters as is kept: all, or lines from places that are evenly spaced."""
        if end - begin <= KEPT:
            return self.read(begin, end)
        found = []
        for k in range(SPOTS):
            at = begin + k * (end - begin) // SPOTS
            text = self.read(at, at + KEPT // SPOTS)
            first = text.find("\n") + 1 if k else 0
            found.append(text[first : text.rfind("\n") + 1] if "\n" in text[first:] else text)
        return "".join(found)

    def edges(self, begin: int, end: int) -> Iterator[tuple[int, str]]:
        """What is to be taken off (−1) and added to what was counted in all pieces, to have it of some characters."""
        first = 0
        for piece, last in zip(self._pieces, self._ends, strict=True):
            if first < begin or last > end:
                text = self._text(piece)
                yield -1, text
                if inside := text[max(0, begin - first) : max(0, end - first)]:
                    yield 1, inside
            first = last

    def _line(self, before: int, place: int) -> int:
        """Behind the last line end between two places; 0 where there is none."""
        for piece, a, b in reversed([*self.within(before, place)]):
            at = self._text(piece).rfind("\n", a, b)
            if at >= 0:
                return place - b + at + 1
            place -= b - a
        return 0

    def _text(self, piece: Piece) -> str:
        if self._last is None or self._last[0] is not piece:
            self._last = (piece, read(self._reader, piece))
        return self._last[1]
