"""What the verbs answer to labelled files: good ones, odd ones, and bad ones, which get the sentence the page says."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from recurra import cli

from .conftest import COLUMNS, SMALL, TABLE, answered, sentence, train, write

pytestmark = pytest.mark.usefixtures("here")

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "label-sequences.md"


def folder(files: dict[str, str]) -> str:
    for name, content in files.items():
        write(f"f/{name}", content)
    return "f"


def good() -> list[str]:
    return ["--valid", write("good.conll", COLUMNS), "--test", "good.conll"]


def conllu(sentences: int, without: int) -> str:
    """Sentences of four words, the third of the first ones without a tag of its language."""
    return "".join(
        "".join(
            f"{k}\tw{k}\tw{k}\tNOUN\t{'_' if k == 3 and n < without else 'NN'}\t_\t0\troot\t_\t_\n" for k in range(1, 5)
        )
        + "\n"
        for n in range(sentences)
    )


PAGE_SAYS: dict[str, Callable[[], list[str]]] = {
    "a column missing in a line": lambda: train("tagger", write("my.conll", f"a O\n\nc\n{COLUMNS}")),
    "fewer tags than words": lambda: train("slots", folder({"seq.in": "to New York\n", "seq.out": "O B-to\n"})),
    "a bracket missing": lambda: train("classifier", write("bad.trees", "(3 (2 It) (4 works)\n")),
    "JSON that is none": lambda: train("classifier", write("bad.jsonl", '{"text": "a"}\n{"text": "a" "label": 1}\n')),
    "a quote inside a text": lambda: train(
        "classifier", write("shop.csv", TABLE.splitlines()[0] + "\na,yes" * 5 + '\n"it said' + "\nb" * 49 + '",yes\n')
    ),
    "words without a tag": lambda: train(
        "tagger",
        write("my.conllu", conllu(102, without=12)),
        settings=[*SMALL, "reader.kind=conllu", "reader.tag=xpos"],
    ),
    "another column name": lambda: train("classifier", write("hotels.tsv", "label\ttext_a\nx\ta\n")),
    "another encoding": lambda: train("classifier", write("trec.txt", b"HUM:ind Who ?\n" * 65 + b"LOC:city \xf0 ?\n")),
    "labels where tags are wanted": lambda: train("tagger", write("table.csv", TABLE)),
    "one tag only": lambda: train("tagger", write("my.conll", "a O\n\nb O\n\nc O\n\nd O\n")),
    "plain text": lambda: train("tagger", write("plain.txt", "It was late.\nNobody came.\n")),
    "a sequence of 12,000 words": lambda: train("ner", write("my.conll", COLUMNS.replace("\n\n", "\n") * 60), *good()),
}


def rows() -> dict[str, str]:
    """Given → said, as the page's last table has them."""
    table = PAGE.read_text(encoding="utf-8").partition("## What bad input gets")[2]
    return dict(re.findall(r"^\| ([^|`]+) \| `(.+)` \|$", table, re.MULTILINE))


def plain(text: str) -> str:
    """Without quotes, and without commas in numbers."""
    return re.sub(r"(\d),(?=\d{3})", r"\1", text.replace("'", ""))


def test_the_pages_table_is_tested_whole() -> None:
    assert set(rows()) == set(PAGE_SAYS)


@pytest.mark.parametrize("given", PAGE_SAYS)
def test_what_the_page_says_of_bad_input(given: str, here: Path, capsys) -> None:
    said = plain(sentence(capsys, *PAGE_SAYS[given]())).replace(f"{here}/", "")
    pattern = ".*".join(re.escape(piece.strip()) for piece in plain(rows()[given]).split("…"))
    assert re.fullmatch(f"recurra: {pattern}", said), said
    assert not Path("run").exists()


