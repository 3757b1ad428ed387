"""Text that was encoded elsewhere: raw numbers of symbols, as nanoGPT's `.bin`, and a file that says what they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from recurra import forms
from recurra.data.codecs.subwords import BYTE_OF
from recurra.data.files import LARGEST, check_file
from recurra.data.sample import Sample
from recurra.errors import DataError
from recurra.registry import part
from recurra.types import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

BESIDE = "symbols.json"
_MADE = (
    "It is a JSON list of the symbols in their order, or an object of a number to its symbol, or of a symbol to its "
    "number, as GPT-2's vocab.json. Of nanoGPT's meta.pkl, where you trust it: python -c \"import json, pickle; "
    "json.dump(pickle.load(open('meta.pkl', 'rb'))['itos'], open('symbols.json', 'w'))\""
)


@part("reader", "symbol-ids")
class SymbolIdsReader:
    """One example a file: the text that the numbers of symbols in it write, and its path.

    The numbers are raw and little-endian, of `size` bytes each, without a header: nanoGPT's `train.bin` and `val.bin`
    are such files. What each stands for says `symbols`, a file of JSON, `symbols.json` beside the file where none is
    named: a list; an object of number to symbol; or one of symbol to number, in which symbols are written as GPT-2
    writes bytes.

    Raises `DataError` for a file that is missing, empty, or not of whole numbers, for a number that has no symbol, and
    where what the numbers stand for is not said.
    """

    recipe = "char-lm"
    fields: ClassVar[Mapping[str, str]] = {"text": "text"}
    sample: ClassVar[Sample] = Sample(
        {"a.bin": np.array([1, 0, 2], "<u2").tobytes()},
        1,
        beside={BESIDE: b'["\\n", "\\u00e9", "b"]'},
        sniffed=False,
    )

    def __init__(self, symbols: str | None = None, size: Literal[1, 2, 4] = 2) -> None:
        self.symbols, self.size = symbols, size
        self._read: dict[Path, list[bytes]] = {}

    def read(self, *paths: str | Path) -> Iterator[Example]:
        """The texts of the files, in the order given."""
        for path in map(Path, paths):
            ids = self._ids(path)
            if ids.nbytes > LARGEST:
                raise DataError(
                    f"{path}: {ids.nbytes:,} bytes, expected {LARGEST:,} at most. Encode it into a corpus, piece by "
                    "piece: recurra encode …"
                )
            yield {"text": self._text(path, ids, 0), "path": str(path)}

    def sniff(self, path: str | Path) -> str | None:
        """None: raw numbers look like anything."""
        return None

    def pieces(self, path: Path, size: int) -> list[tuple[int, int]] | None:
        """Where a file is cut: behind symbols that end a line; None where there are none."""
        ids = self._ids(path)
        ends = [number for number, symbol in enumerate(self._symbols(path)) if symbol.endswith(b"\n")]
        if not ends:
            return None
        found, begin, step = [], 0, max(1, size // self.size)
        while begin < len(ids):
            end = self._line_end(ids, begin + step, ends)
            found.append((begin, end))
            begin = end
        return found

    def read_piece(self, path: Path, begin: int, end: int) -> Iterator[Example]:
        """The text of the numbers from `begin` to before `end`."""
        yield {"text": self._text(path, self._ids(path)[begin:end], begin), "path": str(path)}

    def _line_end(self, ids: NDArray[Any], at: int, ends: Sequence[int]) -> int:
        while at < len(ids):
            block = np.flatnonzero(np.isin(ids[at : at + 65_536], ends))
            if len(block):
                return at + int(block[0]) + 1
            at += 65_536
        return len(ids)

    def _ids(self, path: Path) -> NDArray[Any]:
        check_file(path)
        total = path.stat().st_size
        if not total or total % self.size:
            raise DataError(
                f"{path}: {total:,} bytes, expected whole numbers of {self.size} bytes each. Set how long "
                "they are (--set reader.size=4), or name another file."
            )
        return np.memmap(path, f"<u{self.size}", "r").view(np.ndarray)

    def _text(self, path: Path, ids: NDArray[Any], first: int) -> str:
        symbols = self._symbols(path)
        if int(ids.max(initial=0)) >= len(symbols):
            place = int(np.argmax(ids >= len(symbols)))
            raise DataError(
                f"{path}: number {ids[place]} at place {first + place:,}, expected 0 to {len(symbols) - 1}, which "
                "symbols are there for. Name the right file of symbols: --set reader.symbols=… (and reader.size)"
            )
        return b"".join(map(symbols.__getitem__, ids.tolist())).decode("utf-8", errors="replace")

    def _symbols(self, path: Path) -> list[bytes]:
        """The symbols in UTF-8, by their number."""
        where = Path(self.symbols) if self.symbols is not None else path.with_name(BESIDE)
        if where not in self._read:
            if not where.is_file():
                raise DataError(f"{where}: no such file, which says what the numbers in {path} stand for. {_MADE}")
            found = forms.json_file(where, error=DataError, move=_MADE)
            self._read[where] = _symbols_in(found, where)
        return self._read[where]


def _symbols_in(found: Any, where: Path) -> list[bytes]:
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return [each.encode("utf-8", errors="surrogatepass") for each in found]
    if isinstance(found, dict) and found:
        if all(isinstance(each, str) and key.isdecimal() for key, each in found.items()):
            return _in_order({int(key): each.encode("utf-8", "surrogatepass") for key, each in found.items()}, where)
        if all(isinstance(each, int) for each in found.values()):
            return _in_order({number: _bytes(symbol) for symbol, number in found.items()}, where)
    raise DataError(f"{where}: no symbols by their number. {_MADE}")


def _in_order(symbols: Mapping[int, bytes], where: Path) -> list[bytes]:
    if sorted(symbols) != [*range(len(symbols))]:
        raise DataError(f"{where}: {len(symbols):,} symbols, expected numbers from 0 to {len(symbols) - 1}, each once.")
    return [symbols[number] for number in range(len(symbols))]


def _bytes(symbol: str) -> bytes:
    """A symbol that is written in GPT-2's characters for bytes; another, such as <|endoftext|>, as it is."""
    if all(character in BYTE_OF for character in symbol):
        return bytes(BYTE_OF[character] for character in symbol)
    return symbol.encode()
