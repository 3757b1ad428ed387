"""JSON lines that name pictures, and hold the sentences about each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from recurra.data.captioned import FIELDS, captioned, check_longest, checked_captions, inside
from recurra.data.files import check_encoding, head_lines, read_lines, shortened, some
from recurra.data.named_pictures import IMAGES, with_archives
from recurra.data.readers.jsonl import json_object
from recurra.data.sample import Sample, zipped
from recurra.data.transcripts import Form
from recurra.data.zipped import Zipped
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

CAPTIONS = ("captions", "caption", "sentences")
"""What the key of the sentences is called, where the settings do not say."""
_SIGN = re.compile(r'"(?:' + "|".join(CAPTIONS) + r')"\s*:')


def _sample() -> dict[str, str | bytes]:
    rows = '{"file": "a.png", "captions": ["a café .", "a wall"]}\n{"file": "b.png", "captions": "a tree"}\n'
    return {"a.jsonl": rows.encode(), "a.zip": zipped("a.png", "b.png")}


@part("reader", "jsonl-captions")
class JsonLinesCaptionsReader:
    """An example a line: the `image` it names, in colour, its captions as `targets`, its name as `id`, its `place`.

    Pictures lie where the lines say, from the folder of their file on, or from `folder` in it; or in a zip archive,
    which is named behind the file: `train.jsonl train_images.zip`. `image` and `captions` are the keys; "auto": the
    first of `IMAGES` and of `CAPTIONS` that a line has. Captions are a list of texts, or one; a file without the key
    holds pictures to be captioned. Where `split` names a part only lines are taken whose "split" it is. `unicode` is
    the form that captions are put into. A picture whose longer side has more than `longest` pixels is made smaller.
    With `skip_wordless` captions without a word are left out, where a picture has others.

    Raises `DataError` for a line that is no JSON object or names no picture, for a caption without a word and a picture
    without a caption, for pictures that are missing or none, and for an archive before its lines or that is not sound.
    """

    recipe = "caption"
    fields: ClassVar[Mapping[str, str]] = FIELDS
    sample: ClassVar[Sample] = Sample(_sample(), 2)

    def __init__(
        self,
        encoding: str = "utf-8",
        image: str = "auto",
        captions: str = "auto",
        folder: str = "",
        split: str | None = None,
        unicode: Form = "NFC",
        longest: int = 256,
        skip_wordless: bool = False,
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.image = IMAGES if image == "auto" else (image,)
        self.captions = CAPTIONS if captions == "auto" else (captions,)
        self.folder, self.split, self.unicode = folder, split, unicode
        self.longest, self.skip_wordless = check_longest(longest), skip_wordless

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The pictures of the files, in the order given."""
        for path, held in with_archives(paths, "JSON lines"):
            yield from some(self._examples(path, held), path, 'a JSON object a line with a picture and its "captions"')

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its first line is no JSON object with captions."""
        first = next((line for line in head_lines(Path(path), self.encoding) if line.strip()), "").strip()
        whole = first.startswith("{") and first.endswith("}")
        return "a JSON object a line with captions" if whole and _SIGN.search(first) else None

    def _examples(self, path: Path, held: Zipped | None) -> Iterator[Example]:
        """Those of a file: all of them with captions, or none."""
        first: Example = {}
        for example in self._each(path, held):
            first = first or example
            if ("targets" in example) != ("targets" in first):
                lacks = first if "targets" in example else example
                raise DataError(
                    f"{lacks['place']}: a picture without a caption, where others have one. Write one, or leave the "
                    "picture out."
                )
            yield example

    def _each(self, path: Path, held: Zipped | None) -> Iterator[Example]:
        for number, line in read_lines(path, self.encoding):
            place = f"{path}:{number}"
            if line.strip():
                found = json_object(line, place, '{"image": "a.jpg", "captions": ["…", "…"]}')
                if self.split is None or found.get("split") == self.split:
                    yield self._example(found, path, held, place)

    def _example(self, found: Mapping[str, Any], path: Path, held: Zipped | None, place: str) -> Example:
        name = next((found[key] for key in self.image if found.get(key) is not None), None)
        if not isinstance(name, str):
            what = f"found {', '.join(map(repr, list(found)[:8])) or 'none'}" if name is None else "it is no text"
            raise DataError(
                f"{place}: no key {' or '.join(map(repr, self.image))} that names a picture, {what}. Name it: "
                "--set reader.kind=jsonl-captions --set reader.image=KEY"
            )
        held_captions = next((found[key] for key in self.captions if found.get(key) is not None), None)
        captions = None
        if held_captions is not None:
            listed = [held_captions] if isinstance(held_captions, str) else held_captions
            if not isinstance(listed, list):
                raise DataError(
                    f"{place}: the captions are {shortened(json.dumps(held_captions))}, expected a list of texts. Mend "
                    "this line, or name another key: --set reader.kind=jsonl-captions --set reader.captions=KEY"
                )
            captions = checked_captions(listed, self.unicode, place, self.skip_wordless)
        name, folder = inside(self.folder, name, path, held)
        return captioned(name, captions, folder, held, self.longest, place)
