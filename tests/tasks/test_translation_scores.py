"""BLEU and chrF against sacreBLEU's own command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recurra.errors import ConfigError, DataError
from recurra.tasks.translation_scores import mostly_han, translation_scores

pytest.importorskip("sacrebleu")

SOURCES = ["A dog runs on the grass.", "Two men, one of them with a red hat, sit on a bench.", "A child sleeps."]
GERMAN = [
    "Ein Hund rennt auf dem Gras.",
    "Zwei Männer, einer mit rotem Hut, sitzen auf einer Bank.",
    "Ein Kind schläft.",
]
OTHERS = [
    "Auf dem Rasen läuft ein Hund.",
    "Auf einer Bank sitzen zwei Männer, einer mit rotem Hut.",
    "Das Kind schläft.",
]
SAID = ["ein Hund läuft auf dem Gras.", "Zwei Männer mit rotem Hut sitzen auf einer Bank .", "Ein Kind schläft"]
CHINESE = ["我明天去北京。", "你喜歡喝茶嗎？", "他在讀一本書。"]
SAID_CHINESE = ["我明天要去北京。", "你喜歡茶嗎？", "他读一本書。"]


def command_line(folder: Path, references: list[list[str]], said: list[str], *options: str) -> dict[str, str]:
    files = []
    for name, lines in [("said", said), *((f"reference{k}", lines) for k, lines in enumerate(references))]:
        files.append(folder / name)
        files[-1].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", *map(str, files[1:]), "-i", str(files[0]), "-w", "8", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8")
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("language", ["one reference", "two references", "Chinese"])
def test_the_scores_are_the_command_lines(tmp_path: Path, language: str) -> None:
    if language == "Chinese":
        references, said, tokenizer = [CHINESE], SAID_CHINESE, ["-tok", "zh"]
    else:
        references, said, tokenizer = [GERMAN, OTHERS][: 1 + (language == "two references")], SAID, []
    scores = translation_scores(SOURCES, [list(each) for each in zip(*references, strict=True)], said)
    for k, (name, options) in enumerate(
        [("bleu", ["-lc", *tokenizer]), ("bleu_cased", tokenizer), ("chrf", ["-m", "chrf"])]
    ):
        found = command_line(tmp_path, references, said, *options)
        assert scores.metrics[name] == pytest.approx(float(found["score"]), abs=1e-8)
        assert scores.notes[k] == f"{name}: {found['signature']}"
    assert scores.metrics["bleu"] > 20
    assert f"tok:{'zh' if language == 'Chinese' else '13a'}" in scores.notes[0] and "case:lc" in scores.notes[0]


def test_some_sentences_have_more_references_than_others() -> None:
    doubled = translation_scores(SOURCES, [[GERMAN[0], OTHERS[0]], [GERMAN[1]] * 2, [GERMAN[2]] * 2], SAID)
    uneven = translation_scores(SOURCES, [[GERMAN[0], OTHERS[0]], [GERMAN[1]], [GERMAN[2]]], SAID)
    assert uneven.metrics == pytest.approx(doubled.metrics)
    assert "nrefs:var" in uneven.notes[0] and "nrefs:2" in doubled.notes[0]


def test_bleu_by_length_of_the_source() -> None:
    table = translation_scores(SOURCES, [[line] for line in GERMAN], SAID).tables["length"]
    assert table["columns"] == ["source words", "sentences", "bleu"]
    assert [row[:2] for row in table["rows"]] == [["1–5", 1], ["6–10", 1], ["11–15", 1]]
    for row, place in zip(table["rows"], (2, 0, 1), strict=True):
        alone = translation_scores([SOURCES[place]], [[GERMAN[place]]], [SAID[place]])
        assert row[2] == pytest.approx(alone.metrics["bleu"])
    table = translation_scores(CHINESE, [[line] for line in SOURCES], SOURCES).tables["length"]
    assert table["columns"][0] == "source characters"
    assert table["rows"] == [["6–10", 3, pytest.approx(100)]]


def test_empty_predictions_and_sources() -> None:
    scores = translation_scores(["", SOURCES[0]], [[GERMAN[2]], [GERMAN[0]]], ["", ""])
    assert scores.metrics == {"bleu": 0, "bleu_cased": 0, "chrf": 0}
    assert [row[0] for row in scores.tables["length"]["rows"]] == ["1–5", "6–10"]


def test_chinese_is_told_by_its_letters() -> None:
    assert mostly_han(["我用Go寫程式。", "好 123 !!"])
    assert not mostly_han(["the sign says 北京"])
    assert not mostly_han(["123", ""])


def test_what_cannot_be_scored() -> None:
    with pytest.raises(DataError, match=r"1 predictions, expected 2: one for each example"):
        translation_scores(SOURCES[:2], [["a"], ["b"]], ["a"])
    with pytest.raises(DataError, match=r"a score over 0 examples means nothing"):
        translation_scores([], [], [])


def test_sacrebleu_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ConfigError, match=r"package sacrebleu, which is not installed. Install it: pip install sacreb"):
        translation_scores(["a"], [["b"]], ["c"])
