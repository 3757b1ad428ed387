"""What a codec is, and what those of symbols have besides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np

from recurra import registry
from recurra.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from recurra.data.heard import Heard
    from recurra.data.sound import Sound


class Codec(Protocol):
    """Turns the value of one field into an array and back.

    A value is what a reader gives: a text, a list of tokens or tags, a label, an array of numbers. It comes back from
    its array, unless the codec says `comes_back = False`: it keeps something of a value, such as counts. What a codec
    has learned from the training data is saved in the run: `record` as JSON, `arrays` beside it.
    """

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that it reads, as `fields` of readers call them: "text", "tokens", "vectors", …"""

    @property
    def dtype(self) -> type[np.generic]:
        """Of the arrays: `np.int64` for numbers of symbols, `np.float32` for what is computed with as it is."""

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of an encoded value; None for an axis that is as long as the value."""

    @property
    def padding(self) -> float:
        """What stands behind the end of a value in a batch."""

    @property
    def size(self) -> int:
        """How many symbols there are, or numbers a step; 0 where there is no such number."""

    def fit(self, values: Iterable[Any]) -> Self:
        """Learn from the values of the training data. Raises `DataError` where there is nothing to learn.

        NaN stands in an input of numbers where nothing was measured, and is not learned from.
        """

    def encode(self, value: Any) -> NDArray[Any]:
        """The array of a value. Raises `DataError` for one that has none."""

    def decode(self, array: ArrayLike) -> Any:
        """The value of an array. Raises `DataError` for an array that has none."""

    def record(self) -> dict[str, Any]:
        """Its kind, its settings, and what it has learned, as JSON has it."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it has learned in arrays, by name."""

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take what an earlier fit has learned. Raises `CheckpointError` where that cannot be from one."""


class Vocabulary(Codec, Protocol):
    """A codec of symbols: `symbols[n]` is the name of number n."""

    symbols: list[str]

    @property
    def unknown(self) -> int | None:
        """The number that stands for whatever has no symbol; None where nothing can be unknown."""

    def __len__(self) -> int: ...

    def pieces(self, ids: ArrayLike) -> list[str]:
        """Each number's symbol as it is shown. Raises `DataError` for a number that is no symbol."""


@runtime_checkable
class Splits(Protocol):
    """A vocabulary that splits a text into tokens of its own, and reads those of others."""

    def tokens(self, value: str | Sequence[str]) -> list[str]:
        """The tokens of a text; of a list, the list."""


@runtime_checkable
class Writes(Protocol):
    """A vocabulary that can say how each symbol of a text is written, those too that it does not know."""

    unit: str
    """What a symbol is called."""

    def written(self, value: str) -> list[str]:
        """The symbols of a text as they are written, as many as `encode` gives numbers."""


def line_end_of(codec: Any) -> int | None:
    """The number of the symbol that a codec of texts ends a line with; None where it has none."""
    if not hasattr(codec, "written") or "text" not in codec.forms:
        return None
    try:
        numbers = codec.encode("\n")
    except DataError:  # of bases, say
        return None
    return int(numbers[0]) if len(numbers) == 1 and numbers[0] != codec.unknown else None


@runtime_checkable
class ReadsTyped(Protocol):
    """A codec whose values are typed in a way of their own, where other numbers are as `numbers_of` says."""

    def read(self, text: str) -> Any:
        """The value of what is typed. Raises `DataError` for what is none."""


@runtime_checkable
class Ends(Protocol):
    """A codec of numbers whose steps say that nothing follows."""

    ends_at: int
    """Which number of a step is 1 there."""


def encoded_begin(codec: Codec, value: Any) -> NDArray[Any]:
    """The array of a value behind which something follows."""
    array = codec.encode(value)
    if isinstance(codec, Ends):
        array[:, codec.ends_at] = 0
    return array


@runtime_checkable
class Lays(Protocol):
    """A codec whose arrays are laid into a batch in a way of their own."""

    axes: Mapping[str, tuple[str, ...]]
    """The fields of a batch, and what their axes count, in words."""

    def batched(self, arrays: Sequence[NDArray[Any]], steps: int) -> dict[str, NDArray[Any]]:
        """The fields of a batch, by name, of the arrays of its examples; `steps` is the batch's number of them."""

    def random(self, generator: np.random.Generator, steps: int) -> NDArray[Any]:
        """The array of a value of so many steps, drawn at random: to compare models on."""


@runtime_checkable
class Placed(Protocol):
    """A codec whose steps lie somewhere in what was given, in a unit of its own."""

    unit_of_place: str
    """ "s", "px" """

    def place_of(self, value: Any, step: float) -> float:
        """Where in a value a step begins, in that unit."""


