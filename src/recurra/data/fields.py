"""Examples ⇄ arrays: the codecs of all the fields that a task's batches have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recurra import registry
from recurra.data.batching.layout import Layout, layout_of
from recurra.data.codecs.contract import Codec, Counts, EncodesMany, Splits, unknown_share
from recurra.data.codecs.file import now_called
from recurra.errors import ConfigError, DataError, WrongSymbol
from recurra.progress import stage, steps
from recurra.types import IGNORED, Example, Field

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

AT_ONCE = 1000
"""Values encoded together, by codecs that encode many at once."""
INPUT = "input"
SECTIONS = {INPUT: "vocabulary"}
"""Field → the section of a recipe that its codec stands in, where that is not called like the field."""


class Codecs(Mapping[str, Any]):
    """Turns examples into arrays, a codec for each of `fields`, and arrays back into values.

    `settings`: those of codecs that stand in the place of a field's own, by field. `known`: fitted codecs by the name
    that they are saved under, of a run that goes on or is used; those of no field are kept, too.

    Raises `ConfigError` for settings that cannot be.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        self.fields = dict(fields)
        self.saved: dict[str, Any] = dict(known or {})
        """The codecs by the name that they are saved under; those that learn nothing are not."""
        self._codecs: dict[str, Any] = {}
        chosen: dict[str, Mapping[str, Any]] = {}
        if known is not None:  # of what training had nothing of, there is none
            self.fields = {n: f for n, f in self.fields.items() if not f.optional or record_of(n, f) in known}
        for name, field in self.fields.items():
            wanted = dict((settings or {}).get(name, field.codec))
            record = record_of(name, field)
            if known is not None and record in known:
                self._codecs[name] = _as(known[record], wanted["kind"])
            elif record in chosen:
                if wanted != chosen[record]:
                    raise ConfigError(
                        f"the fields {record} and {name} have one codec, but the settings {dict(chosen[record])} and "
                        f"{wanted}. Leave the second away."
                    )
                self._codecs[name] = self.saved[record]
            else:
                codec = registry.construct("codec", wanted, where=SECTIONS.get(name, name))
                self._codecs[name], chosen[record] = codec, wanted
                if codec.record().keys() > {"kind", "settings"}:
                    self.saved[record] = codec
        for name, field in self.fields.items():
            if field.ended and not hasattr(self._codecs[name], "symbols"):  # numbers have no mark among them
                self.fields[name] = replace(field, ended=False)
        self._check_tokens()

    def __getitem__(self, field: str) -> Any:
        return self._codecs[field]

    def __len__(self) -> int:
        return len(self._codecs)

    def __iter__(self) -> Iterator[str]:
        return iter(self._codecs)

    @property
    def ends(self) -> dict[str, int]:
        """By field that has one: the number of its end mark."""
        return {name: self[name].size for name, field in self.fields.items() if field.ended}

    @property
    def layouts(self) -> dict[str, Layout]:
        """How the fields lie in a batch, for a batching."""
        return {
            name: layout_of(self[name], name == INPUT or field.along, field.learned, field.following)
            for name, field in self.fields.items()
        }

    def _check_tokens(self) -> None:
        """Refuse an input of pieces of words where another field has a value for each word, or is made of words."""
        codec = self[INPUT]
        if isinstance(codec, Splits):
            return
        parts = "tokens" in codec.forms
        wrong = [
            name for name, field in self.fields.items() if not field.of or (parts and field.along and field.learned)
        ]
        if wrong:
            kind, others = codec.record()["kind"], " and ".join(wrong)
            raise ConfigError(
                f"vocabulary.kind = {kind!r} has symbols that are no tokens, but {others} go along with tokens. "
                'Write kind = "tokens"; split = "characters" takes each character for one.'
            )

    def value(self, field: str, example: Example) -> Any:
        """The value of a field in an example; None where it has none, and that of the input raises `DataError`."""
        found = self._values(field, example)
        return found[0] if found else None

    def tokens(self, example: Example) -> list[str]:
        """The tokens of an example's input, as they are written."""
        tokens: list[str] = self[INPUT].tokens(self.value(INPUT, example))
        return tokens

    @cached_property
    def splits(self) -> bool:
        """Whether the input's codec splits it into tokens."""
        return isinstance(self[INPUT], Splits)

    def tokenised(self, example: Example) -> Example:
        """The example with its tokens as they are written, where its input is split into tokens; else as it is."""
        if not self.splits or "source" in self.fields[INPUT].of:
            return example
        return {**example, "tokens": self.tokens(example)}

    def fit(self, examples: Iterable[Example], counts: Mapping[str, Counter[str]] | None = None) -> Self:
        """Learn from the training examples; of an input of numbers from what was seen alone, where they say what was.

        `counts`: what `count` found in more training examples than these, for the codecs that it counts for.

        Raises `DataError` for an example without a field that is learned, and for what codecs refuse to learn from.
        """
        examples = list(examples)
        for name in [n for n, f in self.fields.items() if f.optional]:
            if not any(self._values(name, example) for example in examples):
                record = record_of(name, self.fields.pop(name))
                self.saved.pop(record, None)
                del self._codecs[name]
        for name, field in self.fields.items():
            for example in examples if field.learned else ():
                if not self._values(name, example):
                    raise _missing(field.of, example, "training example")
        values = self._held(examples)
        for name, field in self.fields.items():
            numbers = "vectors" in self[name].forms and not field.optional
            if name != INPUT and numbers and not values[record_of(name, field)]:
                raise DataError(
                    f"no {' or '.join(field.of)} in the training examples, which this model reads. Name a reader that "
                    "gives it, or leave out what reads it."
                )
        for name, codec in self.saved.items():
            if name in (counts or {}):
                codec.learn((counts or {})[name])
            elif name in values:
                with stage(f"learning the vocabulary of {name}"):
                    codec.fit(steps(values[name], "reading", "values"))
        return self

    def count(self, examples: Iterable[Example]) -> dict[str, Counter[str]]:
        """What those codecs that learn from counts find in some of the training examples, by the name they are saved
        under."""
        values = self._held(list(examples))
        return {
            n: codec.count(values[n]) for n, codec in self.saved.items() if isinstance(codec, Counts) and n in values
        }

    def _held(self, examples: Sequence[Example]) -> dict[str, list[Any]]:
        """All values of examples, by the name that their codec is saved under."""
        values: dict[str, list[Any]] = {}
        for name, field in self.fields.items():
            held = values.setdefault(record_of(name, field), [])
            measured = name == INPUT and "vectors" in self[name].forms
            for example in examples:
                found = self._values(name, example)
                held += [_measured(value, example) for value in found] if measured else found
        return values

    def encode(self, example: Example) -> dict[str, Any]:
        """`encode_all` of one example."""
        (encoded,) = self.encode_all([example])
        return encoded

    def encode_all(self, examples: Iterable[Example]) -> list[dict[str, Any]]:
        """The arrays of examples by field, and "place"; of fields that they have, the input at least.

        A field with an end mark ends with it; fields along such an input repeat their last step there, learned ones
        hold what no loss counts. Raises `DataError` for an example without an input, for a value that cannot be
        encoded, and for a field that is not as long as the input it goes along.
        """
        examples = list(examples)
        encoded: list[dict[str, Any]] = [{"place": place_of(example)} for example in examples]
        for name, field in self.fields.items():
            rows, values = [], []
            for row, example in enumerate(examples):
                if found := self._values(name, example):
                    rows.append(row)
                    values.append(found[0])
            arrays = self._arrays(name, values, [examples[row] for row in rows])
            encoding = steps(zip(rows, arrays, strict=True), f"encoding {name}", "examples", len(rows))
            for row, array in encoding:
                if field.length is not None:
                    array = _as_long(name, array, field.length, encoded[row]["place"])
                encoded[row][name] = self._along(name, array, encoded[row]) if field.along else array
        return encoded

    def decode(self, field: str, array: ArrayLike) -> Any:
        """The value of an array, up to its end mark where it has one."""
        array = np.asarray(array)
        if self.fields[field].ended:
            ends = np.flatnonzero(array == self[field].size)
            array = array[: ends[0]] if len(ends) else array
        return self[field].decode(array)

    def unknown_shares(self, encoded: Iterable[Mapping[str, Any]]) -> dict[str, float]:
        """Shares, 0 to 1, of unknown symbols by field, end marks not counted; of fields that hold any symbol."""
        encoded, shares = list(encoded), {}
        for name, field in self.fields.items():
            if self[name].dtype is not np.int64 or not hasattr(self[name], "symbols"):
                continue
            found = [np.atleast_1d(each[name]) for each in encoded if name in each]
            found = [array[:-1] for array in found] if field.ended else found
            if any(map(len, found)) or (found and field.ended):
                shares[name] = unknown_share(self[name], found)
        return shares

    def _values(self, name: str, example: Example) -> Sequence[Any]:
        """All values of a field that are right in an example."""
        field = self.fields[name]
        if not field.of:
            return [self.tokens(example)]
        if field.several is not None and field.several in example:
            return list(example[field.several])
        for source in field.of:
            if source in example:
                return [example[source]]
        if name == INPUT:
            raise _missing(field.of, example, "example")
        return []

    def _arrays(self, name: str, values: Sequence[Any], examples: Sequence[Example]) -> Iterator[NDArray[Any]]:
        codec, end = self[name], self.ends.get(name)
        if isinstance(codec, EncodesMany):
            parts = (values[begin : begin + AT_ONCE] for begin in range(0, len(values), AT_ONCE))
            arrays: Iterator[NDArray[Any]] = (array for part in parts for array in codec.encode_all(part))
        else:
            arrays = _one_by_one(codec, values, examples)
        return arrays if end is None else (np.append(array, np.int64(end)) for array in arrays)

    def _along(self, name: str, array: NDArray[Any], encoded: Mapping[str, Any]) -> NDArray[Any]:
        """An array as long as the encoded input, end mark and all."""
        marks = int(self.fields[INPUT].ended)
        steps = len(encoded[INPUT]) - marks
        if len(array) != steps:
            move = "" if self.splits or not marks else " Set vocabulary.kind = 'tokens'."
            raise DataError(
                f"{encoded['place']}: {len(array)} {name}, expected one for each of {steps} tokens. Is the text split "
                f"in another way than the {name}?{move}"
            )
        if not marks:
            return array
        last = np.full(1, IGNORED) if self.fields[name].learned else array[-1:] if steps else np.zeros(1, array.dtype)
        return np.append(array, last).astype(array.dtype)


