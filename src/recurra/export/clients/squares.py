"""Pictures as the squares of coloured pixels that a model reads."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from recurra.data.pictures import opened_picture
from recurra.data.squares import square_of
from recurra.errors import RecurraError
from recurra.export.clients.common import FILES, vocabulary


def square_read(given: str | np.ndarray) -> dict:
    """What the model is given of a picture, a file that Pillow opens or an array uint8 [H, W] or [H, W, 3]:
    {"input" [1, side, 3 · side], "lengths" [1]}."""
    try:
        picture = opened_picture(Path(given).read_bytes(), given, colour=True) if isinstance(given, str) else given
        rows = square_of(picture, **vocabulary("input")["settings"])
    except OSError as error:
        sys.exit(f"{given}: cannot be read ({error.strerror}).")
    except RecurraError as error:
        sys.exit(str(error))
    return {"input": rows[None].astype(np.float32), "lengths": np.array([len(rows)])}


FILES["picture"] = square_read
