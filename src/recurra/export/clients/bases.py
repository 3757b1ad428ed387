"""Sequences of bases."""

from __future__ import annotations

from recurra.export.clients.common import READERS


class Bases:
    @staticmethod
    def unknown(vocabulary: dict) -> int | None:
        return None

    @staticmethod
    def tokens_of(vocabulary: dict, text: str) -> list[str]:
        return list("".join(text.split()).upper().replace("U", "T"))

    @staticmethod
    def numbers_of(vocabulary: dict, text: str | list[str]) -> list[int]:
        numbers = {symbol: number for number, symbol in enumerate(vocabulary["symbols"])}
        letters = Bases.tokens_of(vocabulary, "".join(text))
        for place, letter in enumerate(letters, 1):
            if letter not in numbers:
                raise ValueError(f"{letter!r} at base {place:,} is no base, expected one of {' '.join(numbers)}.")
        return [numbers[letter] for letter in letters]

    @staticmethod
    def text_of(vocabulary: dict, numbers: list[int]) -> str:
        return "".join(vocabulary["symbols"][number] for number in numbers)


READERS["bases"] = Bases
