"""The readers on public data sets, counted exactly; the folder is the one that RECURRA_DATA names."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recurra.data.files import read_lines
from recurra.data.readers.sniff import AutoReader
from recurra.data.sets import find_set, read_sources
from recurra.data.sides import has_empty_side
from recurra.data.spans import detect, faults, spans
from recurra.registry import construct

DATA = os.environ.get("RECURRA_DATA")

pytestmark = pytest.mark.skipif(not DATA, reason="RECURRA_DATA names no folder of data sets")


def file(name: str) -> Path:
    path = Path(DATA or "") / name
    if not path.exists():
        pytest.skip(f"{name} is not below RECURRA_DATA")
    return path


def read(name: str, kind: str, **settings: Any) -> list[Any]:
    return list(construct("reader", {"kind": kind, **settings}).read(file(name)))


def size(examples: list[Any]) -> tuple[int, int]:
    """Sentences and tokens."""
    return len(examples), sum(len(e["tokens"]) for e in examples)


# Spans as conlleval reads them, and the faults: data with an I- after an O have a span there that has no B-.
TAGGED = [
    ("conll2003/eng.train.gz", {}, "iob1", (14041, 203621), 23499, 2),
    ("conll2003/eng.testa.gz", {}, "iob1", (3250, 51362), 5942, 0),
    ("conll2003/eng.testb.gz", {}, "iob1", (3453, 46435), 5648, 0),
    ("ner-chinese/msra/train.txt.gz", {}, "bio", (50658, 2169879), 74709, 6),
    ("ner-chinese/msra/test.txt.gz", {}, "bio", (4631, 172601), 6192, 11),
    ("ner-chinese/weibo/weiboNER_2nd_conll.train.gz", {"strip_position": True}, "bio", (1350, 73778), 1895, 10),
    ("ner-chinese/weibo/weiboNER_2nd_conll.dev.gz", {"strip_position": True}, "bio", (270, 14509), 389, 0),
    ("ner-chinese/weibo/weiboNER_2nd_conll.test.gz", {"strip_position": True}, "bio", (270, 14842), 418, 4),
    ("ner-chinese/resume/train.char.bmes.gz", {}, "bmes", (3821, 124099), 13440, 4),
    ("ner-chinese/resume/dev.char.bmes.gz", {}, "bmes", (463, 13890), 1497, 0),
    ("ner-chinese/resume/test.char.bmes.gz", {}, "bmes", (477, 15100), 1630, 0),
]

BEGUN = {
    "ner-chinese/msra/train.txt.gz": 74703,
    "ner-chinese/msra/test.txt.gz": 6181,
    "ner-chinese/weibo/weiboNER_2nd_conll.train.gz": 1885,
    "ner-chinese/weibo/weiboNER_2nd_conll.dev.gz": 389,
    "ner-chinese/weibo/weiboNER_2nd_conll.test.gz": 414,
    "ner-chinese/resume/train.char.bmes.gz": 13438,
    "ner-chinese/resume/dev.char.bmes.gz": 1497,
    "ner-chinese/resume/test.char.bmes.gz": 1630,
}
"""Tags B- and S-: the entities as the sets' own descriptions count them."""


@pytest.mark.parametrize(("name", "settings", "scheme", "count", "entities", "broken"), TAGGED)
def test_named_entities(
    name: str, settings: dict[str, bool], scheme: str, count: tuple[int, int], entities: int, broken: int
) -> None:
    examples = read(name, "columns", **settings)
    sentences = [e["tags"] for e in examples]
    assert size(examples) == count
    found = detect(sentences)
    assert found == scheme
    assert sum(len(spans(tags)) for tags in sentences) == entities
    assert sum(faults(tags, found) for tags in sentences) == broken
    if name in BEGUN:
        assert sum(tag[0] in "BS" for tags in sentences for tag in tags) == BEGUN[name]
    if settings:
        assert {token for e in examples for token in e["tokens"] if len(token) != 1} <= {"\ufffd\ufffd"}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ud-english-ewt/en_ewt-ud-train.conllu.gz", (12544, 204577)),
        ("ud-english-ewt/en_ewt-ud-dev.conllu.gz", (2001, 25147)),
        ("ud-english-ewt/en_ewt-ud-test.conllu.gz", (2077, 25094)),
        ("ud-chinese-gsd-v1.3/zh-ud-train.conllu.gz", (3997, 98608)),
        ("ud-chinese-gsd-v1.3/zh-ud-dev.conllu.gz", (500, 12663)),
        ("ud-chinese-gsd-v1.3/zh-ud-test.conllu.gz", (500, 12012)),
    ],
)
def test_universal_dependencies(name: str, count: tuple[int, int]) -> None:
    examples = read(name, "conllu")
    assert size(examples) == count
    assert detect(e["tags"] for e in examples) == "none"
    assert len({tag for e in examples for tag in e["tags"]}) <= 17


