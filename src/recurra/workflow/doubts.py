"""What is to be doubted in data that were read: fields that are missing, labels that seem to be none, other formats."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from recurra import config as configuration
from recurra import registry
from recurra.config import Config
from recurra.data.codecs.contract import ReadsOneWay, forms_of
from recurra.data.fields import Codecs, place_of, readers_of
from recurra.data.readers.sniff import AutoReader
from recurra.errors import DataError
from recurra.tasks.naming import count_unseen
from recurra.tasks.scores import Scores
from recurra.types import Example, Field

NAMES = ("label", "label-set", "tags")
"""Codecs of fields that hold names."""
ASIDE = ("number", "scale")
"""Fields that a reader gives where a setting of that name says where they stand."""
SHOWN = 3
"""Labels that a message shows."""
LEFTWARDS, RIGHTWARDS = "right-to-left", "left-to-right"
"""How a script runs, as codecs of pictures call it."""
MANY = 20
"""Labels from which on it is asked whether they are labels at all, if most occur but once."""


@contextmanager
def other_format(reader: Any, task: Any) -> Iterator[None]:
    """Turn an error of reading into what is wrong where the format that was found has not what the task learns."""
    try:
        yield
    except DataError as error:
        kind: str | None = getattr(reader, "kind", None)
        learned = [(*field.of, *filter(None, [field.several])) for field in task.fields.values() if field.learned]
        gives = {*registry.find("reader", kind).fields} if kind is not None else set()
        missing = next((of for of in learned if kind is not None and not gives & {*of}), None)
        if missing is None:
            raise
        raise DataError(
            f"{reader.reason}. That format gives no {missing[0]}, expected one of {', '.join(readers_of(*missing))}. "
            "Write the file in one of them, or name its format: --set reader.kind=…"
        ) from error


def check_fields(examples: Iterable[Example], fields: Mapping[str, Field]) -> None:
    """Raise `DataError` for an example without a field that is learned, saying what would learn from it."""
    learned = {name: field for name, field in fields.items() if field.learned}
    for example in examples:
        for name, field in learned.items():
            if not {*field.of, *filter(None, [field.several])} & example.keys():
                raise DataError(_missing(name, learned, example))


def _missing(missing: str, learned: Mapping[str, Field], example: Example) -> str:
    called = learned[missing].of[0]
    if {missing, *example} >= {"label", "labels"}:
        several = missing == "label"
        what = "any number of labels" if several else "one label"
        move = f"To learn {what} for each: --set task.multi_label={str(several).lower()}"
    elif missing == "label" and "tags" in learned:
        move = "To learn tags alone: --set task.intent=false"
    elif missing == "tags" and example.keys() & {"label", "labels"}:
        move = "To learn labels: recurra train classifier …"
    elif "tags" in example:
        move = "To learn its tags: recurra train tagger …"
    else:
        move = f"Write it there, or name a reader that gives {called}: --set reader.kind=…"
        if readers := readers_of(called):
            kinds = " or ".join(readers)
            move = f"Name a reader that gives {called}: --set reader.kind={kinds}"
            if missing in ASIDE:
                move = f"Say where it stands: --set reader.{missing}=COLUMN, with reader.kind={kinds}"
    there = ", ".join(name for name in example if name != "place")
    return f"{place_of(example)}: no {called} in this example, only {there}. {move}"


def doubts(train: Sequence[Example], fields: Mapping[str, Field]) -> list[str]:
    """A sentence for each field of names with so many that they seem to be something else, numbers of rows or texts;
    and for one with names that stand for none."""
    found = []
    for field, name in ((each, of) for each in fields.values() if each.learned for of in each.of):
        if field.codec["kind"] not in NAMES:
            continue
        names = _names(train, name)
        what = name.removesuffix("s")
        if 0 < (nameless := names.count("_")) < len(names):
            found.append(
                f"{nameless:,} of {len(names):,} {what}s are '_', as files of columns write what is not known: it is "
                "learnt like any other."
            )
        distinct = len(set(names))
        if field.codec["kind"] != "tags":
            _check_no_numbers(names, what)
        if distinct >= MANY and 2 * distinct > len(names):
            found.append(f"{distinct:,} different {what}s among {len(names):,}: is the right column read?")
    return found


def against_the_columns(train: Sequence[Example], codecs: Codecs) -> list[str]:
    """A sentence where a text whose order is that of the input's columns is mostly of letters that are written the
    other way."""
    codec: Any = codecs["input"]
    aligned = [field for field in codecs.fields.values() if field.learned and field.aligned]
    if not isinstance(codec, ReadsOneWay) or not aligned:
        return []
    ways = Counter(
        LEFTWARDS if way in ("R", "AL") else RIGHTWARDS
        for text in _names(train, aligned[0].of[0])
        for way in map(unicodedata.bidirectional, text)
        if way in ("L", "R", "AL")
    )
    other = LEFTWARDS if codec.reads == RIGHTWARDS else RIGHTWARDS
    share = ways[other] / max(1, ways.total())
    if share <= 0.5:
        return []
    return [
        f"{share:.0%} of the letters of the training transcripts are of scripts written {other.replace('-', ' ')}, but "
        f"pictures are read {codec.reads.replace('-', ' ')}: letters are learnt in the order of columns, so "
        f"little will be right. Set input.reads: --set input.reads={other}"
    ]


def _check_no_numbers(names: Sequence[str], what: str) -> None:
    """Raise `DataError` for labels that are mostly distinct numbers, which no class has enough examples of."""
    distinct = {*names}
    numbers = sum(is_number(name) for name in distinct)
    if len(distinct) < MANY or 10 * numbers < 9 * len(distinct) or 2 * len(distinct) <= len(names):
        return
    shown = ", ".join(sorted(filter(is_number, distinct))[:SHOWN])
    raise DataError(
        f"{len(distinct):,} different {what}s among {len(names):,}, {numbers:,} of them numbers ({shown}, …): expected "
        f"classes, each with examples of its own. Is another column the {what}? {_for_numbers()}"
    )


def _for_numbers() -> str:
    """What there is for a target of numbers: our recipes whose task learns a field by a codec of numbers."""
    recipes = {name: configuration.load_recipe(name)["task"] for name in configuration.recipe_names()}
    found = [name for name, task in recipes.items() if any(map(_is_number, _fields_of(task).values()))]
    return f"For numbers: recurra train {' or '.join(found)} … --set reader.number=COLUMN"


def _fields_of(task: Mapping[str, Any]) -> Mapping[str, Field]:
    """The fields of a task with its settings."""
    found: Mapping[str, Field] = registry.construct("task", task).fields
    return found


def _is_number(field: Field) -> bool:
    """Whether a field is a target of one number an example."""
    return field.learned and not field.along and "number" in forms_of(field.codec["kind"])


def is_number(text: str) -> bool:
    """Whether a label is written as a number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def unseen(valid: Sequence[Example], codecs: Codecs) -> list[str]:
    """A sentence for each field whose names in the validation examples training has not all seen."""
    found = Scores({})
    for name, field in codecs.fields.items():
        if field.learned and field.codec["kind"] in NAMES:
            for of in field.of:
                count_unseen(found, f"{of.removesuffix('s')}s", _names(valid, of), codecs[name].symbols)
    return [f"Validation: {note}" for note in found.notes]


