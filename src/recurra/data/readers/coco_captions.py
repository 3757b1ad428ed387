"""One JSON object with a list of pictures and a list of captions that name them by number, as of COCO."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from recurra.data.captioned import FIELDS, captioned, check_longest, checked_captions, inside
from recurra.data.files import check_encoding, read_head, read_text, shortened, some
from recurra.data.named_pictures import with_archives
from recurra.data.sample import Sample, zipped
from recurra.data.transcripts import Form
from recurra.data.zipped import Zipped
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

_SIGN = re.compile(r'^\s*\{.*"(images|annotations)"\s*:\s*\[', re.DOTALL)
LIKE = '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "…"}]}'


def _sample() -> dict[str, str | bytes]:
    whole = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}],
        "annotations": [
            {"image_id": 9, "caption": "a tree"},
            {"image_id": 7, "caption": "a café ."},
            {"image_id": 7, "caption": "a wall"},
        ],
    }
    return {"a.json": json.dumps(whole, ensure_ascii=False).encode(), "a.zip": zipped("a.png", "b.png")}


@part("reader", "coco-captions")
class CocoCaptionsReader:
    """An example for each of "images": the `image` of its "file_name", in colour, the captions of the "annotations"
    with its "id" as `targets`, its name as `id`, its `place`.

    Pictures lie beside the file, or in `folder` from there on; or in a zip archive, which is named behind the file:
    `captions_val2017.json val2017.zip`, then with `folder` "val2017". A file without any annotation holds pictures to
    be captioned. `unicode` is the form that captions are put into. A picture whose longer side has more than `longest`
    pixels is made smaller.

    Raises `DataError` for a file that is no such JSON, for a caption without a word or without its picture, a picture
    without a caption, and for pictures that are missing or none.
    """

    recipe = "caption"
    fields: ClassVar[Mapping[str, str]] = FIELDS
    sample: ClassVar[Sample] = Sample(_sample(), 2)

    def __init__(self, encoding: str = "utf-8", folder: str = "", unicode: Form = "NFC", longest: int = 256) -> None:
        self.encoding = check_encoding(encoding)
        self.folder, self.unicode, self.longest = folder, unicode, check_longest(longest)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pictures of the files, in the order given."""
        for path, held in with_archives(paths, "JSON file"):
            yield from some(self._examples(path, held), path, f"pictures and captions like {LIKE}")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if it is no JSON object with such lists."""
        head = read_head(Path(path), self.encoding)
        return "a JSON object with images and annotations" if head is not None and _SIGN.match(head.text) else None

    def _examples(self, path: Path, held: Zipped | None) -> Iterator[Example]:
        whole = self._whole(path)
        named: dict[Any, str] = {}
        for k, each in enumerate(whole["images"]):
            number, name = (each.get("id"), each.get("file_name")) if isinstance(each, dict) else (None, None)
            if not isinstance(number, (int, str)) or not isinstance(name, str):
                raise DataError(f'{path}: images[{k}] is {_short(each)}, expected an "id" and a "file_name". Mend it.')
            if number in named:
                raise DataError(f"{path}: images[{k}] has the id {number}, as {named[number]!r} has. Give it its own.")
            named[number] = name
        captions: dict[Any, list[Any]] = {number: [] for number in named}
        for k, each in enumerate(whole["annotations"]):
            number = each.get("image_id") if isinstance(each, dict) else None
            if not isinstance(number, (int, str)) or "caption" not in each:
                raise DataError(
                    f'{path}: annotations[{k}] is {_short(each)}, expected an "image_id" and a "caption". Mend it.'
                )
            if number not in captions:
                raise DataError(
                    f"{path}: annotations[{k}] is of picture {number}, which is none of the {len(named):,} images. "
                    "Add it there, or leave the caption out."
                )
            captions[number] += checked_captions([each["caption"]], self.unicode, f"{path}: annotations[{k}]")
        for k, (number, name) in enumerate(named.items()):
            place = f"{path}: images[{k}]"
            if whole["annotations"]:
                checked_captions(captions[number], self.unicode, f"{place}, {name}")
            own, folder = inside(self.folder, name, path, held)
            yield captioned(own, captions[number] or None, folder, held, self.longest, place)

    def _whole(self, path: Path) -> dict[str, Any]:
        try:
            found = json.loads(read_text(path, self.encoding))
        except (ValueError, RecursionError) as error:
            said = " ".join(str(error).split())[:80]
            raise DataError(f"{path}: no JSON ({said}), expected one object like {LIKE}. Mend it.") from error
        lists = {name: found.get(name, []) for name in ("images", "annotations")} if isinstance(found, dict) else {}
        if not lists or not all(isinstance(each, list) for each in lists.values()) or not lists["images"]:
            raise DataError(f"{path}: no list of images in {_short(found)}, expected one object like {LIKE}.")
        return lists


def _short(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False))
