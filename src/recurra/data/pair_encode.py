"""Pairs ⇄ numbers: sources and targets, each by its vocabulary or both by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recurra import registry
from recurra.data.encode import Encoded
from recurra.data.tokens import Text
from recurra.errors import ConfigError, DataError
from recurra.types import Example

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

AT_ONCE = 1000
"""Texts encoded together: the subwords' library shares them out among its threads."""


def targets_of(example: Example) -> list[Text]:
    """The targets of a pair, all that are right: its `targets`, or its one `target`; none where it has neither."""
    if "targets" in example:
        return list(example["targets"])
    return [example["target"]] if "target" in example else []


def one_target_each(examples: Iterable[Example]) -> Iterator[Example]:
    """A training example for each target of a pair; pairs of one target as they are."""
    for example in examples:
        if "targets" not in example:
            yield example
            continue
        for target in example["targets"]:
            yield {**{name: value for name, value in example.items() if name != "targets"}, "target": target}


def source_of(example: Example) -> Text:
    """The source of a pair, as a text or as its tokens: its `source`, else its `tokens` or `text`.

    Raises `DataError` for an example without any.
    """
    for name in ("source", "tokens", "text"):
        if name in example:
            source: Text = example[name]
            return source
    raise DataError(
        f"{_place(example)}: no source in this example, only "
        f"{', '.join(name for name in example if name != 'place') or 'nothing'}. Name a reader that gives source: "
        "--set reader.kind=parallel, pairs or dictionary."
    )


def has_empty_side(example: Example) -> bool:
    """Whether source or target of a pair hold nothing. False for an example that is no pair."""
    if "source" not in example:
        return False
    return any(
        not (side.strip() if isinstance(side, str) else side) for side in (source_of(example), *targets_of(example))
    )


class PairEncoder:
    """Turns pairs into numbers by `vocabularies`, "input" for sources and "target" for targets; both may be one.

    After the symbols of each side comes its end mark, numbered as many as its vocabulary has symbols, so that no side
    is without a number.

    Raises `ConfigError` for a vocabulary that is not for texts that come one by one, or has no way back to text.
    """

    def __init__(self, vocabularies: Mapping[str, Any]) -> None:
        self.vocabularies = {name: vocabularies[name] for name in ("input", "target")}
        self._input, self._target = self.vocabularies.values()
        for section, vocabulary in (("vocabulary", self._input), ("target", self._target)):
            if not hasattr(vocabulary, "encode_texts"):
                kind = vocabulary.to_json()["kind"]
                raise ConfigError(
                    f"{section}.kind = {kind!r} is not for pairs of texts, expected tokens or subwords. Write "
                    'kind = "tokens"; split = "characters" takes each character for one.'
                )

    @classmethod
    def make(cls, vocabulary: Mapping[str, Any], target: Mapping[str, Any] | None = None, joint: bool = False) -> Self:
        """An encoder to be fitted: `vocabulary` are the settings of the source's, `target` of the target's, None: the
        same. `joint`: one vocabulary for both.

        Raises `ConfigError` for two different settings of a joint vocabulary.
        """
        if joint and target is not None and dict(target) != dict(vocabulary):
            raise ConfigError(
                "[target] and [vocabulary] differ, but task.tied = 'all' has one vocabulary for both sides. Leave "
                "[target] away, or set task.tied to 'output' or 'none'."
            )
        source = registry.construct("vocabulary", vocabulary)
        other = source if joint else registry.construct("vocabulary", vocabulary if target is None else target)
        return cls({"input": source, "target": other})

    @property
    def ends(self) -> dict[str, int]:
        """By field: the number of the end mark."""
        return {name: len(vocabulary) for name, vocabulary in self.vocabularies.items()}

    def fit(self, examples: Iterable[Example]) -> Self:
        """Take all symbols from the training pairs; a target that is right for several sources counts each time.

        Raises `DataError` for an example without source or target.
        """
        examples = list(examples)
        for example in examples:
            if not targets_of(example):
                raise DataError(
                    f"{_place(example)}: no target in this training example, only "
                    f"{', '.join(name for name in example if name != 'place')}. Name a reader that gives target: "
                    "--set reader.kind=parallel, pairs or dictionary."
                )
        sources = [source_of(example) for example in examples]
        targets = [target for example in examples for target in targets_of(example)]
        if self._input is self._target:
            self._input.fit_texts([*sources, *targets])
        else:
            self._input.fit_texts(sources)
            self._target.fit_texts(targets)
        return self

    def encode(self, example: Example) -> Encoded:
        """The numbers of a pair:

        - "input": int64 [T + 1], the source's and the end mark's
        - "target": int64 [U + 1], the target's and the end mark's, where the example has one; the first of several
        - "segments": int64 [T + 1], the example's numbers, one for each of its T tokens; the end mark is in the last
        - "place": where the example comes from

        Raises `DataError` for an example without a source, and for more or fewer segments than tokens.
        """
        (encoded,) = self.encode_all([example])
        return encoded

    def encode_all(self, examples: Iterable[Example]) -> list[Encoded]:
        """`encode` for many, many at once."""
        examples = list(examples)
        inputs = self._numbers(self._input, [source_of(example) for example in examples])
        first = [targets_of(example)[:1] for example in examples]
        targets = iter(self._numbers(self._target, [target for found in first for target in found]))
        encoded = []
        for example, ids, found in zip(examples, inputs, first, strict=True):
            numbers: Encoded = {"input": ids, "place": _place(example)}
            if found:
                numbers["target"] = next(targets)
            if "segments" in example:
                numbers["segments"] = _segments(example, len(ids) - 1)
            encoded.append(numbers)
        return encoded

    def text(self, ids: ArrayLike) -> str:
        """The text of a target's numbers, up to its end mark."""
        ids = np.asarray(ids, np.int64)
        ends = np.flatnonzero(ids == len(self._target))
        text: str = self._target.text(ids[: ends[0]] if len(ends) else ids)
        return text

    def unknown_shares(self, encoded: Iterable[Encoded]) -> dict[str, float]:
        """Shares, 0 to 1, of unknown symbols by field, the end marks not counted; of fields that the pairs hold."""
        encoded = list(encoded)
        shares = {}
        for field, vocabulary in self.vocabularies.items():
            found = [example[field][:-1] for example in encoded if field in example]
            if found:
                shares[field] = vocabulary.unknown_share(np.concatenate(found))
        return shares

    def _numbers(self, vocabulary: Any, texts: Sequence[Text]) -> list[NDArray[np.int64]]:
        """The numbers of texts, each with the end mark."""
        end = len(vocabulary)
        return [
            np.append(ids, end)
            for begin in range(0, len(texts), AT_ONCE)
            for ids in vocabulary.encode_texts(texts[begin : begin + AT_ONCE])
        ]


def _segments(example: Example, tokens: int) -> NDArray[np.int64]:
    """The numbers of an example's segments, and the last once more for the end mark."""
    segments = np.array(example["segments"], np.int64)
    if len(segments) != tokens:
        raise DataError(
            f"{_place(example)}: {len(segments)} numbers of segments, expected one for each of {tokens} tokens. Is the "
            "source split in another way than its segments? Set vocabulary.kind = 'tokens'."
        )
    return np.append(segments, segments[-1:] if tokens else 0)


def _place(example: Example) -> str:
    return str(example.get("place", "an example of no known place"))