def _names(examples: Sequence[Example], field: str) -> list[str]:
    """All names of a field of examples, each as often as it occurs."""
    return [n for e in examples if field in e for n in ([e[field]] if isinstance(e[field], str) else e[field])]


def settled_words(config: Config, parts: Any) -> list[str]:
    """Settle, in `config`, how the words of a text made of examples are found: as recipes that label them do, so that
    a model of labels can start from this one. Gives a sentence about that."""
    vocabulary = config.get("vocabulary", {})
    if parts.lines_of is None or vocabulary.get("kind") != "word":
        return []
    given: dict[str, Any] = {"split": "words", "lower": True}
    if parts.lines_of == "tokens":
        given = {"split": "space", "lower": True, "digits": True}
    left = {key: value for key, value in given.items() if key not in vocabulary}
    config["vocabulary"] = {**vocabulary, **left}
    words = ", ".join(f"vocabulary.{key} = {str(value).lower()}" for key, value in left.items())
    return [f"Words are read as the recipes of labels do: {words}."] if left else []


def looks_labelled(config: Config) -> list[str]:
    """A sentence about the first file where it looks labelled, and is read as plain text."""
    files = config["data"].get("train", ())[:1]
    if config["reader"]["kind"] != "text" or not files:
        return []
    found = AutoReader(config["reader"].get("encoding", "utf-8")).sniff(files[0])
    if found is None:
        return []
    kind, _, why = found.partition(": ")
    fields = registry.find("reader", kind).fields
    recipe = " or ".join(name for field, name in (("tags", "tagger"), ("label", "classifier")) if field in fields)
    return [
        f"{files[0]} looks labelled ({why}), and is read as plain text. To learn from its texts alone: --set "
        f"reader.kind={kind}. To learn the labels: recurra train {recipe} …"
    ]
