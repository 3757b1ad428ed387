"""How the arrays of one field lie in a corpus: raw little-endian numbers, one example behind the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recurra.errors import DataError
from recurra.types import IGNORED, Field

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL = ("<u1", "<u2", "<u4")
SIGNED = ("<i2", "<i4", "<i8")
"""For symbols among which are targets that count for nothing, −100."""
BYTES = "<u1"


@dataclass(frozen=True)
class Stored:
    """The numbers of a field."""

    dtype: str
    """As numpy writes it, "<u2"."""
    row: tuple[int, ...] = ()
    """The shape of one row."""
    ragged: bool = True
    """Whether an example has any number of rows, which a file of ends says; else it is one row."""
    texts: bool = False
    """Whether an example is a list of texts: JSON in UTF-8, a row a byte."""

    @classmethod
    def of(cls, codec: Any, field: Field) -> Self:
        """How the arrays of a codec lie: symbols in as few bytes as hold all of them."""
        if np.dtype(codec.dtype) == object:
            return cls(BYTES, texts=True)
        ragged, row = bool(codec.shape) and codec.shape[0] is None, codec.shape[1:] if codec.shape else ()
        if not ragged:
            row = codec.shape
        if None in row:
            raise DataError(
                f"what the codec {codec.record()['kind']!r} makes has more than one axis of any length, which no file "
                "of a corpus holds. Train from the files themselves."
            )
        if not np.issubdtype(codec.dtype, np.integer):
            return cls(np.dtype(codec.dtype).newbyteorder("<").str, tuple(row), ragged)
        if not hasattr(codec, "symbols"):
            return cls("<i8", tuple(row), ragged)
        most = codec.size + field.ended
        sizes = SIGNED if field.learned or codec.unknown == IGNORED else SMALL
        return cls(next(name for name in sizes if np.iinfo(name).max >= most), tuple(row), ragged)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """What `as_json` wrote."""
        return cls(found["dtype"], tuple(found["row"]), found["ragged"], found["texts"])

    def as_json(self) -> dict[str, Any]:
        """For the index."""
        return asdict(self)

    @property
    def size(self) -> int:
        """Bytes of a row."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.row, dtype=np.int64))

    def packed(self, arrays: Sequence[NDArray[Any]]) -> tuple[bytes, NDArray[np.int64]]:
        """The bytes of examples, and how many rows each has."""
        if self.texts:
            raw = [json.dumps(array.tolist()).encode("ascii") for array in arrays]
            return b"".join(raw), np.array([len(each) for each in raw], np.int64)
        if not arrays:
            return b"", np.zeros(0, np.int64)
        lengths = np.array([len(array) if self.ragged else 1 for array in arrays], np.int64)
        rows = [np.reshape(array, (-1, *self.row)) for array in arrays]
        whole = rows[0] if len(rows) == 1 else np.concatenate(rows)
        kept = whole.astype(self.dtype)
        if np.issubdtype(kept.dtype, np.integer) and whole.size and not self._holds(whole.min(), whole.max()):
            raise DataError(
                f"a number of {whole.min()} to {whole.max()} is beyond {self.dtype}, which holds the field."
            )
        return kept.tobytes(), lengths

    def _holds(self, least: np.integer, most: np.integer) -> bool:
        limits = np.iinfo(self.dtype)
        return bool(limits.min <= least and most <= limits.max)

    def opened(self, path: str, rows: int) -> NDArray[Any]:
        """All rows of a file, read as they are asked for."""
        if not rows:
            return np.zeros((0, *self.row), self.dtype)
        return np.memmap(path, self.dtype, "r", shape=(rows, *self.row)).view(np.ndarray)

    def example(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The array of an example, as its codec made it, of its rows."""
        if self.texts:
            found = np.empty(len(texts := json.loads(rows.tobytes())), np.object_)
            found[:] = texts
            return found
        array = rows if self.ragged else rows[0]
        return array.astype(np.int64) if np.issubdtype(array.dtype, np.integer) else np.array(array)
