"""JSON lines that name pictures, in files of their own or in a zip archive, and say what is written in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from recurra.data.files import check_encoding, head_lines, read_lines, shortened, some
from recurra.data.named_pictures import IMAGES, named_picture, with_archives
from recurra.data.pictures import PICTURE_ENDINGS
from recurra.data.readers.jsonl import json_object
from recurra.data.sample import Sample, zipped
from recurra.data.transcripts import Form, normalised
from recurra.data.zipped import Zipped
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

TEXTS = ("text", "transcript", "transcription", "ground_truth", "sentence")
"""That of what is written in it."""
_NAMED = re.compile(r'"[^"]+(?:' + "|".join(map(re.escape, PICTURE_ENDINGS)) + r')"', re.IGNORECASE)


def _sample() -> dict[str, str | bytes]:
    rows = '{"file": "a.png", "text": "é7"}\n{"file": "b.png", "text": "8", "label": 1}\n'
    return {"a.jsonl": rows.encode(), "a.zip": zipped("a.png", "b.png")}


@part("reader", "jsonl-images")
class JsonLinesImagesReader:
    """An example a line: the `image` it names, grey or with `colour` [H, W, 3], the `transcript`, a `label`, a `group`
    (who wrote it, which page it is of), and its `place`.

    Pictures lie where the lines say, from the folder of their file on; or in a zip archive, which is named behind the
    file: `train.jsonl train_images.zip`. `image`, `text`, `label` and `group` are the keys; "auto": the first of
    `IMAGES` and of `TEXTS` that a line has. A key that is missing gives nothing, but for that of the picture. `unicode`
    is the form that transcripts are put into; white space at their ends is cut off, and they are in logical order.

    Raises `DataError` for a line that is no JSON object or names no picture, for a transcript or a label of another
    type, for pictures that are missing or none, and for an archive before its lines or that is not sound.
    """

    recipe = "line-reader"
    fields: ClassVar[Mapping[str, str]] = {"image": "image", "transcript": "text", "label": "label"}
    sample: ClassVar[Sample] = Sample(_sample(), 2)

    def __init__(
        self,
        encoding: str = "utf-8",
        image: str = "auto",
        text: str = "auto",
        label: str = "label",
        group: str = "group",
        unicode: Form = "NFC",
        colour: bool = False,
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.image = IMAGES if image == "auto" else (image,)
        self.text = TEXTS if text == "auto" else (text,)
        self.label, self.group, self.unicode, self.colour = label, group, unicode, colour

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pictures of the files, in the order given."""
        for path, held in with_archives(paths, "JSON lines"):
            yield from self._file(path, held)

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its first line is no JSON object that names a picture."""
        first = next((line for line in head_lines(Path(path), self.encoding) if line.strip()), "")
        return "a JSON object a line that names a picture" if first.startswith("{") and _NAMED.search(first) else None

    def _file(self, path: Path, held: Zipped | None) -> Iterator[Example]:
        yield from some(self._examples(path, held), path, "a JSON object a line that names a picture")

    def _examples(self, path: Path, held: Zipped | None) -> Iterator[Example]:
        for number, line in read_lines(path, self.encoding):
            if line.strip():
                place = f"{path}:{number}"
                found = json_object(line, place, '{"image": "a.png", "text": …}')
                yield {**self._example(found, path, held, place), "place": place}

    def _example(self, found: Mapping[str, Any], path: Path, held: Zipped | None, place: str) -> dict[str, Any]:
        name = self._string(found, self.image, "image", place)
        if name is None:
            raise DataError(
                f"{place}: no key {' or '.join(map(repr, self.image))}, found "
                f"{', '.join(map(repr, list(found)[:8])) or 'none'}. Name that of the picture: --set "
                "reader.kind=jsonl-images --set reader.image=KEY"
            )
        example: dict[str, Any] = {"image": named_picture(name, path.parent, held, place, self.colour)}
        text = self._string(found, self.text, "text", place)
        if text is not None:
            example["transcript"] = normalised(text, self.unicode)
        for field, key in (("label", self.label), ("group", self.group)):
            value = found.get(key)
            if value is None:
                continue
            if not isinstance(value, (str, int)) or value == "":
                raise DataError(f"{place}: {key!r} is {shortened(json.dumps(value))}, expected a name or a number.")
            example[field] = value if isinstance(value, str) else json.dumps(value)
        return example

    def _string(self, found: Mapping[str, Any], keys: tuple[str, ...], setting: str, place: str) -> str | None:
        key = next((key for key in keys if found.get(key) is not None), None)
        if key is None:
            return None
        value = found[key]
        if not isinstance(value, str):
            raise DataError(
                f"{place}: {key!r} is {shortened(json.dumps(value))}, expected a string (a number loses its zeros). "
                f"Mend this line, or name another key: --set reader.kind=jsonl-images --set reader.{setting}=KEY"
            )
        return value
