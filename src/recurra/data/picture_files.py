"""Pictures that lie in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.data.files import read_bytes
from recurra.data.pictures import opened_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray


def picture_of(path: Path, colour: bool = False) -> NDArray[np.uint8]:
    """The picture in a file. Raises as `opened_picture` and `read_bytes` do."""
    return opened_picture(read_bytes(path), str(path), colour)
