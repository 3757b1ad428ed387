"""Pieces of words, by byte pairs or by the likeliest pieces."""

from __future__ import annotations

import re
import sys
import unicodedata

from recurra.data.words import MARKS
from recurra.export.clients.common import READERS

SHOWN = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
LETTER = {byte: chr(byte) for byte in SHOWN} | {b: chr(256 + k) for k, b in enumerate(sorted({*range(256)} - {*SHOWN}))}
"""The character that each byte is written as in a piece."""
DIGITS = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "N")
LETTERS = (rf"[^\W_{DIGITS}]+", rf"[^\W_{DIGITS}](?:[^\W_{DIGITS}]|[{MARKS}])*")
"""A word by the first splitter, which cuts at combining marks, and by the second."""
CUTS = [re.compile(rf"'(?:[sdmt]|ll|ve|re)| ?{w}| ?[{DIGITS}]+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+") for w in LETTERS]


class Subwords:
    @staticmethod
    def unknown(vocabulary: dict) -> int | None:
        return 0

    @staticmethod
    def numbers_of(vocabulary: dict, text: str) -> list[int]:
        said, numbers = vocabulary["settings"], {symbol: n for n, symbol in enumerate(vocabulary["symbols"])}
        cut = Subwords.likeliest if said["model"] == "unigram" else Subwords.joined
        found, cuts = [], CUTS[vocabulary.get("splitter", 1) - 1]
        for word in cuts.findall(
            f" {text.lower() if said['lower'] or vocabulary.get('folds') else text}" if text else ""
        ):
            letters = "".join(LETTER[byte] for byte in word.encode())
            found += [numbers[piece] for piece in cut(letters, numbers, vocabulary.get("scores", []))]
        return found

    @staticmethod
    def joined(word: str, numbers: dict, scores: list) -> list[str]:
        """Of two neighbours those are joined first that make the earliest piece."""
        pieces = list(word)
        while len(pieces) > 1:
            whole = [pieces[k] + pieces[k + 1] for k in range(len(pieces) - 1)]
            order = [(numbers.get(piece, len(numbers)), len(pieces[k])) for k, piece in enumerate(whole)]
            k = order.index(min(order))
            if whole[k] not in numbers:
                break
            pieces[k : k + 2] = [whole[k]]
        return pieces

    @staticmethod
    def likeliest(word: str, numbers: dict, scores: list) -> list[str]:
        """The pieces whose scores have the largest sum."""
        best: list[tuple[float, list[str]]] = [(0.0, [])]
        for end in range(1, len(word) + 1):
            cuts = [(begin, word[begin:end]) for begin in range(end) if word[begin:end] in numbers]
            sums = [(best[begin][0] + scores[numbers[piece]], [*best[begin][1], piece]) for begin, piece in cuts]
            best.append(max(sums, key=lambda one: one[0]))
        return best[-1][1]

    @staticmethod
    def text_of(vocabulary: dict, numbers: list[int]) -> str:
        byte_of = {letter: byte for byte, letter in LETTER.items()}
        raw = bytes(byte_of[letter] for number in numbers if number for letter in vocabulary["symbols"][number])
        return raw.decode("utf-8", errors="replace").removeprefix(" ")


READERS["subwords"] = Subwords
