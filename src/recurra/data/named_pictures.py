"""Pictures that a file names: beside it, or in an archive that is named behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.data.files import read_start
from recurra.data.picture_files import picture_of
from recurra.data.pictures import opened_picture
from recurra.data.zipped import ZIP, Zipped
from recurra.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES = ("image", "file", "file_name", "image_path", "path", "filename")
"""What the key, or the column, of a picture's name is called, where the settings do not say."""


def with_archives(paths: tuple[str | Path, ...], what: str) -> Iterator[tuple[Path, Zipped | None]]:
    """Each file, with the archive of pictures that is named behind it. `what` they hold is said in the `DataError` for
    an archive before its file."""
    waiting: Path | None = None
    for path in map(Path, paths):
        if read_start(path, len(ZIP)) == ZIP:
            if waiting is None:
                raise DataError(
                    f"{path}: an archive of pictures, and no {what} before it that say what is in them. Name "
                    f"the file of {what.removeprefix('JSON ')} first, then the archive."
                )
            yield waiting, Zipped(path)
            waiting = None
            continue
        if waiting is not None:
            yield waiting, None
        waiting = path
    if waiting is not None:
        yield waiting, None


def named_picture(name: str, folder: Path, held: Zipped | None, place: str, colour: bool = False) -> NDArray[Any]:
    """The picture that a file names at a place in it: from the archive, or else from the `folder` on. Raises
    `DataError`, naming the place, for one that is missing or none."""
    try:
        if held is not None:
            return opened_picture(held.read(name), f"{held.path}, {name}", colour)
        if "\0" in name:
            raise DataError("a NUL character in the name of a picture, expected the path of one.")
        return picture_of(folder / name, colour)
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