@pytest.mark.parametrize(
    ("name", "count", "tags", "labels"),
    [
        ("atis/train", (4478, 50497), 120, 21),
        ("atis/valid", (500, 5703), None, None),
        ("atis/test", (893, 9164), None, None),
        ("snips/train", (13084, 117700), 72, 7),
        ("snips/valid", (700, 6384), None, 7),
    ],
)
def test_slots_and_intents(name: str, count: tuple[int, int], tags: int | None, labels: int | None) -> None:
    examples = read(name, "aligned")
    assert size(examples) == count
    assert detect(e["tags"] for e in examples) == "bio"
    assert sum(faults(e["tags"], "bio") for e in examples) == 0
    assert tags in (None, len({tag for e in examples for tag in e["tags"]}))
    assert labels in (None, len({e["label"] for e in examples}))


@pytest.mark.parametrize(("part", "count"), [("train", 8544), ("dev", 1101), ("test", 2210)])
def test_sentiment_trees(part: str, count: int) -> None:
    name = f"sst/{part}.txt.gz"
    assert len(read(name, "trees")) == count
    two = read(name, "trees", classes="two")
    assert len(two) == {"train": 6920, "dev": 872, "test": 1821}[part]
    assert {e["label"] for e in two} == {"negative", "positive"}
    phrases = read(name, "trees", classes="two", phrases=True)
    assert [e for e in phrases if "phrase" not in e] == two


@pytest.mark.parametrize(
    ("name", "kind", "settings", "labels"),
    [
        ("reuters-r8/r8-train-all-terms.txt.gz", "labelled-lines", {}, {"earn": 2840, "acq": 1596, "grain": 41}),
        ("chnsenticorp/train.tsv.gz", "table", {"text": "text_a"}, {"1": 4799, "0": 4801}),
        ("imdb/train.jsonl.gz", "jsonl", {}, {"pos": 12500, "neg": 12500}),
        ("trec/train_5500.label", "labelled-lines", {"level": "coarse", "encoding": "latin-1"}, {"ABBR": 86}),
    ],
)
def test_classes(name: str, kind: str, settings: dict[str, str], labels: dict[str, int]) -> None:
    counts = Counter(e["label"] for e in read(name, kind, **settings))
    assert {label: counts[label] for label in labels} == labels


@pytest.mark.parametrize(
    ("name", "kind", "settings", "count", "classes"),
    [
        ("reuters-r8/r8-train-all-terms.txt.gz", "labelled-lines", {}, 5485, 8),
        ("reuters-r8/r8-test-all-terms.txt.gz", "labelled-lines", {}, 2189, 8),
        ("trec/train_5500.label", "labelled-lines", {"encoding": "latin-1"}, 5452, 50),
        ("trec/train_5500.label", "labelled-lines", {"encoding": "latin-1", "level": "coarse"}, 5452, 6),
        ("trec/TREC_10.label", "labelled-lines", {"encoding": "latin-1", "level": "coarse"}, 500, 6),
        ("chnsenticorp/train.tsv.gz", "table", {"text": "text_a"}, 9600, 2),
        ("chnsenticorp/dev.tsv.gz", "table", {"text": "text_a"}, 1200, 2),
        ("chnsenticorp/test.tsv.gz", "table", {"text": "text_a"}, 1200, 2),
        ("imdb/train.jsonl.gz", "jsonl", {}, 25000, 2),
        ("imdb/test.jsonl.gz", "jsonl", {}, 25000, 2),
    ],
)
def test_documents(name: str, kind: str, settings: dict[str, str], count: int, classes: int) -> None:
    examples = read(name, kind, **settings)
    assert len(examples) == count
    assert len({e["label"] for e in examples}) == classes
    words = {"imdb/train.jsonl.gz": 5844373, "imdb/test.jsonl.gz": 5712457}
    assert words.get(name) in (None, sum(len(e["text"].split()) for e in examples))


@pytest.mark.parametrize(
    ("part", "count", "english", "german"),
    [("train", 29000, 345020, 322383), ("val", 1014, 12167, 11568), ("test_2016_flickr", 1000, 11877, 10905)],
)
def test_translations(part: str, count: int, english: int, german: int) -> None:
    paths = [file(f"multi30k/{part}.{language}.gz") for language in ("en", "de")]
    examples = list(construct("reader", {"kind": "parallel"}).read(*paths))
    words = [sum(len(e[side].split()) for e in examples) for side in ("source", "target")]
    assert (len(examples), words) == (count, [english, german])
    assert not any(has_empty_side(e) for e in examples)


