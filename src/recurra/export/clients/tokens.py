"""Tokens of texts that come one by one."""

from __future__ import annotations

from recurra.data.join import join_words
from recurra.data.marks import marks_apart
from recurra.data.words import split_words, with_zeros
from recurra.export.clients.common import READERS


class Tokens:
    @staticmethod
    def unknown(vocabulary: dict) -> int | None:
        return 0

    @staticmethod
    def tokens_of(vocabulary: dict, text: str) -> list[str]:
        split, by = vocabulary["settings"]["split"], vocabulary.get("splitter", 1)
        words = list(text) if split == "characters" else split_words(text, split, by)
        if "marks" not in vocabulary:
            return words
        names, marks = {*vocabulary["symbols"][1:]}, vocabulary["marks"]

        def known(token: str) -> bool:
            key = Tokens.key(vocabulary, token)
            return key in names or (bool(vocabulary["settings"]["vectors"]) and key.lower() in names)

        return [token for word in words for token in marks_apart(word, marks, known)]

    @staticmethod
    def key(vocabulary: dict, token: str) -> str:
        said = vocabulary["settings"]
        key = token.lower() if said["lower"] or vocabulary.get("folds") else token
        return with_zeros(key) if said["digits"] else key

    @staticmethod
    def numbers_of(vocabulary: dict, text: str | list[str]) -> list[int]:
        said, numbers = vocabulary["settings"], {symbol: n for n, symbol in enumerate(vocabulary["symbols"])}
        tokens = Tokens.tokens_of(vocabulary, text) if isinstance(text, str) else text
        keys = [Tokens.key(vocabulary, token) for token in tokens]
        fall_back = str.lower if said["vectors"] else str  # words known by their vectors alone are in lower case
        return [numbers.get(key, numbers.get(fall_back(key), 0)) for key in keys]

    @staticmethod
    def text_of(vocabulary: dict, numbers: list[int]) -> str:
        tokens, split = [vocabulary["symbols"][number] for number in numbers], vocabulary["settings"]["split"]
        return join_words(tokens) if split == "words" else ("" if split == "characters" else " ").join(tokens)


READERS["tokens"] = Tokens
