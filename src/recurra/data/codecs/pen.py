"""The movements of a pen as numbers: how far, whether it is lifted then, and whether the drawing ends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.as_arrays import array_in
from recurra.data.numbers import numbers_of
from recurra.errors import CheckpointError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@part("codec", "pen")
class Pen:
    """Moves [T, 3], along, down and whether the pen is lifted then, as [T, 4]: the first two divided by the spread that
    all of them together have in the training data, the pen, and 1 at the last move of a drawing.

    Raises `DataError` for other shapes, for numbers that are not finite, and for a pen that is neither 0 nor 1.
    Source: Ha & Eck 2018, A neural representation of sketch drawings.
    """

    forms: ClassVar[tuple[str, ...]] = ("moves",)
    dtype: ClassVar[type[np.generic]] = np.float32
    padding: ClassVar[float] = 0.0
    size: ClassVar[int] = 4
    shape: ClassVar[tuple[int | None, ...]] = (None, 4)
    ends_at: ClassVar[int] = 3
    """The number of a step that is 1 where nothing follows."""

    def __init__(self) -> None:
        self.spread = 1.0

    def fit(self, values: Iterable[Any]) -> Self:
        """Take the spread of the moves. Raises `DataError` where there is none."""
        moves = [_moves(value)[:, :2].reshape(-1) for value in values]
        found = float(np.concatenate(moves).std()) if moves else 0.0
        if found == 0:
            raise DataError("the training data hold no moves of a pen: there is no drawing, or none goes anywhere.")
        self.spread = found
        return self

    def read(self, text: str) -> NDArray[np.float64]:
        """Moves as they are typed, a line of three numbers each; none of a blank text."""
        found = numbers_of(text)
        return found.reshape(-1, 3 if not found.size else found.shape[-1])

    def encode(self, value: Any) -> NDArray[np.float32]:
        moves = _moves(value)
        end = np.zeros((len(moves), 1))
        end[-1:] = 1
        return np.concatenate((moves[:, :2] / self.spread, moves[:, 2:], end), 1).astype(np.float32)

    def decode(self, array: ArrayLike) -> NDArray[np.float64]:
        """Moves up to the first that ends a drawing."""
        rows = np.asarray(array, np.float64).reshape(-1, 4)
        ends = np.flatnonzero(rows[:, 3] > 0.5)
        rows = rows[: ends[0] + 1] if len(ends) else rows
        return np.concatenate((rows[:, :2] * self.spread, rows[:, 2:3] > 0.5), 1)

    def record(self) -> dict[str, Any]:
        return {"kind": "pen", "settings": {}, "spread": self.spread}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        spread = record.get("spread")
        if not isinstance(spread, int | float) or not 0 < spread < math.inf:
            raise CheckpointError("a record of a pen has the spread of its moves, above 0.")
        self.spread = float(spread)
        return self


def _moves(value: Any) -> NDArray[np.float64]:
    array = array_in(value)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "iufb":
        raise DataError(
            f"{array.dtype.name} of the shape {list(array.shape)}, expected moves [T, 3]: along, down, 1 where the pen "
            "is lifted then."
        )
    moves = array.astype(np.float64)
    if not np.isfinite(moves).all() or not np.isin(moves[:, 2], (0, 1)).all():
        raise DataError("moves that are not finite, or a pen that is neither lifted (1) nor down (0).")
    return moves
