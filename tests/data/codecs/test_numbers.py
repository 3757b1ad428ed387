"""Values that are no arrays are refused in a sentence by every codec of numbers."""

from __future__ import annotations

import pytest

from recurra import registry
from recurra.errors import DataError

UNEVEN = [[0, 1], [2]]


@pytest.mark.parametrize("kind", ["vectors", "scaled", "integers"])
def test_rows_of_unequal_length_are_refused(kind: str) -> None:
    codec = registry.construct("codec", {"kind": kind}).fit([[1, 2]])
    with pytest.raises(DataError, match="rows of unequal length, which make no array"):
        codec.encode(UNEVEN)


def test_rows_of_unequal_length_are_not_fitted() -> None:
    with pytest.raises(DataError, match="rows of unequal length"):
        registry.construct("codec", {"kind": "scaled"}).fit([UNEVEN])