TDNN = [*SMALL, "core.kind=tdnn", "core.causal=false"]
BAD: dict[str, tuple[Callable[[], list[str]], str]] = {
    "one label only": (
        lambda: train("classifier", write("a.csv", TABLE.replace(",no", ",yes"))),
        "every label of the training examples is 'yes': nothing to learn. Expected two or more; is the right column",
    ),
    "one sentence": (
        lambda: train("tagger", write("a.conll", COLUMNS.replace("\n\n", "\n"))),
        "1 training example, too few to cut valid and test off. Use more, or name files with --valid and --test. Is "
        "the blank line missing that ends a sentence?",
    ),
    "100,000 words": (
        lambda: train("tagger", write("a.conll", "a O\nb B-x\n" * 50_000), *good()),
        "a.conll:1: a sequence of 100,000 tokens, expected 10,000 at most. Is a blank line missing? If not: --set "
        "batching.longest=100000, or cut it: --set batching.cut_long=true",
    ),
    "tags in a table": (
        lambda: train("tagger", write("ner.csv", "Word,Tag\nRome,B-x\n")),
        "ner.csv read as table: a table by its name, *.csv. That format gives no tags, expected one of aligned, ",
    ),
    "a reader without tags": (
        lambda: train("tagger", write("a.csv", b"\xff"), settings=[*SMALL, "reader.kind=table"]),
        "reader.kind = 'table' gives text and label and labels and number and scale, but the task 'tag' learns tags. "
        "Name a format with tags: aligned, columns, conllu, intervals, jsonl, npz, segmented, sequences.",
    ),
    "a tab in a cell": (
        lambda: train("classifier", write("a.tsv", TABLE.replace(",", "\t").replace("place 3", "\tplace"))),
        "a.tsv:5: 3 columns, expected 2 (text, label). Is there a separator (tab or comma) inside the text?",
    ),
    "a quote that is not closed": (
        lambda: train("classifier", write("a.csv", TABLE.replace("bad place 2,", '"bad,'))),
        "a.csv:4: the quoted cell",
    ),
    "mixed encodings": (
        lambda: train("tagger", write("a.conll", COLUMNS.encode() + "Zürich O\n".encode("latin-1"))),
        "a.conll:240: byte 0xfc is not valid utf-8. The rest is utf-8: the file mixes encodings. Mend this line; ",
    ),
    "no text": (lambda: train("ner", write("a.bin", bytes(range(256)))), "a.bin:1: a NUL|a.bin:2: byte 0x80 is not"),
    "a cut gzip": (
        lambda: train("ner", write("a.gz", gzip.compress(COLUMNS.encode())[:-50])),
        "a.gz: the gzip file is cut off after",
    ),
    "nothing": (lambda: train("ner", write("a.conll", "")), "a.conll: the file is empty, expected text."),
    "blank lines": (lambda: train("ner", write("a.conll", "\n\n")), "a.conll: nothing but blank lines, expected"),
    "a folder": (
        lambda: train("ner", folder({"a.conll": COLUMNS})),
        "f: no reader knows this folder by its look, expected seq.in and seq.out in it. Name the files in it: f/*",
    ),
    "vectors of another width": (
        lambda: train(
            "ner", good()[1], settings=[*SMALL, f"vocabulary.vectors={write('v.txt', 'a 1 2' + chr(10) + 'b 1')}"]
        ),
        "v.txt:2: 1 numbers after the word, expected 2. Is the line cut off, or the file no text file of word vectors?",
    ),
    "the last state of a window": (
        lambda: train("classifier", write("a.csv", b"\xff"), settings=[*TDNN, "task.pooling=last"]),
        "task.pooling = 'last' wants the last state of each direction, but this core looks ahead without keeping its "
        "directions apart. Pool by 'max', 'mean' or 'attention', or set core.merge = 'concat' or core.causal = true",
    ),
    "the middle of what is read from one side": (
        lambda: train(
            "classifier", write("a.csv", b"\xff"), settings=["core.bidirectional=false", "task.pooling=middle"]
        ),
        "task.pooling = 'middle' takes states of the middle, but this core reads from one side: they have not seen "
        "what comes later. Set core.bidirectional = true where it has that, or pool by 'last'.",
    ),
}


TYPOS = {
    "ner reader.kind=colums": "unknown reader 'colums': did you mean 'columns' or 'conllu'?",
    "ner reader.kind=columns reader.tga=1": "unknown key reader.tga: did you mean 'tag'?",
    "ner reader.tag=1": "reader.tag is a setting of conllu and columns and sequences, so the format is to be named",
    "ner task.decoder=cfr": "task.decoder = 'cfr': did you mean 'crf'?",
    "ner data.set=atsi": "unknown data set 'atsi': did you mean 'atis'?",
    "nre": "unknown recipe 'nre': did you mean 'ner'?",
    "tagger vocabulary.kind=subwords": "vocabulary.kind = 'subwords' has symbols that are no tokens, but tags and "
    'characters go along with tokens. Write kind = "tokens"',
    "slots core.bidirectional=true core.merge=sum task.intent_pooling=last": "task.intent_pooling = 'last' wants the",
}


