"""Characters."""

from __future__ import annotations

from recurra.export.clients.common import READERS


class Characters:
    @staticmethod
    def unknown(vocabulary: dict) -> int | None:
        return 0

    @staticmethod
    def tokens_of(vocabulary: dict, text: str) -> list[str]:
        return list(text)

    @staticmethod
    def numbers_of(vocabulary: dict, text: str) -> list[int]:
        if vocabulary.get("folds"):  # as many characters as before
            text = "".join(each.lower() if len(each.lower()) == 1 else each for each in text)
        numbers = {symbol: number for number, symbol in enumerate(vocabulary["symbols"])}
        return [numbers.get(character, 0) for character in text]

    @staticmethod
    def text_of(vocabulary: dict, numbers: list[int]) -> str:
        return "".join(vocabulary["symbols"][number] for number in numbers)


READERS["character"] = Characters
