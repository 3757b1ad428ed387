"""Numbers as arrays: measurements as they are or scaled, and whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from recurra.data.as_arrays import array_in
from recurra.errors import CheckpointError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FORMS = ("number", "numbers", "vectors")
"""By the axes of a value: one number, a number a step [T], a vector a step [T, D]."""


@part("codec", "vectors")
class Vectors:
    """Numbers as they are, float32: [T, D], of a number a step [T, 1], of a single number [1]."""

    forms: ClassVar[tuple[str, ...]] = FORMS
    dtype: ClassVar[type[np.generic]] = np.float32
    padding: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self.axes, self.size = 2, 0

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (None, self.size) if self.axes else (self.size,)

    def fit(self, values: Iterable[Any]) -> Self:
        """Take the width of the values. Raises `DataError` where there is none, or they have not all the same."""
        self.axes, self.size = _form(values)
        return self

    def encode(self, value: Any) -> NDArray[np.float32]:
        return _rows(value, self.axes, self.size).astype(np.float32)

    def decode(self, array: ArrayLike) -> NDArray[np.float64]:
        return _value(np.asarray(array, np.float64), self.axes)

    def record(self) -> dict[str, Any]:
        return {"kind": "vectors", "settings": {}, "axes": self.axes, "size": self.size}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self.axes, self.size = _restored(record)
        return self


@part("codec", "scaled")
class Scaled:
    """Numbers less their mean, divided by their spread, each of a vector by itself; shapes as of "vectors".

    Mean and spread (standard deviation) are those of all values measured in the training data; with `by` = "quartiles"
    they are the median and the distance between the quartiles, which a few far ones do not move. A number that never
    changes there is divided by 1. With `logarithm` all that is done to their logarithms: what is multiplied becomes
    added. With `alone` each sequence has its own mean taken away first: no voice or sensor stands out, but its end must
    be known.

    `fit` and `encode` raise `DataError` for numbers of 0 and less where logarithms are taken, `fit` for a number that
    was never measured (NaN).
    """

    forms: ClassVar[tuple[str, ...]] = FORMS
    dtype: ClassVar[type[np.generic]] = np.float32
    padding: ClassVar[float] = 0.0

    def __init__(
        self, by: Literal["deviation", "quartiles"] = "deviation", logarithm: bool = False, alone: bool = False
    ) -> None:
        self.by, self.logarithm, self.alone = by, logarithm, alone
        self.comes_back, self.needs_end = not alone, {"alone": "false"} if alone else {}
        self.axes = 2
        self.mean, self.spread = np.zeros(0), np.ones(0)

    @property
    def size(self) -> int:
        return len(self.mean)

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (None, self.size) if self.axes else (self.size,)

    def fit(self, values: Iterable[Any]) -> Self:
        """Take mean and spread. Raises as "vectors" does."""
        values = list(values)
        self.axes, size = _form(values)
        given = (_rows(value, self.axes, size, measured=False) for value in values)
        rows = np.concatenate([self._taken(each).reshape(-1, size) for each in given])
        if not len(rows):
            raise DataError("the training data hold no number: all sequences are empty. Is the right field read?")
        gaps = np.isnan(rows)
        if (never := np.flatnonzero(gaps.all(0))).size:
            raise DataError(
                f"number {never[0] + 1} of the {size} of a step was never measured in the training data. Leave its "
                "column out, or train on more."
            )
        if self.by == "quartiles":
            low, self.mean, high = (np.nanquantile if gaps.any() else np.quantile)(rows, (0.25, 0.5, 0.75), axis=0)
            spread = high - low
        elif gaps.any():
            self.mean, spread = np.nanmean(rows, 0), np.nanstd(rows, 0)
        else:
            self.mean, spread = rows.mean(0), rows.std(0)
        self.spread = np.where(spread > 0, spread, 1.0)
        return self

    def _taken(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The numbers that are scaled."""
        if self.logarithm:
            if (rows <= 0).any():
                raise DataError(
                    f"a number of {np.nanmin(rows):g}, expected above 0 where logarithms are taken. Leave the "
                    "column out, or the logarithms: logarithm = false, in [vocabulary] for the input."
                )
            rows = np.log(rows)
        if not self.alone or rows.ndim < 2 or not len(rows):
            return rows
        measured = np.maximum(1, np.count_nonzero(~np.isnan(rows), axis=0))
        centred: NDArray[np.float64] = rows - np.nansum(rows, 0) / measured
        return centred

    def encode(self, value: Any) -> NDArray[np.float32]:
        rows = self._taken(_rows(value, self.axes, self.size))
        scaled: NDArray[np.float32] = ((rows - self.mean) / self.spread).astype(np.float32)
        return scaled

    def decode(self, array: ArrayLike) -> NDArray[np.float64]:
        rows = np.asarray(array, np.float64) * self.spread + self.mean
        return _value(np.exp(rows) if self.logarithm else rows, self.axes)

    def record(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"by": self.by} if self.by != "deviation" else {}
        settings |= {"logarithm": True} if self.logarithm else {}
        settings |= {"alone": True} if self.alone else {}
        return {"kind": "scaled", "settings": settings, "axes": self.axes, "size": self.size}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"mean": self.mean, "spread": self.spread}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self.axes, size = _restored(record)
        for name in ("mean", "spread"):
            found = arrays.get(name)
            if found is None or found.shape != (size,) or found.dtype != np.float64 or not np.isfinite(found).all():
                raise CheckpointError(f"scaled numbers have a {name} of {size} finite numbers of 64 bits.")
        if (arrays["spread"] <= 0).any():
            raise CheckpointError("the spread of scaled numbers is above 0.")
        self.mean, self.spread = arrays["mean"], arrays["spread"]
        return self


