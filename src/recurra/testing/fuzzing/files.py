"""Files that hold data: those of every reader, word vectors, and what vocabularies make of texts and records."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from recurra.data.codecs import file as codec_file
from recurra.data.codecs.characters import Byte, Character
from recurra.data.codecs.labels import Labels
from recurra.data.codecs.subwords import Subwords
from recurra.data.codecs.tokens import Tokens
from recurra.data.codecs.word import Word
from recurra.data.vectors import read_vectors
from recurra.registry import arguments, construct
from recurra.testing.fuzzing.mutations import json_text, mutated, mutated_bytes, mutated_value


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


_POEM = '{"title": "夜", "form": "5x4", "paragraphs": ["山水夜風香，石雨落秋光。雪月古江長，客夢起天霜。"]}\n'
READERS: Mapping[str, tuple[str, ...]] = {
    "aligned": ("to Óbidos\nhi\n", "O B-to\nO\n", "fly\ngreet\n"),
    "columns": ("EU B-ÓRG\n. O\n\nits O\nown NN\n", "-DOCSTART- -X- O\n\nEU\tNNP\tB-ORG\nrejects\tVBZ\tO\n"),
    "conllu": (
        "# text = é\n1\té\té\tDT\tDT\t_\t0\troot\t_\t_\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "2.1\ta\ta\tX\tX\t_\t_\t_\t_\t_\n",
    ),
    "dictionary": (";;; é\nTWO  T UW\nREAD  R EH D\nREAD(1)  R IY D\n", "a\tb c\nd\te\n"),
    "jsonl": (
        '{"text": "é", "label": "x"}\n{"text": "b", "label": ["y", 1]}\n',
        '{"tokens": ["a", "b"], "tags": ["O", "B-x"], "label": true}\n',
    ),
    "labelled-lines": ("x\té\nx\tb\n", "DESC:manner How did é ?\nENTY:cremat What ?\n", "__label__x a b\n"),
    "lines": ("é b\n\n c \n",),
    "pairs": ("Hi.\t嗨。\tCC-BY\nRun.\t跑。\n",),
    "parallel": ("one\ntwo\n", "ein\nzwéi\n"),
    "poems": (_POEM, _POEM.replace("夜", "山").replace("5x4", "7x8")),
    "segmented": ("我们 走 吧\n好\n",),
    "series": ("date,é\n2020-01-31,1\n2020-02-29,NA\n2020-03-31,-2e3\n", "1;2;\n3;4;\n5;6,5;\n", "ds\ty\n1\t2\n2\t3\n"),
    "sequences": (
        "sequence,step,é,b,label\n1,0,1,2,x\n1,1,2,-2.5,x\n2,0,1,3,y\n",
        "id;time;a;tag\né;2020-01-01;1;w\né;2020-01-02;-1e3;s\n",
    ),
    "stories": ("1 Mary went to é.\n2 Where is Mary?\té\t1\n1 John ran.\n2 Who ran?\tJohn\t1 2\n",),
    "table": ("text,label\né,x\nb,y\n", 'a;b\n"x ""y""";1\n"z\nw";2\n', "text\tlabel\na\tb\n"),
    "text": ("é\nb\n",),
    "ts": (
        "# é\n@problemName é\n@timeStamps false\n@dimensions 2\n@classLabel true a b\n@data\n1,2:4,5:a\n1,?:-4,5e1:b\n",
        "@timeStamps true\n@classLabel true a b\n@data\n(0,1),(1,2):(0,3),(2,4):a\n(2020-01-01 10:00:00,1):(3,4):b\n",
    ),
    "tsf": (
        "# é\n@relation é\n@attribute series_name string\n@attribute start date\n@data\nT1:1979-01-01 00-00-00:1,2,?\n",
    ),
    "trees": ("(3 (2 Ít) (4 works))\n(1 (0 a) (2 (2 b) (3 c)))\n",),
    "auto": ("EU B-ÓRG\n. O\n", "text,label\né,x\nb,y\n"),
}
BINARY: Mapping[str, tuple[bytes, ...]] = {
    kind: tuple(map(_bytes, construct("reader", {"kind": kind}).sample.files.values()))
    for kind in ("idx", "npz", "intervals", "digit-strings", "jsonl-images")
}
"""Those that are no text."""
_ALL = tuple(text for texts in READERS.values() for text in texts)
_ENCODINGS = ("utf-8",) * 12 + ("latin-1", "utf-16", "gb18030")


