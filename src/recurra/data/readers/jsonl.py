"""One JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from recurra.data.files import check_encoding, counted, head_lines, read_lines, shortened, some
from recurra.data.numbers import number_in
from recurra.data.pieces import cut_at_lines, ends_lines, lines_of, named
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

_OBJECT = re.compile(r'\s*\{\s*"')
_NAMES = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number", bool: "a truth value"}


@part("reader", "jsonl")
class JsonLinesReader:
    """One example a line: what the keys called `text`, `tokens`, `tags`, `label`, `number` and `scale` hold, and its
    `place`.

    The settings say what the keys are called in the file. A key that is missing or null gives nothing, and other keys
    are left out. A label that is a list gives `labels`. Labels, tags and scales that are whole numbers or truth values
    are written as JSON writes them.

    Raises `DataError` for a line that is no JSON object, holds neither text nor tokens, where a value is of another
    type, a number is not finite, or there are more or fewer tags than tokens.
    """

    recipe = "tagger"
    fields: ClassVar[Mapping[str, str]] = {
        "text": "text",
        "tokens": "tokens",
        "tags": "tags",
        "label": "label",
        "labels": "labels",
        "number": "number",
        "scale": "label",
    }
    sample: ClassVar[Sample] = Sample({"a": '{"text": "é", "label": "x"}\n{"text": "b", "label": "y"}\n'}, 2)

    def __init__(
        self,
        encoding: str = "utf-8",
        text: str = "text",
        label: str = "label",
        tokens: str = "tokens",
        tags: str = "tags",
        number: str = "number",
        scale: str = "scale",
    ) -> None:
        self.encoding = check_encoding(encoding)
        self.keys = {"text": text, "tokens": tokens, "tags": tags, "label": label, "number": number, "scale": scale}

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The examples of the files, in the order given."""
        for path in map(Path, paths):
            lines = read_lines(path, self.encoding)
            yield from some(self._examples(lines, str(path)), path, "a JSON object a line")

    def pieces(self, path: Path, size: int) -> list[tuple[int, int]] | None:
        """Where a plain file is cut, at line ends; None of one in gzip, or in an encoding without such bytes."""
        return cut_at_lines(path, size) if ends_lines(self.encoding) else None

    def read_piece(self, path: Path, begin: int, end: int) -> Iterator[Example]:
        """The examples in the lines of the bytes from `begin` to before `end`."""
        return self._examples(lines_of(path, begin, end, self.encoding), named(path, begin))

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if its first line is no JSON object."""
        first = next((line for line in head_lines(Path(path), self.encoding) if line.strip()), "")
        return "a JSON object a line" if _OBJECT.match(first) else None

    def _examples(self, lines: Iterable[tuple[int, str]], name: str) -> Iterator[Example]:
        for number, line in lines:
            if line.strip():
                place = f"{name}:{number}"
                yield {**self._example(json_object(line, place), place), "place": place}

    def _example(self, found: dict[str, Any], place: str) -> dict[str, Any]:
        there = {field: found[key] for field, key in self.keys.items() if found.get(key) is not None}
        if not there.keys() & {"text", "tokens"}:
            raise DataError(
                f"{place}: no key {self.keys['text']!r} or {self.keys['tokens']!r}, found "
                f"{', '.join(map(repr, list(found)[:8])) or 'none'}. Name it: --set reader.kind=jsonl "
                "--set reader.text=KEY (or reader.tokens)."
            )
        example: dict[str, Any] = {}
        if "text" in there:
            if not isinstance(there["text"], str):
                raise self._wrong("text", there["text"], "a string", place)
            example["text"] = there["text"]
        if "tokens" in there:
            tokens = there["tokens"]
            if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
                raise self._wrong("tokens", tokens, "a list of strings", place)
            example["tokens"] = tokens
        if "tags" in there:
            example["tags"] = self._tags(there["tags"], example.get("tokens"), place)
        if "label" in there:
            several = isinstance(there["label"], list)
            names = [_name(value) for value in (there["label"] if several else [there["label"]])]
            if None in names:
                raise self._wrong("label", there["label"], "a string, a whole number or a list of them", place)
            self._not_empty("label", names, place)
            example |= {"labels": list(dict.fromkeys(names))} if several else {"label": names[0]}
        if "number" in there:
            number = there["number"]
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                raise self._wrong("number", number, "a number", place)
            example["number"] = number_in(str(number), place, f"as {self.keys['number']!r}")
        if "scale" in there:
            scale = _name(there["scale"])
            if scale is None:
                raise self._wrong("scale", there["scale"], "a string or a whole number", place)
            self._not_empty("scale", [scale], place)
            example["scale"] = scale
        return example

    def _tags(self, values: Any, tokens: list[str] | None, place: str) -> list[str]:
        if not isinstance(values, list):
            raise self._wrong("tags", values, "a list of strings", place)
        tags = [name for value in values if (name := _name(value)) is not None]
        if len(tags) != len(values):
            raise self._wrong("tags", values, "a list of strings", place)
        self._not_empty("tags", tags, place)
        if tokens is None:
            raise DataError(
                f"{place}: {self.keys['tags']!r} without {self.keys['tokens']!r}, expected a token for each tag. "
                "Name the key of the tokens: --set reader.kind=jsonl --set reader.tokens=KEY"
            )
        if len(tags) != len(tokens):
            raise DataError(
                f"{place}: {counted(len(tags), 'tag')}, expected {len(tokens)}, one for each token. Mend this line."
            )
        return tags

    def _not_empty(self, field: str, names: Collection[str | None], place: str) -> None:
        if "" in names:
            raise DataError(f"{place}: an empty name in {self.keys[field]!r}. Write one there, or leave the line out.")

    def _wrong(self, field: str, value: Any, expected: str, place: str) -> DataError:
        return DataError(
            f"{place}: {self.keys[field]!r} is {_NAMES[type(value)]}, {shortened(json.dumps(value))}, "
            f"expected {expected}. Mend this line, or name another key: --set reader.kind=jsonl --set "
            f"reader.{field}=KEY"
        )


def json_object(line: str, place: str, like: str = '{"text": …, "label": …}') -> dict[str, Any]:
    """The object in a line of a file. Raises `DataError`, naming the place, for what is none; `like` is one."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{place}: no JSON ({error.msg}, column {error.colno}), expected one whole object in each line. "
            "Mend this line; an object over several lines has to be put into one."
        ) from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, brackets too deep
        raise DataError(f"{place}: JSON that cannot be read ({error}). Mend this line.") from error
    try:
        if "\\u" in line:
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: {error.object[error.start]!r} is half a character (a lone surrogate), expected whole ones. "
            "Mend this line; text is not to be cut between the two halves."
        ) from error
    if not isinstance(found, dict):
        what = "null" if found is None else _NAMES[type(found)]
        raise DataError(f"{place}: {what}, {shortened(line)}, expected an object like {like}. Mend this line.")
    return found


def _name(value: Any) -> str | None:
    """A label or tag as text; None where it can be neither."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, int) else None
