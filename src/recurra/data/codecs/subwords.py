"""Text ⇄ subwords: pieces of words, learnt from the training text, that any text can be put together from."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from recurra.data.codecs.characters import UNKNOWN_CHARACTER
from recurra.data.codecs.contract import checked_ids
from recurra.data.codecs.folding import FOLDS, all_lower, kept
from recurra.data.codecs.splitter import checked_splitter
from recurra.data.codecs.tokens import Text
from recurra.data.words import MARKS, SPLITTER
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.registry import part

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from tokenizers import Tokenizer

_SHOWN = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
BYTE_OF = {chr(byte): byte for byte in _SHOWN} | {
    chr(256 + k): byte for k, byte in enumerate(sorted({*range(256)} - {*_SHOWN}))
}
"""The character that stands for each byte in a piece, so that every piece is printable (GPT-2's own table)."""
SMALLEST = 1 + len(BYTE_OF) + 1
SPACE = "▁"
"""Stands for a space where pieces are shown."""
_HALF = re.compile("[\ud800-\udfff]")
_CUTS = rf"'(?:[sdmt]|ll|ve|re)| ?\p{{L}}[\p{{L}}{MARKS}]*| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+"
"""What no piece goes beyond: GPT-2's own, with combining marks and joiners as parts of a word."""
_STEP = 1e-4
"""How far apart the trainer of "unigram" puts the scores of bytes that it has none for."""


@part("codec", "subwords")
class Subwords:
    """Pieces of words, `size` of them at most, found in the training text by byte pairs ("bpe": Sennrich et al. 2016)
    or by a model of single pieces ("unigram": Kudo 2018); the library tokenizers trains both.

    A word keeps the space before it, and a text is read as if a space stood before it. All 256 bytes are pieces, so
    that every text in any script can be written and nothing is unknown: `decode` of the numbers of a text is that very
    text, in lower case with `lower`. Number 0 is U+FFFD, which no text is encoded with; it is there for the padding.
    "bpe" joins pieces that were seen side by side `min_count` times in training. It is its pieces in their order: of
    two neighbours those are joined first that make the earliest piece. "unigram" has a score beside each, ln p.
    """

    forms: ClassVar[tuple[str, ...]] = ("text", "tokens")
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = 0
    unknown: int = 0

    def __init__(
        self, size: int = 8000, model: Literal["bpe", "unigram"] = "bpe", lower: bool = False, min_count: int = 2
    ) -> None:
        if size < SMALLEST:
            raise ConfigError(
                f"vocabulary.size = {size}, expected {SMALLEST} or more: {UNKNOWN_CHARACTER}, the 256 bytes, a piece."
            )
        if min_count < 1:
            raise ConfigError(f"vocabulary.min_count = {min_count}, expected 1 or more.")
        if model == "unigram" and min_count != 2:
            raise ConfigError("vocabulary.min_count is for vocabulary.model = 'bpe'. Leave it away.")
        self.most = size
        self.model = model
        self.lower = lower
        self.folds = False
        """Whether upper case is read as lower because the training text has none."""
        self.min_count = min_count
        self.splitter = SPLITTER
        self._tokenizer: Tokenizer | None = None
        self._take([UNKNOWN_CHARACTER, *BYTE_OF], None)

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def size(self) -> int:
        return len(self)

    def fit(self, values: Iterable[Text]) -> Self:
        """Learn the pieces from texts; of one that is split, the tokens joined by spaces.

        Raises `DataError` where no text holds anything.
        """
        from tokenizers import Tokenizer, models, trainers

        self.folds = False
        written = [text for text in map(self._written, values) if text]
        self.folds = not self.lower and all_lower(written)
        if not written:
            raise DataError("the training examples hold no text. Is the right field read?")
        alphabet, room = list(BYTE_OF), self.most - 1
        if self.model == "bpe":
            learnt = Tokenizer(models.BPE())
            learnt.pre_tokenizer = _by_bytes(self.splitter)
            learnt.train_from_iterator(
                written,
                trainers.BpeTrainer(
                    vocab_size=room, min_frequency=self.min_count, initial_alphabet=alphabet, show_progress=False
                ),
            )
            numbers = learnt.get_vocab()
            return self._take([UNKNOWN_CHARACTER, *sorted(numbers, key=numbers.__getitem__)], None)
        learnt = Tokenizer(models.Unigram())
        learnt.pre_tokenizer = _by_bytes(self.splitter)
        with _one_thread():
            learnt.train_from_iterator(
                written, trainers.UnigramTrainer(vocab_size=room, initial_alphabet=alphabet, show_progress=False)
            )
        return self._take(*_ordered(_scores(learnt)))

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        symbols, scores = record["symbols"], record.get("scores")
        self.folds = bool(record.get("folds"))
        self.splitter = checked_splitter(record)
        if list(symbols[:1]) != [UNKNOWN_CHARACTER] or len(set(symbols)) != len(symbols):
            raise CheckpointError("a vocabulary of subwords is U+FFFD and then distinct pieces.")
        if not BYTE_OF.keys() <= set(symbols) or not set().union(*symbols[1:]) <= BYTE_OF.keys():
            raise CheckpointError(
                "the pieces of subwords are written in the 256 characters for bytes, each one of them."
            )
        if self.model == "unigram":
            numbers = isinstance(scores, Sequence) and all(isinstance(score, float) for score in scores)
            if scores is None or not numbers or len(scores) != len(symbols):
                raise CheckpointError(f"a unigram vocabulary of {len(symbols):,} subwords has as many scores.")
        return self._take(symbols, scores if self.model == "unigram" else None)

    def encode(self, value: Text) -> NDArray[np.int64]:
        """The numbers of a text; of one that is split, of its tokens joined by spaces. No number is 0."""
        (ids,) = self.encode_all([value])
        return ids

    def encode_all(self, values: Sequence[Text]) -> list[NDArray[np.int64]]:
        """`encode` of each: the library shares them out among its threads."""
        if self._tokenizer is None:
            self._tokenizer = self._built()
        found = self._tokenizer.encode_batch([self._written(text) for text in values], add_special_tokens=False)
        return [np.array(encoding.ids, np.int64) for encoding in found]

    def pieces(self, ids: ArrayLike) -> list[str]:
        """Each number's piece as it is read, with `▁` for a space; a part of a character is U+FFFD.

        Raises `DataError` for a number that is no symbol.
        """
        raw = [self._bytes[i] for i in checked_ids(ids, len(self)).tolist()]
        return [piece.decode("utf-8", errors="replace").replace(" ", SPACE) for piece in raw]

    def decode(self, array: ArrayLike) -> str:
        """The text that numbers write. Bytes that are no UTF-8 give U+FFFD. Raises as `pieces` does."""
        raw = b"".join(self._bytes[i] for i in checked_ids(array, len(self)).tolist())
        return raw.decode("utf-8", errors="replace").removeprefix(" ")

    def record(self) -> dict[str, Any]:
        """Kind, settings, how texts are cut into words, pieces, and the scores of "unigram"."""
        settings = {"size": self.most, "model": self.model, "lower": self.lower, "min_count": self.min_count}
        scores = {} if self.scores is None else {"scores": self.scores}
        by = {"splitter": self.splitter, **kept(self.folds)}
        return {"kind": "subwords", "settings": settings, **by, "symbols": self.symbols, **scores}

    @property
    def notes(self) -> list[str]:
        """What there is to say of what was learned beside the symbols."""
        return [FOLDS] if self.folds else []

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def _take(self, symbols: Sequence[str], scores: Sequence[float] | None) -> Self:
        self.symbols = list(symbols)
        self.scores = None if scores is None else list(scores)
        self._bytes = [UNKNOWN_CHARACTER.encode(), *(bytes(BYTE_OF[c] for c in piece) for piece in self.symbols[1:])]
        self._tokenizer = None
        return self

    def _built(self) -> Tokenizer:
        """The library's tokenizer of these pieces, with their numbers."""
        from tokenizers import Tokenizer, models

        if self.model == "bpe" or self.scores is None:
            numbers = {piece: i for i, piece in enumerate(self.symbols)}
            tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=_merges(self.symbols, numbers)))
        else:
            tokenizer = Tokenizer(models.Unigram(list(zip(self.symbols, self.scores, strict=True))))
        tokenizer.pre_tokenizer = _by_bytes(self.splitter)
        return tokenizer

    def _written(self, text: Text) -> str:
        """A text as it is cut into pieces; "" stays empty."""
        text = text if isinstance(text, str) else " ".join(text)
        text = _HALF.sub(UNKNOWN_CHARACTER, text.lower() if self.lower or self.folds else text)
        return f" {text}" if text else ""