def _measured(value: Any, example: Example) -> Any:
    """Numbers [T, W], NaN where an example says that a value was not seen."""
    if "seen" not in example:
        return value
    seen, rows = np.asarray(example["seen"]), np.asarray(value, np.float64)
    if seen.shape != rows.shape:
        raise DataError(
            f"{place_of(example)}: what was seen has the shape {list(seen.shape)}, the values {list(rows.shape)}, "
            "expected as many. Give a 1 or a 0 for each value."
        )
    return np.where(seen > 0, rows, np.nan)


def _as_long(name: str, array: NDArray[Any], length: int, place: str) -> NDArray[Any]:
    """The first steps of an array, as many as are read."""
    if len(array) < length:
        raise DataError(
            f"{place}: {len(array):,} steps of {name.replace('_', ' ')}, expected {length:,}. Give later values of it, "
            "too: further rows, whose other cells are empty."
        )
    return array[:length]


def record_of(name: str, field: Field) -> str:
    """The name that a field's codec is saved under."""
    return field.record or name


def place_of(example: Example) -> str:
    """Where an example comes from, for messages."""
    return str(example.get("place", "an example of no known place"))


def readers_of(*fields: str) -> list[str]:
    """The readers that give one of the fields, by name."""
    return [
        name
        for name in registry.names("reader")
        if name != "auto" and {*fields} & {*getattr(registry.find("reader", name), "fields", ())}
    ]


