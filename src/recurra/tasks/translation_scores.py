"""Scores of translations: BLEU and chrF as sacreBLEU counts them, with the signatures that say how."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from types import ModuleType

from recurra.errors import ConfigError
from recurra.tasks.error_rates import check_answers
from recurra.tasks.lengths import by_length
from recurra.tasks.scores import Scores, Table

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LETTER = re.compile(r"[^\W\d_]")


def translation_scores(sources: Sequence[str], references: Sequence[Sequence[str]], predicted: Sequence[str]) -> Scores:
    """ "bleu" in lower case, "bleu_cased" and "chrf" of translations, each with one reference or more, 0 to 100.

    Texts are as people write them: sacreBLEU splits them by its own rules, "13a", or "zh" where most of the letters in
    the references are Chinese. `notes` has the signature of each score, which says by which. A table "length" has BLEU
    by length of the source in words, or in characters where most of its letters are Chinese.

    Raises ConfigError where sacreBLEU is not installed, DataError where there is nothing to score or not as many
    predictions as examples.
    Source: Post 2018, A call for clarity in reporting BLEU scores; Papineni et al. 2002, BLEU; Popović 2015, chrF.
    """
    check_answers(references, predicted)
    metrics = load_sacrebleu().metrics
    tokenizer = "zh" if mostly_han(reference for each in references for reference in each) else "13a"
    # force: predictions may end in a mark that stands by itself, which sacreBLEU would warn of
    lower, cased = (metrics.BLEU(lowercase=low, tokenize=tokenizer, force=True) for low in (True, False))
    counted = {"bleu": lower, "bleu_cased": cased, "chrf": metrics.CHRF()}
    streams = list(zip_longest(*references))  # a missing reference is None there
    scores = {name: float(metric.corpus_score(predicted, streams).score) for name, metric in counted.items()}
    notes = [f"{name}: {metric.get_signature()}" for name, metric in counted.items()]

    han = mostly_han(sources)
    lengths = [len("".join(source.split())) if han else len(source.split()) for source in sources]
    rows: list[list[str | float]] = []
    for name, places in by_length(lengths):
        some = [[stream[k] for k in places] for stream in streams]
        bleu = float(lower.corpus_score([predicted[k] for k in places], some).score)
        rows.append([name, len(places), bleu])
    table = Table(columns=["source characters" if han else "source words", "sentences", "bleu"], rows=rows)
    return Scores(scores, {"length": table}, notes)


def mostly_han(texts: Iterable[str]) -> bool:
    """Whether more than half of the letters in texts are Chinese characters."""
    han = letters = 0
    for text in texts:
        han += len(_HAN.findall(text))
        letters += len(_LETTER.findall(text))
    return 2 * han > letters


def load_sacrebleu() -> ModuleType:
    """The package sacrebleu. Raises ConfigError where it is not installed; ask before a training, not after."""
    try:
        import sacrebleu
    except ImportError as error:
        raise ConfigError(
            "BLEU and chrF are counted by the package sacrebleu, which is not installed. Install it: "
            'pip install sacrebleu; or score otherwise: --set task.scores="exact".'
        ) from error
    module: ModuleType = sacrebleu
    return module