@pytest.mark.parametrize("typed", TYPOS)
def test_words_nobody_knows(typed: str, capsys) -> None:
    recipe, *settings = typed.split()
    files = [] if "data.set" in typed else [write("a.conll", b"\xff")]  # settings are refused before it is read
    assert f"recurra: {TYPOS[typed]}" in sentence(capsys, *train(recipe, *files, settings=[*SMALL, *settings]))


@pytest.mark.parametrize("given", BAD)
def test_bad_input(given: str, here: Path, capsys) -> None:
    words, expected = BAD[given]
    said = sentence(capsys, *words()).removeprefix("recurra: ").replace(f"{here}/", "")
    assert said.startswith(tuple(expected.split("|"))), said
    assert not Path("run").exists()


def test_what_is_no_error_is_said_before_training(capsys) -> None:
    write("valid.conll", "from O\nBern I-from\n\nvia O\nUlm B-via\n")
    write("my.conll", COLUMNS.replace("Rome B-from", "Rome I-from", 2))
    assert cli.call(train("tagger", "my.conll", "--valid", "valid.conll")) == 0
    said = capsys.readouterr().err
    read = "They are read as conlleval reads them: where no span can go on, one begins."
    for line in (
        r"The tags are spans in bio\.",
        rf"In 2 places the tags are no bio, first at \S+my.conll:1\. {read}",
        rf"Validation: In 1 place the tags are no bio, first at \S+valid.conll:1\. {read}",
        r"Validation: 1 of 4 tags were never seen in training \(B-via\): the model cannot give them\.",
    ):
        assert re.search(f"^{line}$", said, re.MULTILINE), said
    small = write("small.conll", COLUMNS.replace(" O", " o").replace("B-", "b-"))
    assert cli.call(train("tagger", small, out="small")) == 0
    assert "\nThe tags are no spans, so each is scored by itself. Spans have B-, I- and" in capsys.readouterr().err
    long = "a " * 500
    write("my.csv", "text,label\n" + "".join(f"{long if k == 3 else 'a'},row {k}\n" for k in range(30)))
    assert cli.call(train("classifier", "my.csv", "--valid", "my.csv", out="labels")) == 0
    said = capsys.readouterr().err
    assert "\n1 training example cut after 400 tokens (batching.longest).\n" in said
    assert "\n27 different labels among 27: is the right column read?\n" in said


ODD: dict[str, bytes] = {
    "line ends of Windows": COLUMNS.replace("\n", "\r\n").encode(),
    "line ends of old": COLUMNS.replace("\n", "\r").encode(),
    "byte order mark": b"\xef\xbb\xbf" + COLUMNS.encode(),
    "no line end at the end": COLUMNS.rstrip().encode(),
    "blank lines in plenty": b"\n \n" + COLUMNS.replace("\n\n", "\n\t\n\n").encode() + b"\n\n",
    "packed": gzip.compress(COLUMNS.encode()),
    "tabs": COLUMNS.replace(" ", "\t").encode(),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_files_are_read_as_plain_ones(kind: str, runs: list[str], capsys) -> None:
    scored = [
        answered(capsys, "evaluate", runs[0], write(f"{k}.conll", content), "--no-baseline")
        for k, content in enumerate((COLUMNS.encode(), ODD[kind]))
    ]
    assert scored[0]["examples"] == 40
    assert scored[0]["model"] == scored[1]["model"]


def test_labels_that_are_numbers_are_refused_before_training(here, capsys) -> None:
    write("prices.csv", "text,label\n" + "".join(f"a house,{k * 1000.5}\n" for k in range(40)))
    said = sentence(capsys, *train("classifier", "prices.csv"))
    assert said.startswith("recurra: 32 different labels among 32, 32 of them numbers (")
    assert ", …): expected classes, each with examples of its own. Is another column the label? " in said
    assert said.endswith("For numbers: recurra train scorer … --set reader.number=COLUMN")
    assert not (here / "run").exists()
    several = [f"a house,{k % 5}\n" for k in range(40)]
    write("stars.csv", "text,label\n" + "".join(several))
    assert cli.call(train("classifier", "stars.csv")) == 0
