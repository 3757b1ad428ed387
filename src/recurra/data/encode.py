"""Examples ⇄ numbers: an encoder holds the vocabularies of all the fields of labelled sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recurra import registry
from recurra.data.tokens import Labels
from recurra.data.vocabulary import Character
from recurra.errors import ConfigError, DataError
from recurra.types import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

IGNORED = -100
"""The number of a tag or label that training has never seen: the losses leave it out."""
LONGEST_WORD = 64
"""Characters of a word's spelling, its begin and its end: a web address would make all words of its batch as long."""

Encoded = dict[str, Any]
"""Field name → numbers:

- "input": int64 [T], and, where words are spelled, "words": its T tokens as they are written
- "segments": int64 [T], the segment that each token belongs to, where the example says
- "tags": int64 [T]; "label": int64 []; "labels": float32 [L] of 0 and 1; those that the example and the encoder have
- "place": where the example comes from, for messages
"""


class Encoder:
    """Turns examples into numbers by `vocabularies`: "input", and where there are such fields "characters", "tags",
    and "label", which also serves several "labels".

    Raises `ConfigError` for an input vocabulary that is for one long text.
    """

    def __init__(self, vocabularies: Mapping[str, Any]) -> None:
        self.vocabularies = dict(vocabularies)
        self._input = self.vocabularies["input"]
        if not hasattr(self._input, "tokens"):
            kind = self._input.to_json()["kind"]
            raise ConfigError(
                f"vocabulary.kind = {kind!r} is not for examples with labels, expected tokens. "
                'Write kind = "tokens"; split = "characters" takes each character for one.'
            )
        self._fields: tuple[str, ...] = tuple(name for name in ("tags", "label") if name in self.vocabularies)
        self._spelled: dict[str, NDArray[np.int64]] = {}

    @classmethod
    def make(cls, vocabulary: Mapping[str, Any], characters: bool, fields: Sequence[str]) -> Self:
        """An encoder to be fitted: `vocabulary` are the settings of the input's, `fields` some of "tags", "label",
        "labels"; `characters`: whether words are spelled."""
        made: dict[str, Any] = {"input": registry.construct("vocabulary", vocabulary)}
        if characters:
            made["characters"] = Character()
        made |= {"label" if field == "labels" else field: Labels() for field in fields}
        encoder = cls(made)
        encoder._fields = tuple(fields)
        return encoder

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """The word vectors [V, D] that the input's vocabulary found in `fit`."""
        vectors: NDArray[np.float32] | None = getattr(self._input, "vectors", None)
        return vectors

    def tokens(self, example: Example) -> list[str]:
        """The tokens of an example as they are written."""
        tokens: list[str] = self._input.tokens(example)
        return tokens

    def fit(self, examples: Iterable[Example]) -> Self:
        """Take all symbols from the training examples.

        Raises `DataError` for an example without a field that is needed, and for fewer than two tags or labels.
        """
        examples = list(examples)
        for field in self._fields:
            for example in examples:
                if field not in example:
                    raise DataError(
                        f"{_place(example)}: no {field} in this training example, only "
                        f"{', '.join(name for name in example if name != 'place')}. Name a reader that gives {field}, "
                        "or another task."
                    )
        words = [self.tokens(example) for example in examples]
        self._input.fit(words)
        if "characters" in self.vocabularies:
            self._fit_characters(words)
        for field in self._fields:
            found = [[example[field]] if field == "label" else example[field] for example in examples]
            names = self.vocabularies["label" if field == "labels" else field].fit(found).symbols
            if field != "labels" and len(names) < 2:
                raise DataError(
                    f"every {field.removesuffix('s')} of the training examples is {names[0]!r}: nothing to learn. "
                    "Expected two or more; is the right column read?"
                )
        return self

    def _fit_characters(self, sentences: Sequence[Sequence[str]]) -> None:
        found = {character for tokens in sentences for character in "".join(tokens)}
        if len(found) < 2:
            raise DataError(
                f"the training examples are written with {f'one character, {min(found)!r}' if found else 'none'}: no "
                "spelling to learn from. Is the right column read? If so: --set embedder.spelling=none"
            )
        self.vocabularies["characters"].fit("".join(tokens) for tokens in sentences)
        self._spelled.clear()

    def encode(self, example: Example) -> Encoded:
        """The numbers of an example; targets it does not hold, or that nobody asked for, are left out.

        Raises `DataError` for more or fewer tags, or numbers of segments, than tokens.
        """
        words = self.tokens(example)
        encoded: Encoded = {"input": self._input.encode(words), "place": _place(example)}
        if "characters" in self.vocabularies:
            encoded["words"] = words
        if "segments" in example:
            if len(example["segments"]) != len(words):
                raise DataError(
                    f"{encoded['place']}: {len(example['segments'])} numbers of segments, expected one for each of "
                    f"{len(words)} tokens. Is the text split in another way than its segments?"
                )
            encoded["segments"] = np.array(example["segments"], np.int64)
        if "tags" in self.vocabularies and "tags" in example:
            if len(example["tags"]) != len(words):
                raise DataError(
                    f"{encoded['place']}: {len(example['tags'])} tags, expected one for each of {len(words)} tokens. "
                    "Is the text split in another way than the tags?"
                )
            ids = self.vocabularies["tags"].encode(example["tags"])
            encoded["tags"] = np.where(ids < 0, IGNORED, ids)
        if "label" in self.vocabularies and "label" in example:
            (number,) = self.vocabularies["label"].encode([example["label"]])
            encoded["label"] = np.int64(IGNORED if number < 0 else number)
        if "label" in self.vocabularies and "labels" in example:
            encoded["labels"] = np.zeros(len(self.vocabularies["label"]), np.float32)
            ids = self.vocabularies["label"].encode(example["labels"])
            encoded["labels"][ids[ids >= 0]] = 1
        return encoded

    @property
    def spell(self) -> Callable[[str], NDArray[np.int64]] | None:
        """A function from a word to the numbers [C] of its characters, C ≥ 1; None where words are not spelled."""
        return self._spell if "characters" in self.vocabularies else None

    def label_counts(self, encoded: Iterable[Encoded]) -> list[int]:
        """How many encoded examples have each label, by its number."""
        counts = np.zeros(len(self.vocabularies["label"]), np.int64)
        for example in encoded:
            if "labels" in example:
                counts += example["labels"] > 0
            elif example.get("label", IGNORED) != IGNORED:
                counts[example["label"]] += 1
        found: list[int] = counts.tolist()
        return found

    def unknown_shares(self, encoded: Iterable[Encoded]) -> dict[str, float]:
        """Shares, 0 to 1, of unknown tokens ("input"), "tags" and "label"s; of fields that the examples hold."""
        encoded = list(encoded)
        shares = {}
        for field, unknown in (("input", self._input.unknown), ("tags", IGNORED), ("label", IGNORED)):
            found = [np.atleast_1d(example[field]) for example in encoded if field in example]
            ids = np.concatenate(found) if found else np.zeros(0)
            if ids.size:
                shares[field] = float((ids == unknown).mean())
        return shares

    def _spell(self, word: str) -> NDArray[np.int64]:
        spelled = self._spelled.get(word)
        if spelled is None:
            short = word if len(word) <= LONGEST_WORD else word[: LONGEST_WORD // 2] + word[-LONGEST_WORD // 2 :]
            spelled = self._spelled[word] = self.vocabularies["characters"].encode(short or "\ufffd")
        return spelled


def _place(example: Example) -> str:
    return str(example.get("place", "an example of no known place"))
