"""A folder of pictures for each class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_file, some
from recurra.data.picture_files import picture_of
from recurra.data.pictures import PICTURE_ENDINGS, is_picture
from recurra.data.sample import PNG, Sample
from recurra.data.transcripts import Form, normalised
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example


@part("reader", "image-folders")
class ImageFoldersReader:
    """An example for each picture in the folders of a folder: the `image`, grey or with `colour` [H, W, 3], the name of
    its folder as `label` and as `transcript`, and its `place`.

    Classes and pictures come in the order of their names; files that are no pictures, and what lies deeper, are left
    alone. `unicode` is the form that names of folders are put into. A picture may also be named itself: what is to be
    labelled.

    Raises `DataError` for a folder without folders of pictures, and for pictures that are none.
    """

    recipe = "line-reader"
    fields: ClassVar[Mapping[str, str]] = {"image": "image", "label": "label", "transcript": "text"}
    sample: ClassVar[Sample] = Sample({"é/a.png": PNG, "b/a.png": PNG, "b/c.png": PNG}, 3, folder=True)

    def __init__(self, unicode: Form = "NFC", colour: bool = False) -> None:
        self.unicode, self.colour = unicode, colour

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pictures of the folders, in the order given."""
        for path in map(Path, paths):
            if path.is_dir():
                yield from some(
                    self._folder(path), path, f"folders of pictures ({', '.join(PICTURE_ENDINGS)}), one a class"
                )
            elif path.suffix:
                yield {"image": picture_of(path, self.colour), "place": str(path)}
            else:
                check_file(path)
                raise DataError(f"{path}: no folder, expected one with a folder of pictures for each class.")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where it is no folder of folders with pictures."""
        path = Path(path)
        if not path.is_dir():
            return None
        folders = [each for each in path.iterdir() if each.is_dir()]
        found = any(is_picture(each) for folder in folders for each in folder.iterdir())
        return "a folder of pictures for each class" if found else None

    def _folder(self, folder: Path) -> Iterator[Example]:
        for inner in sorted(each for each in folder.iterdir() if each.is_dir()):
            name = normalised(inner.name, self.unicode)
            for path in sorted(each for each in inner.iterdir() if is_picture(each) and each.is_file()):
                image = picture_of(path, self.colour)
                yield {"image": image, "label": name, "transcript": name, "place": str(path)}
