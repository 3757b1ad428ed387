"""The commands of the page on corpora are run, on little data."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from recurra.cli import call
from recurra.data.corpus.form import SIGNED, SMALL
from recurra.data.corpus.reading import TOGETHER
from recurra.workflow.encoding import groups, making

from .commands import HOW_TO, check

PAGE = (HOW_TO / "more-text-than-memory.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^recurra encode .*$", PAGE, re.MULTILINE)
TEXT = "".join(f"The {n % 7} sleeps and {n % 5} runs\n" for n in range(200))
TAGS = "".join(f"The O\n{'Zoë' if n % 3 else 'Bob'} B-NAME\nruns{n % 5} O\n\n" for n in range(60))


@pytest.mark.parametrize("line", [*COMMANDS, *re.findall(r"`(recurra encode [^`]*)`", PAGE)])
def test_a_corpus_is_made(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_text(TEXT, encoding="utf-8")
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.conll").write_text(TAGS, encoding="utf-8")
    symbols = sorted({*TEXT})
    (tmp_path / "symbols.json").write_text(json.dumps(symbols), encoding="utf-8")
    for name in ("train", "val"):
        np.array([symbols.index(symbol) for symbol in TEXT], "<u2").tofile(tmp_path / f"{name}.bin")
    if "parquet" in line:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        for name in ("shard-0", "shard-1"):
            parquet.write_table(pyarrow.table({"content": TEXT.splitlines()}), tmp_path / f"{name}.parquet")
    words = shlex.split(line.replace("books/*.txt", "books/a.txt"))
    assert call([*words[1:], "--processes", "1"]) == 0
    corpus = tmp_path / "corpus"
    form = json.loads((corpus / "corpus.json").read_text())["fields"]["input"]["dtype"]
    assert np.memmap(corpus / "train.input.bin", form, "r").size > 100
    for trained in re.findall(rf"^recurra train {words[2]} .*data\.corpus.*$", PAGE, re.MULTILINE):
        check([word for word in shlex.split(trained) if word not in ("--out", "run")], tmp_path / "none")
    shutil.rmtree(corpus)


def test_the_page_says_the_numbers_of_the_code() -> None:
    assert f"{making.HELD:,} characters, or {making.HELD_EXAMPLES:,} examples, at most" in PAGE
    assert f"keeps {making.KEPT:,} characters, or {making.KEPT_EXAMPLES:,} examples" in PAGE
    assert f"shards of {groups.LINES:,} examples" in PAGE
    assert TOGETHER == 1 << 20  # a million
    for form in (*SMALL, SIGNED[0]):
        assert form.removeprefix("<") in PAGE