def _by_bytes(splitter: int) -> Any:
    """What cuts a text into words, each with the space before it, and writes them in `BYTE_OF`."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    if splitter == 1:  # cuts at combining marks
        return ByteLevel(add_prefix_space=False)
    return Sequence([Split(Regex(_CUTS), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])


def _merges(symbols: Sequence[str], numbers: dict[str, int]) -> list[tuple[str, str]]:
    """All the ways to put a piece together from two, in the order of the pieces."""
    return [
        (piece[:cut], piece[cut:])
        for piece in symbols
        for cut in range(1, len(piece))
        if piece[:cut] in numbers and piece[cut:] in numbers
    ]


def _scores(learnt: Tokenizer) -> dict[str, float]:
    """Piece → ln p, as training left them."""
    return dict(json.loads(learnt.to_str())["model"]["vocab"])


def _ordered(scores: dict[str, float]) -> tuple[list[str], list[float]]:
    """Symbols and scores in an order that is the same in every training on the same text.

    The trainer adds bytes that it has no score for in the order of a hash table, a step apart from the least score up:
    they all get that one. What its sums differ by from time to time is rounded away.
    """
    least = min(scores.values())
    even = {
        piece: least if len(piece) == 1 and score < least + len(BYTE_OF) * _STEP else score
        for piece, score in scores.items()
    }
    rounded = {piece: round(score, 6) for piece, score in even.items()}
    pieces = sorted(rounded, key=lambda piece: (-rounded[piece], piece))
    return [UNKNOWN_CHARACTER, *pieces], [round(least, 6), *(rounded[piece] for piece in pieces)]


@contextmanager
def _one_thread() -> Iterator[None]:
    """The library adds up in an order of its own on several threads."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
