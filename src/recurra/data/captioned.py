"""What readers of pictures and the sentences about them have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.data.files import shortened
from recurra.data.named_pictures import named_picture
from recurra.data.squares import shrunk
from recurra.data.transcripts import Form, normalised
from recurra.data.zipped import Zipped
from recurra.errors import ConfigError, DataError
from recurra.types import Example

FIELDS: Mapping[str, str] = {"image": "image", "targets": "texts"}
"""What such readers give."""


def check_longest(longest: int) -> int:
    """The setting as it is; raises `ConfigError` for less than a pixel."""
    if longest < 1:
        raise ConfigError(f"reader.longest = {longest}, expected 1 pixel or more for the longer side of a picture.")
    return longest


def checked_captions(found: Sequence[Any], form: Form, place: str, skip: bool = False) -> list[str]:
    """The captions of one picture. Raises `DataError` where there is none, and for one that is no text or no word; with
    `skip` one without a word is left out, where there are others."""
    if not found:
        raise DataError(f"{place}: a picture without a caption. Write one, or leave the picture out.")
    captions = []
    for one in found:
        if not isinstance(one, str):
            raise DataError(f"{place}: {shortened(repr(one))} in the place of a caption, expected a text. Mend it.")
        caption = " ".join(normalised(one, form).split())
        if not any(map(str.isalnum, caption)):
            if skip and len(found) > 1:
                continue
            raise DataError(f"{place}: the caption {shortened(one)} has no word. Write one, or leave it out.")
        captions.append(caption)
    return captions or checked_captions(found[:1], form, place)


def captioned(
    name: str, captions: Sequence[str] | None, folder: Path, held: Zipped | None, longest: int, place: str
) -> Example:
    """The example of a picture and its captions; None: it has none, and is asked."""
    image = shrunk(named_picture(name, folder, held, place, colour=True), longest)
    found: Example = {"image": image, "id": name, "place": place}
    return found if captions is None else {**found, "targets": list(captions)}


def inside(folder: str, name: str, path: Path, held: Zipped | None) -> tuple[str, Path]:
    """A picture's name and the folder that it is found from, where pictures lie in a `folder` of their own."""
    if held is None:
        return name, path.parent / folder
    return (f"{folder.rstrip('/')}/{name}" if folder else name), path.parent