@runtime_checkable
class ReadsOneWay(Protocol):
    """A codec of pictures that takes what is written in them from one side to the other."""

    reads: str
    """ "left-to-right" or "right-to-left" """


@runtime_checkable
class EncodesMany(Protocol):
    """A codec that encodes many values faster than one by one."""

    def encode_all(self, values: Sequence[Any]) -> list[NDArray[Any]]:
        """`encode` of each."""


@runtime_checkable
class Counts(Protocol):
    """A codec that learns from how often things are, which is counted apart, by several processes, and added up:
    `fit(values)` is `learn(count(values))`."""

    def count(self, values: Iterable[Any]) -> Counter[str]:
        """How often each thing is in values of the training data."""

    def learn(self, counts: Counter[str]) -> Self:
        """Learn from the sum of all counts. Raises `DataError` as `fit` does."""


@runtime_checkable
class Opens(Protocol):
    """A codec whose values are the contents of files: recordings, pictures."""

    forms: Any

    def opened(self, raw: bytes, name: str = "…") -> Any:
        """The value that the bytes of a file hold, called `name` in messages. Raises `DataError` for bytes that are no
        such file."""


@runtime_checkable
class Shortens(Protocol):
    """A codec whose values are cut by what they hold, not as a sequence is."""

    def shortened(self, value: Any, steps: int) -> Any:
        """The beginning of a value that is encoded in so many steps at most."""


@runtime_checkable
class Varies(Protocol):
    """A codec that has training read a value in other ways besides."""

    def variants(self, value: Any) -> Iterable[Any]:
        """Those of a value; none where nothing is set."""


@runtime_checkable
class Remarks(Protocol):
    """A codec that has something to say of how it reads a value."""

    def remarks(self, value: Any) -> list[str]:
        """A sentence each: that channels were mixed, or a rate changed."""


@runtime_checkable
class NeedsEnd(Protocol):
    """A codec of steps that may encode each by what comes later."""

    @property
    def needs_end(self) -> Mapping[str, str]:
        """The settings by which it does, each with what sets it otherwise."""


def needs_end(codec: Any) -> Mapping[str, str]:
    """The settings by which a codec must have a value as a whole, each with what sets it otherwise; none: it need
    not."""
    return codec.needs_end if isinstance(codec, NeedsEnd) else {}


@runtime_checkable
class Hears(Protocol):
    """A codec of recordings that makes steps of one as it comes."""

    rate: int
    """Samples a second that steps are made of, where nobody says how many are given."""
    seconds_per_step: float

    def heard(self, held: Heard | None, value: Sound, ended: bool = False) -> tuple[NDArray[np.float32], Heard]:
        """The steps [T, D] that a recording's next piece completes, and what is held of it then; `held` is what the
        call before gave, None at the begin. With `ended` nothing follows. All steps together are those of `encode`."""


@runtime_checkable
class Bounded(Protocol):
    """A codec whose numbers lie between two others: what an export is tried with does, too."""

    bounds: tuple[float, float]
    """The least and the largest."""


@runtime_checkable
class Computes(Protocol):
    """A codec that computes its arrays in torch: an export has that as a file of its own."""

    def computed(self) -> Any:
        """A module: samples [N] → steps [T, D]."""

    def samples_of(self, value: Any) -> NDArray[np.float32]:
        """What the module is given of a value, [N]; nothing of an empty one."""


def checked_ids(ids: ArrayLike, size: int) -> NDArray[np.int64]:
    """Symbol numbers as an array [N]. Raises `DataError` for one that is not in a vocabulary of this size."""
    try:
        ids = np.asarray(ids, np.int64).reshape(-1)
    except OverflowError:  # beyond 64 bits
        ids = np.asarray(ids, object).reshape(-1)
    if len(ids) and not 0 <= ids.min() <= ids.max() < size:
        wrong = ids[(ids < 0) | (ids >= size)][0]
        raise DataError(f"symbol number {wrong} is outside the vocabulary (0 to {size - 1}). Is it another run's?")
    return ids


def unknown_share(codec: Any, arrays: Iterable[ArrayLike]) -> float:
    """The share, 0 to 1, of symbols that are the unknown one."""
    if codec.unknown is None:
        return 0.0
    found = [(np.count_nonzero(ids == codec.unknown), ids.size) for ids in map(np.asarray, arrays)]
    total = sum(size for _, size in found)
    return sum(count for count, _ in found) / total if total else 0.0


def forms_of(kind: str) -> tuple[str, ...]:
    """The forms that a codec reads. Raises `UnknownName`."""
    maker = registry.find("codec", kind)
    forms = getattr(maker, "forms", None)
    return forms if isinstance(forms, tuple) else tuple(maker().forms)
