"""Scores of captions, each picture with one reference or more: BLEU, ROUGE-L and CIDEr-D of our own counting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from recurra.data.words import split_words
from recurra.tasks.error_rates import check_answers
from recurra.tasks.scores import Scores

ORDERS = 4
"""Words of the longest n-grams."""
BETA = 1.2
"""How much more recall counts than precision in ROUGE-L."""
SIGMA = 6.0
"""Words that a caption may be longer or shorter before CIDEr-D takes it ill."""
TENFOLD = 10.0
Words = Sequence[str]
Grams = Counter[tuple[str, ...]]


def caption_scores(references: Sequence[Sequence[str]], predicted: Sequence[str]) -> Scores:
    """ "bleu_1" to "bleu_4" and "rouge_l", 0 to 100, "cider_d", 0 to 10, and "distinct", the share of captions that
    differ from those before them, 0 to 100.

    Captions are compared in lower case, word by word; marks are left out, as the scorer that is usual for captions
    does. Raises DataError where there is nothing to score or not as many predictions as pictures.
    Source: Chen et al. 2015, Microsoft COCO captions: data collection and evaluation server.
    """
    check_answers(references, predicted)
    truths = [[caption_words(one) for one in each] for each in references]
    said = [caption_words(one) for one in predicted]
    metrics = {f"bleu_{n}": 100 * value for n, value in enumerate(bleu(truths, said), 1)}
    metrics["rouge_l"] = 100 * rouge_l(truths, said)
    metrics["cider_d"] = cider_d(truths, said)
    metrics["distinct"] = 100 * len({tuple(words) for words in said}) / len(said)
    counts = {len(each) for each in references}
    some = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    note = (
        f"{some} references a picture; lower case, no marks; BLEU of the corpus against the closest length, ROUGE-L "
        f"with β = {BETA:g}, CIDEr-D with σ = {SIGMA:g} and frequencies of these references"
    )
    return Scores(metrics, {}, [note])


def caption_words(text: str) -> list[str]:
    """The words and numbers of a caption, in lower case."""
    return [word for word in split_words(text.lower(), "words") if any(map(str.isalnum, word))]


def bleu(references: Sequence[Sequence[Words]], predicted: Sequence[Words]) -> list[float]:
    """BLEU of the n-grams up to 1, 2, 3 and 4 words, over all pictures together: bp · (Π_n p_n)^(1/N).

    p_n counts an n-gram as often as the reference that has it most does; bp = exp(1 − r / c) where all captions
    together have c words, and the references whose lengths come closest, the shorter of two, r > c. 0 where no n-gram
    is right.
    Source: Papineni et al. 2002, BLEU: a method for automatic evaluation of machine translation.
    """
    right, there = [0] * ORDERS, [0] * ORDERS
    length = closest = 0
    for truths, said in zip(references, predicted, strict=True):
        length += len(said)
        closest += min((abs(len(truth) - len(said)), len(truth)) for truth in truths)[1]
        for n in range(1, ORDERS + 1):
            found = _grams(said, n)
            most: Grams = Counter()
            for truth in truths:
                most |= _grams(truth, n)
            right[n - 1] += (found & most).total()
            there[n - 1] += found.total()
    penalty = 0.0 if not length else math.exp(min(0.0, 1 - closest / length))
    logs, scores = 0.0, []
    for n in range(ORDERS):
        logs += math.log(right[n] / there[n]) if right[n] else -math.inf
        scores.append(penalty * math.exp(logs / (n + 1)))
    return scores


def rouge_l(references: Sequence[Sequence[Words]], predicted: Sequence[Words]) -> float:
    """The mean over pictures of F = (1 + β²) P R / (R + β² P), 0 to 1.

    With the longest common subsequence l of a caption and a reference, P is the greatest l / |caption| of all
    references, R the greatest l / |reference|. 0 where no word is common.
    Source: Lin 2004, ROUGE: a package for automatic evaluation of summaries.
    """
    total = 0.0
    for truths, said in zip(references, predicted, strict=True):
        common = [(_common(said, truth), len(truth)) for truth in truths]
        precision = max(found for found, _ in common) / max(1, len(said))
        recall = max(found / max(1, length) for found, length in common)
        if precision and recall:
            total += (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)
    return total / len(predicted)


def cider_d(references: Sequence[Sequence[Words]], predicted: Sequence[Words]) -> float:
    """10 · the mean over pictures, their references and n = 1 … 4 of e^(−(l_c − l_r)² / 2σ²) · min(g_c, g_r) · g_r /
    (‖g_c‖ ‖g_r‖), 0 to 10.

    g holds for each n-gram how often it comes, times ln(pictures / pictures with it in any reference), l the number of
    word pairs. Of one picture alone all is 0, as every n-gram is in all pictures.
    Source: Vedantam, Zitnick & Parikh 2015, CIDEr: consensus-based image description evaluation, section 6.
    """
    frequency: Counter[tuple[str, ...]] = Counter()
    for truths in references:
        frequency.update({gram for truth in truths for n in range(1, ORDERS + 1) for gram in _grams(truth, n)})
    pictures = math.log(len(references))
    total = 0.0
    for truths, said in zip(references, predicted, strict=True):
        own = _weighted(said, frequency, pictures)
        similar = [
            _similarity(own, _weighted(truth, frequency, pictures), _pairs(said) - _pairs(truth)) for truth in truths
        ]
        total += sum(similar) / len(similar)
    return TENFOLD * total / len(predicted)


Vector = tuple[Mapping[tuple[str, ...], float], float]
"""Weights by n-gram, and the root of the sum of their squares."""


def _weighted(words: Words, frequency: Counter[tuple[str, ...]], pictures: float) -> list[Vector]:
    """The weights of a caption's n-grams, for each n."""
    found = list[Vector]()
    for n in range(1, ORDERS + 1):
        weights = {g: count * (pictures - math.log(max(1, frequency[g]))) for g, count in _grams(words, n).items()}
        found.append((weights, math.sqrt(sum(weight**2 for weight in weights.values()))))
    return found


def _similarity(one: Sequence[Vector], other: Sequence[Vector], longer: int) -> float:
    near = math.exp(-(longer**2) / (2 * SIGMA**2))
    total = 0.0
    for (own, norm), (true, length) in zip(one, other, strict=True):
        shared = sum(min(weight, true[gram]) * true[gram] for gram, weight in own.items() if gram in true)
        total += shared / (norm * length) if norm and length else 0.0
    return near * total / ORDERS


def _pairs(words: Words) -> int:
    """Pairs of words that follow each other."""
    return max(0, len(words) - 1)


def _grams(words: Words, n: int) -> Grams:
    return Counter(zip(*(words[k:] for k in range(n)), strict=False))


def _common(one: Words, other: Words) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = row
        row = [0]
        for k, each in enumerate(other):
            row.append(before[k] + 1 if each == word else max(before[k + 1], row[k]))
    return row[-1]
