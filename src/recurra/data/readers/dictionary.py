"""A pronouncing dictionary: words and how they are said, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from recurra.data.files import check_encoding, head_lines, nearly_all, read_lines, shortened
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

COMMENT = ";;;"
_VARIANT = re.compile(r"(.+)\(\d+\)")
_LINE = re.compile(r"\S+  +\S+(?: \S+)*\s*")
_SOUND = (
    "(?:AA|AE|AH|AO|AW|AY|B|CH|D|DH|EH|ER|EY|F|G|HH|IH|IY|JH|K|L|M|N|NG|OW|OY|P|R|S|SH|T|TH|UH|UW|V|W|Y|Z|ZH)[012]?"
)
_ARPABET = re.compile(rf"\S+ {_SOUND}(?: {_SOUND})*\s*(?:#.*)?")


@part("reader", "dictionary")
class DictionaryReader:
    """One example a word: as `source` the word, as `targets` all its pronunciations, as `place` its first line.

    A line is `WORD  PH ON EM ES`: a word, white space (one space in the newer cmudict), phonemes parted by white space;
    where a tab comes before the phonemes, the word may hold spaces. Further pronunciations of a word stand in lines of
    their own, anywhere, for the same word or for `WORD(1)`, `WORD(2)`. Blank lines, lines that begin with `;;;` and
    what follows a `#` among the phonemes are left out.

    Raises `DataError` for a word without a pronunciation, and for a file without words.
    """

    recipe = "pronounce"
    fields: ClassVar[Mapping[str, str]] = {"source": "text", "target": "text", "targets": "texts"}
    sample: ClassVar[Sample] = Sample({"a": ";;; é\nTWO  T UW\nREAD  R EH D\nREAD(1)  R IY D\n"}, 2)
    """"target" as well: it serves whoever learns one."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = check_encoding(encoding)

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The words of all the files, in the order in which each comes first."""
        words: dict[str, dict[str, None]] = {}
        places: dict[str, str] = {}
        for path in map(Path, paths):
            found = False
            for number, line in read_lines(path, self.encoding):
                if not line.strip() or line.startswith(COMMENT):
                    continue
                found, place = True, f"{path}:{number}"
                word, phonemes = _entry(line, place)
                words.setdefault(word, {})[phonemes] = None
                places.setdefault(word, place)
            if not found:
                raise DataError(f"{path}: no word in it, expected words and their phonemes. Name another file.")
        for word, sounds in words.items():
            yield {"source": word, "targets": list(sounds), "place": places[word]}

    def sniff(self, path: str | Path) -> str | None:
        """Why this reader takes the file; None if most of its lines do not part a word by two spaces, nor by one from
        the sounds of English as the cmudict writes them."""
        lines = [line for line in head_lines(Path(path), self.encoding) if line.strip()]
        entries = [line for line in lines if not line.startswith(COMMENT)]
        spoken = nearly_all("\t" not in line and _LINE.fullmatch(line) is not None for line in entries)
        if spoken:
            return "a word, two spaces and its phonemes a line"
        sounds = nearly_all(_ARPABET.fullmatch(line) is not None for line in entries)
        return "a word, a space and its sounds in ARPAbet a line" if sounds else None


def _entry(line: str, place: str) -> tuple[str, str]:
    """Word and pronunciation of a line."""
    word, tab, rest = line.strip().partition("\t")
    if not tab:
        word, _, rest = line.strip().partition(" ")
    phonemes = rest.split("#")[0].split()
    word = word.strip()
    if not phonemes:
        raise DataError(
            f"{place}: {shortened(word)} has no pronunciation, expected a word, white space and its phonemes, such as "
            "`TWO  T UW`. Write it there, or leave the line out."
        )
    variant = _VARIANT.fullmatch(word)
    return variant[1] if variant else word, " ".join(phonemes)
