"""Opening a picture: its size checked before it is decoded, and whatever it is written as made grey or coloured."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PIXELS = 1 << 25
"""Pixels of a picture, 33.5 million: a page at 600 dots an inch has 35 million, a line of it two."""
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Those that are opened, by Pillow's names; some of its others run programs."""
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pbm")
"""How the names of such files end, in any case."""
WHITE = 255


def is_picture(path: Path) -> bool:
    """Whether a file's name says that it is a picture."""
    return path.suffix.lower() in PICTURE_ENDINGS


def opened_picture(raw: bytes, name: str, colour: bool = False) -> NDArray[np.uint8]:
    """The picture in the bytes of a file called `name`: grey [H, W], with `colour` red, green and blue [H, W, 3].

    Palettes are looked up, 16 bits become 8, what can be seen through lies on white, and a photograph is turned as its
    EXIF says. Of several pictures in a file it is the first. Raises `DataError` for what is no picture or is cut off,
    for one of more than `MOST_PIXELS`, which is found out before it is decoded, and for pixels of 32 bits; and
    `ConfigError` where Pillow is not installed.
    """
    module = pillow()
    if not raw:
        raise DataError(f"{name}: the file is empty, expected a picture. Name another file.")
    try:
        with module.open(io.BytesIO(raw), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise _too_many(name, f"{width:,} × {height:,} pixels")
            image.load()
            return _pixels(_turned(image), name, colour)
    except DataError:
        raise
    except module.DecompressionBombError as error:  # Pillow's own limit, before it says the size
        raise _too_many(name, "a great many pixels") from error
    except module.UnidentifiedImageError as error:
        raise DataError(
            f"{name}: begins with {raw[:12].decode('latin-1')!r}, expected a picture ({', '.join(FORMATS)}). "
            "Name another file."
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a decoder for each format, and each has its own
        said = " ".join(str(error).split())[:80] or type(error).__name__
        raise DataError(f"{name}: no readable picture ({said}). Copy it again, or save it anew.") from error


def _turned(image: Any) -> Any:
    """The picture as a person holds it."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _pixels(image: Any, name: str, colour: bool) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint32)
        image = pillow().fromarray(((grey + 128) // 257).astype(np.uint8))  # 65,535 is white
    elif image.mode in ("I", "F"):
        raise DataError(f"{name}: a picture of 32 bits a pixel, expected 8 or 16. Save it anew.")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = pillow().new("RGBA", image.size, (WHITE, WHITE, WHITE, WHITE))
        image = pillow().alpha_composite(white, image)
    found = np.array(image.convert("RGB" if colour else "L"), np.uint8)
    if not found.size:
        raise DataError(f"{name}: a picture of 0 pixels. Name another file.")
    return found


def _too_many(name: str, found: str) -> DataError:
    return DataError(
        f"{name}: a picture of {found}, expected {MOST_PIXELS:,} at most. Cut the lines out of it, or make it smaller."
    )


def pillow() -> Any:
    """Pillow's module of pictures; loaded where one is opened."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ConfigError(
            "pictures are opened by Pillow, which is not installed: pip install 'recurra[images]'"
        ) from error
    return Image