class Readers:
    """Files of every format, read by every reader."""

    name = "readers"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "readers"
        self._folder.mkdir(exist_ok=True)
        for kind in ("aligned", "intervals"):
            (self._folder / kind).mkdir(exist_ok=True)

    def make(self, random: Random) -> bytes:
        kind = random.choice((*READERS, "auto", *BINARY))
        if kind in BINARY:
            parts = [mutated_bytes(raw, random) if random.random() < 0.7 else raw for raw in BINARY[kind]]
            return b"\x1e\x1e".join([f"{kind} utf-8".encode(), *parts])
        encoding = random.choice(_ENCODINGS)
        samples = READERS[kind] if random.random() < 0.9 else _ALL
        count = len(READERS[kind]) if kind in ("aligned", "parallel") else 1
        files = [
            mutated(samples[k % len(samples)] if count > 1 else random.choice(samples), random, _ALL)
            for k in range(count)
        ]
        return b"\x1e\x1e".join([f"{kind} {encoding}".encode(), *files])

    def take(self, given: bytes) -> bool:
        head, *files = given.split(b"\x1e\x1e")
        kind, encoding = head.decode().split()
        paths = []
        for k, raw in enumerate(files):
            names = {"aligned": ("seq.in", "seq.out", "label"), "intervals": ("a.npz", "b.csv")}.get(kind)
            name = f"{kind}/{names[k % len(names)]}" if names else f"{k}.txt"
            paths.append(self._folder / name)
            write(paths[-1], raw)
        if kind in ("aligned", "intervals"):
            paths = [self._folder / kind]
        known = {"encoding": encoding} if "encoding" in arguments("reader", kind) else {}
        reader = construct("reader", {"kind": kind, **known})
        reader.sniff(paths[0])
        found = list(reader.read(*paths))
        if kind != "poems":
            assert found, "no example, and no refusal"
        for example in found:
            _check_example(example, reader.fields)
        return True


def _check_example(example: Mapping[str, Any], fields: Mapping[str, str]) -> None:
    """An example holds finite numbers, or strings and lists of them that UTF-8 can write; as many tags as tokens."""
    if "tags" in example and "tokens" in example:
        assert len(example["tags"]) == len(example["tokens"]), "other tags than tokens"
    for value in example.values():
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all() and value.ndim == 2 and value.shape[1], "numbers that are none"
        else:
            json.dumps(value, ensure_ascii=False).encode()


class Vectors:
    """Files of word vectors."""

    name = "vectors"
    _samples = (
        "the 0.1 0.2 0.3\nof -1 2e-3 4\nand 1 2 3\n",
        "3 2\nthe 0.1 0.2\né 1 2\nNew York 3 4\n",
        "10 000 1 2 3\na 1 2 3\nb 3 4 5\n",
    )

    def __init__(self, folder: Path) -> None:
        self._path = folder / "vectors.txt"

    def make(self, random: Random) -> bytes:
        return mutated(random.choice(self._samples), random, self._samples)

    def take(self, given: bytes) -> bool:
        write(self._path, given)
        words, vectors = read_vectors(self._path)
        assert vectors.dtype == np.float32
        assert vectors.shape[0] == len(words) > 0, "words and vectors differ in number"
        assert vectors.shape[1] > 0, "vectors of no numbers"
        assert bool(np.isfinite(vectors).all()), "vectors that are not finite"
        return True


_TEXT = "the quick brown fox jumps over the lazy dog.\nDas Öl, 我们 走 吧 — café नमस्ते 12 3.5!\n"


