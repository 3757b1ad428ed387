"""Poems of a regular form, one JSON object a line; the prompt a poem is written for, and the lines of one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from recurra.data.files import check_encoding, counted, head_lines, read_lines, shortened, some
from recurra.data.readers.jsonl import json_object
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

FORMS = ("5x4", "7x4", "5x8", "7x8")
"""Characters of a line x lines: the two lengths of the quatrain (絕句) and of the regulated verse (律詩)."""
USUAL = "5x8"
"""The form of a poem for which only a title is named."""
MARKS = "，。？！；：、"
"""What a line may end with."""
KEYS = {"title": str, "form": str, "paragraphs": list}
_SIGN = re.compile(r'\s*\{.*"paragraphs"\s*:')
_FORM = re.compile(r"\s*([0-9]+)\s*[xX×*]\s*([0-9]+)(?![0-9a-zA-Z])")


@part("reader", "poems")
class PoemReader:
    """One example a poem: its form and title as `source`, "5x8 春望", its text as `target`, its `place`, and its
    `split` where the file says one.

    A line of the file is an object with the keys `title`, `form` (characters of a line x lines, one of `FORMS`) and
    `paragraphs`, the text in one piece or more. In the text every line is as many characters as the form says, and one
    of `MARKS`; white space is left out. Other keys are left out.

    Raises `DataError` for a line that is no such object, and for a text that is not in its form.
    """

    recipe = "poem"
    fields: ClassVar[Mapping[str, str]] = {"source": "text", "target": "text"}
    sample: ClassVar[Sample] = Sample(
        {"a": '{"title": "夜", "form": "5x4", "paragraphs": ["山水夜風香，石雨落秋光。雪月古江長，客夢起天霜。"]}\n'},
        1,
    )

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = check_encoding(encoding)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The poems of the files, in the order given."""
        for path in map(Path, paths):
            yield from some(self._poems(path), path, "a poem as a JSON object a line")

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its first line is no object with paragraphs."""
        first = next((line for line in head_lines(Path(path), self.encoding) if line.strip()), "")
        return "a JSON object with paragraphs a line" if _SIGN.match(first) else None

    def _poems(self, path: Path) -> Iterator[Example]:
        for number, line in read_lines(path, self.encoding):
            if line.strip():
                place = f"{path}:{number}"
                yield _poem(json_object(line, place, '{"title": …, "form": "5x8", "paragraphs": […]}'), place)


def prompt(text: str) -> str:
    """What a poem is written for, as training saw it: "7x4 春望" of "7 × 4  春望"; a title alone gets `USUAL`.

    Raises `DataError` for another form than `FORMS`, and for a form without a title.
    """
    found = _FORM.match(text)
    form = USUAL if found is None else "x".join(map(str, _sizes(found)))
    title = " ".join((text if found is None else text[found.end() :]).split())
    if form not in FORMS:
        raise DataError(
            f"{form} in {shortened(text)} is a form no poem is written in, expected {', '.join(FORMS)}: characters of "
            f'a line x lines. Write it before the title, "7x4 {title}", or leave it away for {USUAL}.'
        )
    if not title:
        raise DataError(f'no title in {shortened(text)}, expected one behind the form: "{form} 春望".')
    return f"{form} {title}"


def form_of(source: str) -> tuple[int, int]:
    """Characters of a line, and lines, that a source asks for. Raises `DataError` for one that begins otherwise."""
    found = _FORM.match(source)
    if found is None:
        raise DataError(
            f'{shortened(source)} begins with no form, expected {", ".join(FORMS)} before the title: "5x8 春望".'
        )
    return _sizes(found)


def _sizes(found: re.Match[str]) -> tuple[int, int]:
    """The two numbers of a form, of nine digits at most: Python reads no number of thousands."""
    return int(found[1][:9]), int(found[2][:9])


def verses(text: str) -> list[str]:
    """The lines of a poem, each with the mark it ends with; without one, the last may stand."""
    return re.findall(f"[^{MARKS}]*[{MARKS}]|[^{MARKS}]+", "".join(text.split()))


def has_form(text: str, width: int, lines: int) -> bool:
    """Whether a poem is so many lines of so many characters, each with a mark behind it and none within."""
    found = verses(text)
    return len(found) == lines and all(_fault(line, width) is None for line in found)


def is_character(symbol: str) -> bool:
    """Whether a symbol is one character of those that lines are made of."""
    return len(symbol) == 1 and unicodedata.category(symbol) in ("Lo", "Nl")


def _fault(line: str, width: int) -> str | None:
    """What is wrong with a line."""
    if line[-1] not in MARKS:
        return f"ends with none of {MARKS}"
    strange = next((c for c in line[:-1] if not is_character(c)), None)
    if strange is not None:
        return f"has {strange!r} among its characters"
    return None if len(line) == width + 1 else f"has {counted(len(line) - 1, 'character')}, expected {width}"


def _poem(found: Mapping[str, Any], place: str) -> dict[str, str]:
    _check_keys(found, place)
    form, title, text = found["form"], " ".join(found["title"].split()), "".join("".join(found["paragraphs"]).split())
    width, lines = form_of(form)
    written = verses(text)
    mend = f"not in its form, {form}. Mend the text or its form, or leave it out."
    for number, line in enumerate(written[:lines], 1):
        fault = _fault(line, width)
        if fault is not None:
            raise DataError(f"{place}: line {number} of the poem, {shortened(line)}, {fault}: it is {mend}")
    if len(written) != lines:
        raise DataError(f"{place}: a poem of {counted(len(written), 'line')} is {mend}")
    poem = {"source": f"{form} {title}", "target": text, "place": place}
    return poem | ({"split": found["split"]} if isinstance(found.get("split"), str) else {})


def _check_keys(found: Mapping[str, Any], place: str) -> None:
    """Refuse an object that lacks what a poem is made of."""
    for key, kind in KEYS.items():
        value = found.get(key)
        if isinstance(value, kind) and (kind is str or all(isinstance(piece, str) for piece in value)) and value:
            continue
        wanted = "a list of strings" if kind is list else "a string"
        there = shortened(repr(value)) if key in found else f"only {', '.join(map(repr, found)) or 'nothing'}"
        raise DataError(
            f"{place}: {key!r} is to be {wanted} that holds something, found {there}. Mend this line, or leave it out."
        )
    if found["form"] not in FORMS:
        raise DataError(
            f"{place}: 'form' is {shortened(found['form'])}, expected {', '.join(FORMS)}: characters of a line x lines."
        )
    if not found["title"].strip():
        raise DataError(f"{place}: 'title' holds nothing. Write one, or leave the line out.")
