"""Lines of writing in pictures as the columns that a model reads."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from recurra.data.line_columns import columns_of
from recurra.data.pictures import opened_picture
from recurra.errors import RecurraError
from recurra.export.clients.common import FILES, vocabulary


def columns_read(given: str | np.ndarray) -> dict:
    """What the model is given of a picture, a file that Pillow opens or an array uint8 [H, W] or [H, W, 3]:
    {"input" [1, T, D], "lengths" [1]}."""
    try:
        picture = opened_picture(Path(given).read_bytes(), given) if isinstance(given, str) else given
        columns = columns_of(picture, **vocabulary("input")["settings"])
    except OSError as error:
        sys.exit(f"{given}: cannot be read ({error.strerror}).")
    except RecurraError as error:
        sys.exit(str(error))
    return {"input": columns[None], "lengths": np.array([len(columns)])}


FILES["line-image"] = columns_read