class Codecs:
    """Texts to numbers and back by every vocabulary, and vocabularies restored from records that are odd."""

    name = "codecs"

    def __init__(self, folder: Path) -> None:
        texts = [_TEXT, _TEXT[::-1]]
        self._of_text: dict[str, Any] = {
            "character": Character().fit(texts),
            "byte": Byte().fit(texts),
            "word": Word().fit(texts),
            "word words": Word(split="words", lower=True, digits=True).fit(texts),
        }
        self._of_examples: dict[str, Any] = {
            "tokens": Tokens().fit(texts),
            "tokens space": Tokens(split="space", digits=True).fit(texts),
            "tokens characters": Tokens(split="characters", lower=True).fit(texts),
            "subwords": Subwords(size=300).fit(texts),
            "subwords unigram": Subwords(size=300, model="unigram").fit(texts * 3),
        }
        self._labels = Labels().fit([["O", "B-x", "I-x"]])
        every = (*self._of_text.values(), *self._of_examples.values(), self._labels)
        self._records = [vocabulary.record() for vocabulary in every]
        self._path = folder / "vocabulary.json"

    def make(self, random: Random) -> bytes:
        if random.random() < 0.7:
            return b"text " + mutated(_TEXT, random, _ALL)
        record = random.choice(self._records)
        small = {**record, "symbols": record["symbols"][: random.choice((2, 9, 260, None))]}
        if "scores" in record:
            small["scores"] = record["scores"][: len(small["symbols"])]
        whole: Any = (
            {"version": 1, **small} if random.random() < 0.5 else {"version": 2, "vocabularies": {"input": small}}
        )
        whole = mutated_value(whole, random)
        raw = json_text(whole, random).encode("utf-8", errors="surrogatepass")
        return b"file " + raw

    def take(self, given: bytes) -> bool:
        what, raw = given[:5], given[5:]
        if what == b"file ":
            write(self._path, raw)
            for vocabulary in codec_file.load(self._path).values():
                self._use(vocabulary, _TEXT)
                again = codec_file.from_record(json.loads(json.dumps(vocabulary.record())))
                assert again.symbols == vocabulary.symbols, "other symbols after saving"
            return True
        text = _halves(raw) if len(raw) % 2 else raw.decode("utf-8", errors="replace")
        for name, vocabulary in (*self._of_text.items(), *self._of_examples.items()):
            self._use(vocabulary, text)
            if name == "byte" and text == text.encode("utf-8", "replace").decode():
                assert vocabulary.decode(vocabulary.encode(text)) == text, "bytes do not come back"
            if name == "character" and not (vocabulary.encode(text) == 0).any():
                assert vocabulary.decode(vocabulary.encode(text)) == text, "characters do not come back"
            if name.startswith("subwords") and text == text.encode("utf-8", "replace").decode():
                ids = vocabulary.encode(text)
                assert vocabulary.decode(ids) == text, "subwords do not write the text"
        fresh: Any = Character() if len(raw) % 3 else Word() if len(raw) % 2 else Tokens()
        self._use(fresh.fit([text]), text)
        return True

    def _use(self, vocabulary: Any, text: str) -> None:
        """Encode a text, and write its numbers back: all are symbols, and there are as many pieces."""
        if isinstance(vocabulary, Labels):
            ids = vocabulary.encode([*vocabulary.symbols[:5], "?"])
            vocabulary.decode([i for i in ids.tolist() if i >= 0])
            return
        ids = vocabulary.encode(text)
        assert len(vocabulary.pieces(ids)) == len(ids)
        vocabulary.decode(ids)
        assert not len(ids) or 0 <= ids.min() <= ids.max() < len(vocabulary), "numbers that are no symbols"


def _halves(raw: bytes) -> str:
    """A text in which lone surrogates stay what they are, and what is no UTF-8 becomes some of them."""
    return raw.decode("utf-8", errors="surrogateescape")


def write(path: Path, raw: bytes) -> None:
    """Opened as the system does it, and cut afterwards: file systems bring a file that was emptied to the disk."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.write(file, raw)
        os.ftruncate(file, len(raw))
    finally:
        os.close(file)