def test_short_sentences() -> None:
    examples = read("tatoeba-cmn-eng/cmn.txt.gz", "pairs")
    assert (len(examples), len({e["source"] for e in examples})) == (23444, 22611)
    assert not any(has_empty_side(e) for e in examples)


@pytest.mark.parametrize(
    ("part", "words", "lines"),
    [("train-dev-20-21", 102068, 108952), ("train-dev-1-21", 5447, 5447), ("test", 11994, 12855)],
)
def test_pronunciations(part: str, words: int, lines: int) -> None:
    path = file(f"cmudict-g2p/cmudict-0.7b.{part}.gz")
    examples = read(f"cmudict-g2p/cmudict-0.7b.{part}.gz", "dictionary")
    written = [line.split(maxsplit=1) for _, line in read_lines(path, "utf-8") if line.strip()]
    assert (len(examples), len(written)) == (words, lines)
    assert {(e["source"], t) for e in examples for t in e["targets"]} == {
        (word, " ".join(t.split())) for word, t in written
    }
    assert len({phoneme for e in examples for t in e["targets"] for phoneme in t.split()}) == 39


@pytest.mark.parametrize(
    ("name", "kind"), [("tatoeba-cmn-eng/cmn.txt.gz", "pairs"), ("multi30k/val.de.gz", "parallel")]
)
def test_the_format_of_pairs_is_known_by_its_look(name: str, kind: str) -> None:
    said = AutoReader(gives="pairs").sniff(file(name))
    assert said and said.split(":")[0] == kind


@pytest.mark.parametrize(
    ("name", "kind", "encoding"),
    [
        *((name, "columns", "utf-8") for name, *_ in TAGGED),
        ("ud-english-ewt/en_ewt-ud-dev.conllu.gz", "conllu", "utf-8"),
        ("ud-chinese-gsd-v1.3/zh-ud-dev.conllu.gz", "conllu", "utf-8"),
        ("atis/test", "aligned", "utf-8"),
        ("snips/valid", "aligned", "utf-8"),
        ("sst/dev.txt.gz", "trees", "utf-8"),
        ("reuters-r8/r8-test-all-terms.txt.gz", "labelled-lines", "utf-8"),
        ("trec/train_5500.label", "labelled-lines", "latin-1"),
        ("chnsenticorp/dev.tsv.gz", "table", "utf-8"),
        ("imdb/test.jsonl.gz", "jsonl", "utf-8"),
        ("tinyshakespeare/input.txt", None, "utf-8"),
        ("ptb/ptb.valid.txt.gz", None, "utf-8"),
    ],
)
def test_the_format_is_known_by_its_look(name: str, kind: str | None, encoding: str) -> None:
    said = AutoReader(encoding=encoding).sniff(file(name))
    assert (said and said.split(":")[0]) == kind


def test_recordings() -> None:
    for name in ("an4-mfcc/train_mfcc.npz", "fsdd/index.csv"):
        file(name)
    parts = {"an4": (948, 130), "fsdd": (2250, 250), "fsdd-without-lucas": (2000, 500)}
    for name, sizes in parts.items():
        found = find_set(name)
        reader = construct("reader", found.reader)
        train, test = (list(read_sources(part, reader)) for part in (found.train, found.test))
        assert (len(train), len(test)) == sizes and not found.valid
        whose = [{each["speaker"] for each in part} for part in (train, test)]
        assert not whose[0] & whose[1] or name == "fsdd"
        assert all("vectors" in each or len(each["sound"]) for each in (*train, *test))


CAPTIONS = [
    ("rsicd-captions", (8734, 43668), (1094, 5469), (1093, 5465)),
    ("flickr8k-1000", (753, 3765), (113, 565), (125, 625)),
]
"""Pictures and captions of train, valid and test; three captions of RSICD are a mark alone."""


@pytest.mark.parametrize(("name", "train", "valid", "test"), CAPTIONS)
def test_pictures_with_captions(name: str, train: Any, valid: Any, test: Any) -> None:
    pytest.importorskip("PIL.Image", reason="the extra images is not installed")
    file(name)
    found = find_set(name)
    for sources, expected in ((found.train, train), (found.valid, valid), (found.test, test)):
        examples = list(read_sources(sources, construct("reader", found.reader or {})))
        assert (len(examples), sum(len(each["targets"]) for each in examples)) == expected
        assert all(each["image"].shape[2] == 3 for each in examples)
