"""Every registered reader passes its checks: a new one needs a sample here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recurra.registry import names
from recurra.testing.readers import READER_CHECKS, Sample

POEM = '{"title": "夜", "form": "5x4", "paragraphs": ["山水夜風香，石雨落秋光。雪月古江長，客夢起天霜。"]}\n'
SAMPLES = {
    "aligned": Sample(
        {"seq.in": "to Óbidos\nhi\n", "seq.out": "O B-to\nO\n", "label": "fly\ngreet\n"}, 2, folder=True, binary=False
    ),
    "auto": Sample({"a": "EU B-ÓRG\n. O\n"}, 1),
    "columns": Sample({"a": "EU B-ÓRG\n. O\n\nits O\n"}, 2),
    "conllu": Sample({"a": "# text = é\n1\té\té\tDT\tDT\t_\t0\troot\t_\t_\n"}, 1),
    "dictionary": Sample({"a": ";;; é\nTWO  T UW\nREAD  R EH D\nREAD(1)  R IY D\n"}, 2),
    "jsonl": Sample({"a": '{"text": "é", "label": "x"}\n{"text": "b", "label": "y"}\n'}, 2),
    "labelled-lines": Sample({"a": "x\té\nx\tb\n"}, 2),
    "lines": Sample({"a": "é b\n\n c \n"}, 2),
    "pairs": Sample({"a": "Hi.\t嗨。\tCC-BY\nRun.\t跑。\n"}, 2),
    "parallel": Sample({"a": "one\ntwo\n", "b": "ein\nzwéi\n"}, 2),
    "poems": Sample({"a": POEM + POEM.replace("夜", "山")}, 2),
    "segmented": Sample({"a": "我们 走 吧\n好\n"}, 2, sniffed=False),
    "stories": Sample({"a": "1 Mary went to é.\n2 Where is Mary?\té\t1\n"}, 1),
    "table": Sample({"a.csv": "text,label\né,x\nb,y\n"}, 2),
    "text": Sample({"a": "é\nb\n"}, 1, whole=True),
    "trees": Sample({"a": "(3 (2 Ít) (4 works))\n"}, 1),
}


def test_every_reader_is_here() -> None:
    assert sorted(SAMPLES) == names("reader")


@pytest.mark.parametrize("check", READER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", SAMPLES)
def test_readers(kind: str, check: Callable[[str, Sample, Path], None], tmp_path: Path) -> None:
    check(kind, SAMPLES[kind], tmp_path)