def _one_by_one(codec: Codec, values: Sequence[Any], examples: Sequence[Example]) -> Iterator[NDArray[Any]]:
    """The arrays of values; of one that comes twice in a row, as pictures with captions do, one array."""
    last: Any = None
    array: Any = None
    for value, example in zip(values, examples, strict=True):
        if array is None or value is not last:
            last, array = value, _encoded(codec, value, example)
        yield array


def _encoded(codec: Codec, value: Any, example: Example) -> NDArray[Any]:
    try:
        return codec.encode(value)
    except DataError as error:
        raise DataError(f"{_place_of_error(error, example)}: {error}") from error


def _place_of_error(error: DataError, example: Example) -> str:
    """Where an example comes from; of a wrong letter of one that is written in several lines its own line."""
    place = place_of(example)
    if not isinstance(error, WrongSymbol) or "lines" not in example:
        return place
    line = max((number for before, number in example["lines"] if before <= error.at), default=0)
    return f"{place.rpartition(':')[0]}:{line}" if line else place


def _as(codec: Any, kind: str) -> Any:
    """A codec of a run as the kind that a field wants, where it was saved as another that has learned the same."""
    alike = ({"tags", "label", "label-set"}, {"character", "spelling"})
    own = now_called(codec.record()["kind"])
    if own == kind or not any({own, kind} <= group for group in alike):
        return codec
    return registry.construct("codec", {"kind": kind}).restore(codec.record(), codec.arrays())


def _missing(fields: Sequence[str], example: Example, what: str) -> DataError:
    *others, last = fields
    wanted = f"{', '.join(others)} or {last}" if others else last
    *known, another = readers_of(fields[0]) or [""]
    kinds = f": --set reader.kind={', '.join(known)} or {another}" if known else f": --set reader.kind={another}"
    move = f"Name a reader that gives {fields[0]}{kinds if another else ''}"
    there = ", ".join(key for key in example if key != "place") or "nothing"
    return DataError(f"{place_of(example)}: no {wanted} in this {what}, only {there}. {move}, or another task.")
