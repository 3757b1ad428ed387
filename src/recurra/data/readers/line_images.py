"""Pictures of lines in a folder, and beside each a text file of what is written in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_encoding, read_text, some
from recurra.data.picture_files import picture_of
from recurra.data.pictures import PICTURE_ENDINGS, is_picture
from recurra.data.sample import PNG, Sample
from recurra.data.transcripts import Form, normalised
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example


@part("reader", "line-images")
class LineImagesReader:
    """An example for each picture in a folder: the `image`, grey or with `colour` [H, W, 3], its `transcript`, its
    `place`.

    What is written in `name.png` stands in `name.gt.txt` beside it, as programs that read print and handwriting have
    it; `text` is another ending. Pictures are PNG, JPEG, TIFF and what else `recurra.data.pictures` opens, in the order
    of their names; other files are left alone. `unicode` is the form that transcripts are put into, NFC if not said;
    white space at their ends is cut off. Where a script is written from right to left they are in logical order.
    A picture may also be named itself, and then may be without a text: what is to be read.

    Raises `DataError` for a picture of a folder without its text and a text without its picture, for a folder without
    pictures, and for files that are no picture or no text.
    """

    recipe = "line-reader"
    fields: ClassVar[Mapping[str, str]] = {"image": "image", "transcript": "text"}
    sample: ClassVar[Sample] = Sample(
        {"a.png": PNG, "a.gt.txt": "é7\n".encode(), "b.png": PNG, "b.gt.txt": b"8"}, 2, folder=True
    )

    def __init__(
        self, encoding: str = "utf-8", text: str = ".gt.txt", unicode: Form = "NFC", colour: bool = False
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.text, self.unicode, self.colour = text, unicode, colour

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pictures of the folders, in the order given."""
        for path in map(Path, paths):
            if path.is_dir():
                expected = f"pictures ({', '.join(PICTURE_ENDINGS)}) and their texts ({self.text})"
                yield from some(self._folder(path), path, expected)
            else:
                yield self._example(path, asked=True)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the path; None where it is no folder with a picture and its text."""
        path = Path(path)
        if not path.is_dir():
            return None
        found = any(is_picture(each) and self._beside(each).is_file() for each in path.iterdir())
        return f"pictures and their texts ({self.text})" if found else None

    def _folder(self, folder: Path) -> Iterator[Example]:
        found = sorted(folder.iterdir())
        pictures = [path for path in found if is_picture(path) and path.is_file()]
        named = {self._beside(path) for path in pictures}
        for path in found:
            if path.name.endswith(self.text) and path not in named:
                name = path.name.removesuffix(self.text)
                raise DataError(
                    f"{path}: a text without its picture, expected {name}.png beside it. Copy it there, or take the "
                    "text away."
                )
        for path in pictures:
            yield self._example(path)

    def _example(self, path: Path, asked: bool = False) -> Example:
        text = self._beside(path)
        if not text.is_file() and not asked:
            raise DataError(
                f"{path}: a picture without its text, expected {text.name} beside it. Write it, or take the picture "
                "away."
            )
        image = picture_of(path, self.colour)
        if not text.is_file():
            return {"image": image, "place": str(path)}
        return {"image": image, "transcript": self._transcript(text), "place": str(path)}

    def _transcript(self, path: Path) -> str:
        found = normalised(read_text(path, self.encoding), self.unicode)
        if len(found.splitlines()) > 1:
            raise DataError(
                f"{path}: {len(found.splitlines())} lines, expected one, of what is written in the picture."
            )
        return found

    def _beside(self, picture: Path) -> Path:
        """The file of what is written in a picture."""
        return picture.with_name(picture.name[: len(picture.name) - len(picture.suffix)] + self.text)
