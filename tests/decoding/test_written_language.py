"""What n-grams add to a search, against the n-gram model itself."""

import numpy as np
import pytest

from recurra.decoding.ngram import NgramModel
from recurra.decoding.written_language import SymbolNgrams, WordNgrams, words_of

SPACE = 0
TEXTS = [[1, 2, 0, 3], [1, 2, 0, 1, 2], [3, 0, 1]]


def total(scorer, symbols):
    score, state = 0.0, scorer.start()
    for symbol in symbols:
        gain, state = scorer.extend(state, symbol)
        score += gain
    return score + scorer.end(state)


def test_n_grams_of_symbols_score_as_the_model_does():
    model = NgramModel(3).fit([4, 1, 2, 0, 3, 4, 1, 2, 0, 1, 2, 4, 3, 0, 1, 4], 5)
    text = [1, 2, 0, 3, 3]
    expected = 0.7 * model.log_probabilities([4, *text, 4]).sum() + 0.2 * len(text)
    assert total(SymbolNgrams(TEXTS, 4, 3).weighed(0.7, 0.2), text) == pytest.approx(expected)


def test_n_grams_of_words_score_where_words_end():
    numbers = {(1, 2): 0, (3,): 1, (1,): 2}  # unknown 3, mark 4
    model = NgramModel(2).fit([4, 0, 1, 4, 0, 0, 4, 1, 2, 4], 5)
    expected = 0.5 * model.log_probabilities([4, 0, 2, 4]).sum() + 2.0
    assert total(WordNgrams(TEXTS, SPACE, 2, closed=False).weighed(0.5, 1.0), [1, 2, 0, 0, 1]) == pytest.approx(
        expected
    )
    assert numbers[words_of([1, 2], SPACE)[0]] == 0


def test_a_word_that_is_not_in_the_list():
    open_, closed = (WordNgrams(TEXTS, SPACE, 2, closed=way) for way in (False, True))
    assert np.isfinite(total(open_, [2, 0, 3]))
    assert closed.extend(closed.start(), 2)[0] == -np.inf
    assert total(closed, [1, 2, 0, 3]) == pytest.approx(total(open_, [1, 2, 0, 3]))
    _, begun = closed.extend(closed.start(), 1)
    assert np.isfinite(closed.end(begun))  # 1 is a word


def test_what_is_remembered_has_a_bound(monkeypatch):
    monkeypatch.setattr("recurra.decoding.written_language.KEPT", 12)
    scorer = SymbolNgrams(TEXTS, 4, 3)
    texts = [[1, 2, 0, 3, 3, 1], [3, 3, 2, 1, 0]]
    assert [total(scorer, text) for text in texts] == [total(SymbolNgrams(TEXTS, 4, 3), text) for text in texts]
    assert len(scorer._model._known) <= 4
