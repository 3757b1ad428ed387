"""What a search over frames knows of a language: n-grams of symbols, n-grams of words, and a list of words."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from recurra.decoding.arrays import Floats
from recurra.decoding.ngram import NgramModel, State
from recurra.errors import ConfigError

KEPT = 4_000_000
"""Numbers of distributions that are remembered at most; then all are forgotten."""


class _Weighed:
    """N-grams of which each unit counts `weight` times, and brings a `bonus`."""

    weight, bonus = 1.0, 0.0

    def weighed(self, weight: float, bonus: float) -> Self:
        """The same counts with these."""
        found = copy(self)
        found.weight, found.bonus = weight, bonus
        return found


class SymbolNgrams(_Weighed):
    """`weight` · log p(symbol | those before) and `bonus` for each symbol; at the end that of the end mark.

    Fitted on `texts`, rows of symbols' numbers 0 … V − 1; the mark that begins and ends each is number V.
    """

    def __init__(self, texts: Sequence[Sequence[int]], V: int, order: int) -> None:
        self._mark = V
        self._model = _Remembered(NgramModel(order).fit(np.array(_marked(texts, V), np.int64), V + 1))

    def start(self) -> State:
        return (self._mark,)

    def extend(self, state: State, symbol: int) -> tuple[float, State]:
        log_p = self._model.next(state)
        return self.weight * float(log_p[symbol]) + self.bonus, self._model.longer(state, symbol)

    def end(self, state: State) -> float:
        return self.weight * float(self._model.next(state)[self._mark])


@dataclass(frozen=True)
class _Word:
    """Where a search is: the symbols of a word that has not ended, and the words before it."""

    spelt: tuple[int, ...]
    words: State


class WordNgrams(_Weighed):
    """The same for words, each scored where it ends, at a `space` or the end of the text; `bonus` is for each word.

    With `closed` no word is written that `texts` do not hold; else such a word is as likely as the model says of one
    that it never saw.
    """

    def __init__(self, texts: Sequence[Sequence[int]], space: int, order: int, closed: bool) -> None:
        self._space, self._closed = space, closed
        split = [words_of(text, space) for text in texts]
        self._numbers = {word: n for n, word in enumerate(dict.fromkeys(word for text in split for word in text))}
        self._beginnings = {word[:k] for word in self._numbers for k in range(len(word) + 1)}
        V = len(self._numbers)
        self._unknown, self._mark = V, V + 1
        rows = [[self._numbers[word] for word in text] for text in split]
        self._model = _Remembered(NgramModel(order).fit(np.array(_marked(rows, self._mark), np.int64), V + 2))

    def start(self) -> _Word:
        return _Word((), (self._mark,))

    def extend(self, state: _Word, symbol: int) -> tuple[float, _Word]:
        if symbol != self._space:
            spelt = (*state.spelt, symbol)
            if self._closed and spelt not in self._beginnings:
                return -np.inf, state
            return 0.0, _Word(spelt, state.words)
        if not state.spelt:  # a space more is no word
            return 0.0, state
        gain, words = self._ended(state)
        return gain, _Word((), words)

    def end(self, state: _Word) -> float:
        gain, words = self._ended(state) if state.spelt else (0.0, state.words)
        return gain + self.weight * float(self._model.next(words)[self._mark])

    def _ended(self, state: _Word) -> tuple[float, State]:
        """What a word adds that has ended."""
        number = self._numbers.get(state.spelt, self._unknown)
        if number == self._unknown and self._closed:
            return -np.inf, state.words
        gain = self.weight * float(self._model.next(state.words)[number]) + self.bonus
        return gain, self._model.longer(state.words, number)


class _Remembered:
    """A model's distributions by the symbols before, each computed once."""

    def __init__(self, model: NgramModel) -> None:
        self._model, self._known = model, dict[Any, Floats]()

    def next(self, state: State) -> Floats:
        """Log-probabilities of what follows."""
        if state not in self._known:
            if len(self._known) * self._model.vocabulary_size > KEPT:
                self._known.clear()
            self._known[state] = self._model.step(state[:-1], state[-1])[0]
        return self._known[state]

    def longer(self, state: State, symbol: int) -> State:
        history = (*state, symbol)
        return history[max(0, len(history) - max(1, self._model.order - 1)) :]


def language_of(
    texts: Sequence[Sequence[int]], V: int, order: int, unit: str, space: Sequence[int], closed: bool
) -> SymbolNgrams | WordNgrams:
    """The n-grams of texts in rows of symbols' numbers 0 … V − 1, of a `unit`, "symbols" or "words"; `space` are the
    symbols that a space is. Raises `ConfigError` for words where that is not one."""
    if unit == "symbols":
        return SymbolNgrams(texts, V, order)
    if len(space) != 1:
        raise ConfigError(
            'task.ngram_unit = "words" wants words parted by a space that is a symbol. Set it to "symbols".'
        )
    return WordNgrams(texts, space[0], order, closed)


def words_of(text: Sequence[int], space: int) -> list[tuple[int, ...]]:
    """The words of a text, as symbols' numbers."""
    found: list[tuple[int, ...]] = []
    word: list[int] = []
    for symbol in [*text, space]:
        if symbol != space:
            word.append(int(symbol))
        elif word:
            found.append(tuple(word))
            word = []
    return found


def _marked(texts: Sequence[Sequence[int]], mark: int) -> list[int]:
    stream = [mark]
    for text in texts:
        stream += [*text, mark]
    return stream