@part("codec", "integers")
class Integers:
    """Whole numbers as they are, int64 [T], such as the number of the sentence that a word stands in."""

    forms: ClassVar[tuple[str, ...]] = ("integers",)
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = 0
    size: ClassVar[int] = 0

    def fit(self, values: Iterable[Sequence[int]]) -> Self:
        return self

    def encode(self, value: Sequence[int]) -> NDArray[np.int64]:
        array = array_in(value)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise DataError(f"{_described(array)}, expected whole numbers, one a step.")
        return array.astype(np.int64)

    def decode(self, array: ArrayLike) -> list[int]:
        numbers: list[int] = np.asarray(array, np.int64).tolist()
        return numbers

    def record(self) -> dict[str, Any]:
        return {"kind": "integers", "settings": {}}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return self


def _form(values: Iterable[Any]) -> tuple[int, int]:
    """The axes of values, and how many numbers each step has."""
    forms = {(array.ndim, array.shape[-1] if array.ndim == 2 else 1) for array in map(array_in, values)}
    if not forms:
        raise DataError("the training data hold no numbers. Is the right field read?")
    if max(forms)[0] > 2:
        raise DataError(f"a sequence of {max(forms)[0]} axes, expected 2 at most: steps, and the numbers of a step.")
    if len(forms) > 1:
        (axes, size), (others, width), *_ = sorted(forms)
        raise DataError(
            f"some sequences have {size} numbers a step in {axes} axes, others {width} in {others}: expected the same "
            "of all. Do all files have the same columns?"
        )
    ((axes, size),) = forms
    return axes, size


def _rows(value: Any, axes: int, size: int, measured: bool = True) -> NDArray[np.float64]:
    """A value as [T, D], a single number as [1]; raises `DataError` for another form and for what is not finite, unless
    it is not `measured` and NaN."""
    array = array_in(value)
    if array.dtype.kind not in "iufb" and array.size:
        raise DataError(f"{_described(array)}, expected numbers.")
    if array.ndim == 1 and (axes, size) == (2, 1):  # as numbers are typed
        array = array[:, None]
    rows = array.astype(np.float64)
    if array.ndim == 1 and (axes, size) == (2, 1):  # written without the axis of one
        rows = array = rows[:, None]
    if array.ndim != axes or (axes == 2 and array.shape[1] != size):
        expected = ("one number", "a number a step", f"{size} numbers a step")[axes]
        raise DataError(f"{_described(array)}, expected {expected} as in the training data.")
    finite = np.isfinite(rows) if measured else ~np.isinf(rows)
    if not finite.all():
        raise DataError(
            f"{np.count_nonzero(~finite):,} of {rows.size:,} numbers are not finite. Fill the gaps, or "
            "leave those steps out."
        )
    return rows if axes == 2 else rows.reshape(-1, 1) if axes else rows.reshape(1)


def _value(rows: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    return rows if axes == 2 else rows[..., 0]


def _described(array: NDArray[Any]) -> str:
    return f"an array of {array.dtype.name} and the shape {list(array.shape)}"


def _restored(record: Mapping[str, Any]) -> tuple[int, int]:
    axes, size = record.get("axes"), record.get("size")
    if axes not in (0, 1, 2) or not isinstance(size, int) or size < 0:
        raise CheckpointError("a record of numbers says its axes, 0 to 2, and its size.")
    return int(axes), size
