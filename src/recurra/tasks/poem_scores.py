"""Scores of poems in the forms of Tang verse: form, rhyme and tone pattern, as modern readings have them.

Readings are those of today's Mandarin by pypinyin, for a character by itself the first that has a tone: many that
rhymed, or stood in the other class of tones, 1,200 years ago do not now. So real poems do not reach 100 either, and
every share is also told as a ratio to theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from recurra.data.mandarin import is_level, load_pypinyin, rhyme_group
from recurra.data.readers.poems import form_of, has_form, is_character, verses
from recurra.decoding.search import cut_notes
from recurra.tasks.copied import longest_copies
from recurra.tasks.error_rates import check_answers
from recurra.tasks.scored import Asker
from recurra.tasks.scores import Scores, Table, perplexity
from recurra.types import Example

COUNTED = (
    "nats per symbol and perplexity: of the held-out poems, every character, every mark and the end of each poem "
    "counted; the n-gram model sees the same symbols, poem behind poem, but neither form nor title. copied: characters "
    "of the longest run that stands in a training poem, marks not counted, in the mean and at most."
)

NOTES = (
    "form: poems of exactly as many lines of as many characters as asked for. rhyme: poems whose even lines all end in "
    "one of Mandarin's thirteen rhyme groups; one in another form does not count as rhymed.",
    "tones: of the rules of regulated verse (characters 2, 4 and 6 of a line alternate between level and oblique; "
    "character 2 is opposite within a couplet, alike from one couplet to the next) the share that holds, in poems of "
    "their form; chance has 50. Ratios are to the held-out poems themselves, read in the same modern way.",
)


def poem_report(
    task: Any, ask: Asker, gold: Sequence[Example], train: Sequence[Example] | None
) -> tuple[Scores, list[dict[str, Any]], dict[str, Any]]:
    """The scores of poems written freely beside how likely the true ones were; and rows for poems written in their
    form, and for the held-out poems themselves. Without `train` nothing is known to be copied."""
    options = replace(ask.options, form=False)
    loss, targets = ask.loss(gold)
    free = ask.answers(gold, options)
    texts = {
        "": [each["target"] for each in free],
        "model, form kept": [each["target"] for each in ask.answers(gold, replace(options, form=True))],
        "held-out poems": _poems(gold),
    }
    known = None if train is None else [_characters(text) for text in _poems(train)]
    scored = {name: task.score(gold, [{"target": text} for text in some]) for name, some in texts.items()}
    found = {
        name: scored[name].metrics | ({} if known is None else _copied(some, known)) for name, some in texts.items()
    }
    metrics = {"nats_per_symbol": loss / targets, "perplexity": perplexity(loss / targets)} | found.pop("")
    rows = [{"name": name, "size": len(gold), "unit": "poems", "note": "", **row} for name, row in found.items()]
    cut = sum(not each["ended"] for each in free)
    facts = {"search": options.words, "cut": cut, "notes": cut_notes(cut, len(gold), options)}
    return Scores(metrics, scored[""].tables, [*scored[""].notes, COUNTED]), rows, facts


def _copied(texts: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    runs = longest_copies([_characters(text) for text in texts], known)
    return {"copied": float(runs.mean()), "copied_most": float(runs.max())}


def _poems(examples: Sequence[Example]) -> list[str]:
    """The first target of each."""
    firsts = [example["targets"][0] if "targets" in example else example["target"] for example in examples]
    return ["".join(each) for each in firsts]


def _characters(text: str) -> str:
    return "".join(filter(is_character, text))


def poem_scores(sources: Sequence[str], references: Sequence[Sequence[str]], predicted: Sequence[str]) -> Scores:
    """ "form", "rhyme" and "tones" of poems, per cent, and "rhyme_ratio" and "tones_ratio" to the references, the first
    where there are several; a ratio is left out where theirs is 0. A table "form" has all by form.

    A poem is asked for by its source, "5x8 春望". Without poems in their form there is no tone to count: "tones" is 0.
    `notes` says what is counted.

    Raises ConfigError where pypinyin is not installed, DataError for a source without a form, where there is nothing to
    score or not as many predictions as examples.
    Source of the rules: Wang Li 1958, 漢語詩律學, on the regulated verse of the Tang.
    """
    check_answers(references, predicted)
    load_pypinyin()
    forms = [form_of(source) for source in sources]
    real = [targets[0] for targets in references]
    found = _shares(forms, predicted)
    metrics = {**found, **_ratios(found, _shares(forms, real))}
    rows: list[list[str | float]] = []
    for form in sorted(set(forms), key=lambda form: (form[1], form[0])):
        rows_of = [k for k, other in enumerate(forms) if other == form]
        some, true = ([texts[k] for k in rows_of] for texts in (predicted, real))
        mine, theirs = _shares([form] * len(some), some), _shares([form] * len(true), true)
        shares = [share for name in mine for share in ((mine[name],) if name == "form" else (mine[name], theirs[name]))]
        rows.append([f"{form[0]}x{form[1]}", len(some), *shares])
    columns = ["form", "poems", "form_right", "rhyme", "rhyme_of_real", "tones", "tones_of_real"]
    return Scores(metrics, {"form": Table(columns=columns, rows=rows)}, list(NOTES))


def rhymes(lines: Sequence[str]) -> bool:
    """Whether the last characters of the even lines, marks not counted, are of one rhyme group."""
    groups = {rhyme_group(line[-1]) for line in lines[1::2]}
    return len(groups) == 1 and None not in groups


def tone_rules(lines: Sequence[str]) -> Iterator[bool]:
    """For each rule of the tone pattern whether lines of one length keep it; left out where a tone is not known."""
    level = [[is_level(line[k]) for k in range(1, len(line), 2)] for line in lines]  # characters 2, 4 and 6
    pairs = [(one, other, False) for tones in level for one, other in pairwise(tones)]
    pairs += [(level[k][0], level[k + 1][0], bool(k % 2)) for k in range(len(level) - 1)]
    for one, other, alike in pairs:
        if one is not None and other is not None:
            yield (one == other) is alike


def _shares(forms: Sequence[tuple[int, int]], texts: Sequence[str]) -> dict[str, float]:
    """ "form", "rhyme" and "tones", per cent."""
    right, rhymed, kept, rules = 0, 0, 0, 0
    for form, text in zip(forms, texts, strict=True):
        if has_form(text, *form):
            lines = [line[:-1] for line in verses(text)]
            found = list(tone_rules(lines))
            right, rhymed = right + 1, rhymed + rhymes(lines)
            kept, rules = kept + sum(found), rules + len(found)
    return {"form": 100 * right / len(texts), "rhyme": 100 * rhymed / len(texts), "tones": 100 * kept / max(1, rules)}


def _ratios(found: dict[str, float], real: dict[str, float]) -> dict[str, float]:
    return {f"{name}_ratio": found[name] / real[name] for name in ("rhyme", "tones") if real[name]}
