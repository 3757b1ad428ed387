"""The words of one long text."""

from __future__ import annotations

from recurra.data.join import join_words
from recurra.data.words import split_words, with_zeros
from recurra.export.clients.common import READERS


class Lines:
    @staticmethod
    def unknown(vocabulary: dict) -> int | None:
        return vocabulary["symbols"].index("<unk>")

    @staticmethod
    def tokens_of(vocabulary: dict, text: str) -> list[str]:
        said = vocabulary["settings"]
        words: list[str] = []
        for number, line in enumerate((text.lower() if said["lower"] or vocabulary.get("folds") else text).split("\n")):
            words += [said["end_of_line"]] if number else []
            found = split_words(line, said["split"], vocabulary.get("splitter", 1))
            words += [with_zeros(word) for word in found] if said["digits"] else found
        return words

    @staticmethod
    def numbers_of(vocabulary: dict, text: str) -> list[int]:
        numbers = {symbol: n for n, symbol in enumerate(vocabulary["symbols"])}
        return [numbers.get(word, numbers["<unk>"]) for word in Lines.tokens_of(vocabulary, text)]

    @staticmethod
    def text_of(vocabulary: dict, numbers: list[int]) -> str:
        said = vocabulary["settings"]
        words = [vocabulary["symbols"][number] for number in numbers]
        words = ["\n" if word == said["end_of_line"] else word for word in words]
        text = join_words(words) if said["split"] == "words" else " ".join(words)
        return text.replace(" \n", "\n").replace("\n ", "\n")


READERS["word"] = Lines
