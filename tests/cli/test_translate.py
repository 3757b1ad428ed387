"""train, evaluate and predict with runs that translate: lines in their order, and one sentence for bad input."""

from __future__ import annotations

import importlib
import io
import re
import sys
from pathlib import Path

import pytest

from recurra import cli
from recurra.answers.notes import NOTHING

from .conftest import answered, sentence, write

WORDS = {"dog": "כלב", "cat": "חתול", "man": "איש", "sun": "שמש", "red": "אדום", "old": "זקן", "big": "גדול"}
CHINESE = {"dog": "狗", "cat": "猫", "man": "人", "sun": "日", "red": "红", "old": "老", "big": "大"}
PAIRS = [(f"{a} {b} {c}", (a, b, c)) for a in ("red", "old", "big") for b in ("red", "old") for c in list(WORDS)[:4]]
SOURCES = "".join(f"{source}\n" for source, _ in PAIRS)
HEBREW = "".join(" ".join(WORDS[word] for word in words) + "\n" for _, words in PAIRS)
TABS = "".join(f"{source}\t{''.join(CHINESE[word] for word in words)}。\n" for source, words in PAIRS)
SAID = "".join(f"{word.upper()}  {' '.join(word.upper())}\n{word.upper()}  X\n" for word in WORDS) + "TOO  T UW\n"
SMALL = [
    *("core.hidden_size=8", "embedder.size=8", "task.decoder.hidden_size=8", "task.decoder.readout_size=8"),
    *("training.epochs=2", "batching.size=8"),
    *("training.schedule=constant", "training.device=cpu", "data.valid_fraction=0.1", "data.test_fraction=0.1"),
]
TOKENS = ["vocabulary.kind=tokens", "task.tied=none"]
LEARNT = [*TOKENS, "embedder.init_range=1.0", "training.epochs=40", "training.learning_rate=0.03", "task.dropout=0"]
LEARNT += ["training.evaluate_every=40"]  # three words have no BLEU: what is best before the end may write nothing


def options(*settings: str) -> list[str]:
    return [word for setting in (*SMALL, *settings) for word in ("--set", setting)]


def trained(recipe: str, *files: str, settings: tuple[str, ...] | list[str] = (), out: str = "run") -> list[str]:
    return ["train", recipe, *files, "--out", out, "--threads", "1", *options(*settings)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two seeds that write Hebrew, one with a fixed vector, one that writes Chinese, one that pronounces."""
    folder = tmp_path_factory.mktemp("translate")
    for name, text in (("a.en", SOURCES), ("a.he", HEBREW), ("a.tsv", TABS), ("a.dict", SAID)):
        (folder / name).write_text(text, encoding="utf-8")
    en, he, tsv, said = (str(folder / name) for name in ("a.en", "a.he", "a.tsv", "a.dict"))
    found = {name: str(folder / name) for name in ("hebrew", "other", "fixed", "chinese", "said")}
    for words in (
        trained("translate", en, he, settings=LEARNT, out=found["hebrew"]),
        [*trained("translate", en, he, settings=LEARNT, out=found["other"]), "--seed", "1"],
        trained("translate", en, he, settings=[*TOKENS, "task.decoder.context=initial"], out=found["fixed"]),
        trained("translate-characters", tsv, settings=["vocabulary.size=300"], out=found["chinese"]),
        [*trained("pronounce", said, out=found["said"]), "--valid", said, "--test", said],  # every letter is learnt
    ):
        assert cli.call(words) == 0
    return found


@pytest.mark.usefixtures("here")
def test_train_reports_scores_beside_the_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    files = [write("a.en", SOURCES), write("a.he", HEBREW)]
    words = ["--valid", files[0], "--valid", files[1], "--test", files[0], "--test", files[1]]
    assert cli.call([*trained("translate", *files, settings=TOKENS), *words]) == 0
    said = capsys.readouterr()
    for line in (
        "test: 24 examples of 72 source and 72 target tokens, 0.00% unknown; beam 5, length penalty 0.6: ",
        "bleu: nrefs:1|case:lc|",
        "model ",
        "word-for-word table ",
        "training speed: ",
        "the first of them, as the model answers them:",
        f"= {HEBREW.splitlines()[0]}",
    ):
        assert f"\n{line}" in said.out, line
    assert re.search(r"training speed: [\d,]+ target tokens per second\n", said.out)
    assert " valid bleu " in said.err and " target tokens/s" in said.err
    assert (
        "Vocabulary: 8 symbols, 8 target symbols; 0.00% of the validation input and 0.00% of the target unknown. "
        in said.err
    )


@pytest.mark.usefixtures("here")
def test_predict_answers_every_line_in_its_place(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["old dog", "", "red old big cat", "   ", "dog"]
    found = answered(capsys, "predict", runs["hebrew"], "--input", write("s.txt", "\r\n".join(lines)))
    assert [answer.get("source") for answer in found] == [line if line.strip() else None for line in lines]
    assert found[1] == found[3] == {"notes": [NOTHING]} and all(answer["target"] for answer in found[::2])
    assert cli.call(["predict", runs["hebrew"], "--input", "s.txt"]) == 0
    printed, said = capsys.readouterr()
    assert printed == "".join(answer.get("target", "") + "\n" for answer in found)
    assert said == "recurra: lines 2, 4 are empty, so nothing is answered.\n"
    assert {letter for letter in printed if letter.isalpha()} <= set(HEBREW)
    with monkeypatch.context() as patched:
        patched.setattr(importlib.import_module("recurra.cli.predict"), "AT_ONCE", 2)
        assert cli.call(["predict", runs["hebrew"], "--input", "s.txt"]) == 0
    assert capsys.readouterr().out == printed
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode()), encoding="utf-8"))
    assert answered(capsys, "predict", runs["hebrew"], "--input", "-") == found
    assert answered(capsys, "predict", runs["hebrew"], lines[0])[0]["target"] == found[0]["target"]


@pytest.mark.usefixtures("here")
def test_texts_in_all_scripts_survive(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    line = "红 dog שלום e\u0301 👩‍👩‍👧\u2028x"
    (answer,) = answered(capsys, "predict", runs["chinese"], "--input", write("s.txt", line))
    assert answer["source"] == line and answer["unknown_source"] == 0
    assert set(answer["target"]) <= set(TABS)


def test_n_best_and_alignment_are_printed_for_people(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", runs["hebrew"], "red old cat", "--beam", "4", "--n-best", "3"]
    assert cli.call(words) == 0
    *lines, blank, end = capsys.readouterr().out.split("\n")
    assert (blank, end) == ("", "") and len(lines) == 3
    assert all(re.fullmatch(r"-?\d+\.\d{4}\t.*", line) for line in lines)
    assert cli.call([*words[:3], "--alignment"]) == 0
    target, pairs = capsys.readouterr().out.splitlines()
    found = [pair.split("←") for pair in pairs.split("  ")]
    assert [word for word, _ in found] == target.split()
    assert {source for _, source in found} <= {"red", "old", "cat"}
    with_json = answered(capsys, *words[:3], "--alignment")[0]
    assert len(with_json["alignment"]) == len(with_json["target_tokens"]) == len(found)


def test_unknown_symbols_are_named_on_stderr(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["predict", runs["said"], "dög☃"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("recurra: the run does not know 'ö' (character 2), '☃' (character 4).\n")
    assert cli.call(["predict", runs["said"], "dog"]) == 0
    assert "does not know" not in capsys.readouterr().err


def test_what_is_drawn_is_drawn_again(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", runs["hebrew"], "red old cat", "--temperature", "2", "--top-k", "7", "--seed"]
    found = [answered(capsys, *words, seed)[0]["target"] for seed in ("1", "1", "2", "3", "4")]
    assert found[0] == found[1] and len(set(found)) > 1


def test_evaluate_alone_and_together(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.call(["evaluate", runs["hebrew"], "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert (
        said.startswith("test: 2 examples of 6 source and 6 target tokens")
        and "\nlength:\n" in said
        and "\nsplit: cut 24" in said
    )
    found = answered(capsys, "evaluate", runs["hebrew"], runs["other"], "--set", "search.beam=1", "--no-baseline")
    assert (found["runs"], found["search"]) == (2, "greedy") and "baseline" not in found
    scored = answered(capsys, "evaluate", runs["said"])
    assert set(scored["model"]) == {"word_error_rate", "phoneme_error_rate"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["hebrew", "a", "--length", "3"],
            "length is no option of this run: did you mean 'longest' or 'length_penalty'? It takes beam, n_best",
        ),
        (["hebrew", "a", "--beam", "0"], "search.beam = 0, expected 1 or more."),
        (["hebrew", "a", "--beam", "2", "--n-best", "3"], "search.n_best = 3 of a beam of 2, expected 2 at most."),
        (["hebrew", "a", "--beam", "2", "--temperature", "1"], "search.beam is for a beam, search.temperature draws"),
        (["hebrew", "a", "--temperature", "-1"], "search.temperature = -1.0, expected 0 (always the likeliest"),
        (["hebrew", "a", "--temperature", "nan"], "search.temperature = NaN, expected a finite number"),
        (["hebrew", "a", "--top-p", "2"], "search.top_p = 2.0, expected a share above 0 and up to 1."),
        (["hebrew", "a", "--length-penalty", "-1"], "search.length_penalty = -1.0, expected 0 (none) to 10"),
        (["hebrew", "a", "--no-repeat", "-1"], "search.no_repeat = -1, expected 0 or more."),
        (["fixed", "a", "--alignment"], "the run has a decoder without attention, so nothing says which part of a sou"),
        (["hebrew"], 'give something to answer, or a file: recurra predict {run} "…" or --input FILE.'),
        (["hebrew", "a", "--set", "search.beam=3"], "search.beam is part of a trained run. What can be set is how"),
    ],
)
def test_predict_refuses(
    words: list[str], message: str, runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = words
    assert f"recurra: {message.format(run=runs[name])}" in sentence(capsys, "predict", runs[name], *rest)


def test_options_of_searches_are_for_runs_that_translate(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        "beam is no option of this run. It takes length, temperature, top_k, top_p, seed, top. Leave beam out."
        in sentence(capsys, "predict", str(run), "--beam", "3")
    )
    assert (
        "beam is no option of this run. It takes length, temperature, top_k, top_p, seed, top. Leave beam out."
        in sentence(capsys, "evaluate", str(run), "--set", "search.beam=3")
    )


BAD: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "files of different length": (
        [("a.en", SOURCES), ("a.he", HEBREW + "עוד\n")],
        "translate",
        "a.he:25: the first line without a partner: a.en has 24 lines, a.he 25, expected as many.",
    ),
    "one of two files": ([("a.en", SOURCES)], "translate", "a.en: 1 file, expected them in twos: a file of sources"),
    "no tab in a line": (
        [("a.tsv", TABS.replace("\t", " ", 1) * 2)],
        "translate",
        "a.tsv:1: 1 column, expected 2 or more, source in 1 and target in 2, parted by tabs: 'red red dog 红红狗。'",
    ),
    "empty lines alone": (
        [("a.en", "\n" * 24), ("a.he", HEBREW)],
        "translate",
        "there are no training examples in what was read, but for 20 pairs with an empty side. Name another file",
    ),
    "a word without a pronunciation": (
        [("a.dict", f"{SAID}TWO\n")],
        "pronounce",
        "a.dict:16: 'TWO' has no pronunciation, expected a word, white space and its phonemes",
    ),
    "all pairs too long": (
        [("a.tsv", TABS)],
        "translate",
        "a.tsv:LINE: this pair and all others have a side of more than 2 tokens, their end counted. Let longer ones "
        "in: --set batching.longest=",
    ),
    "labels in a table": (
        [("a.csv", "text,label\nx,y\n" * 9)],
        "translate",
        "a.csv: 1 file, expected them in twos",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(case: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, recipe, message = BAD[case]
    settings = ["batching.longest=2"] if case == "all pairs too long" else []
    said = sentence(capsys, *trained(recipe, *(write(*file) for file in files), settings=settings))
    first = int(found[1]) if (found := re.search(r"a\.tsv:(\d+)", said)) else 0  # of those that train, by the seed
    assert said.replace(f"{here}/", "").startswith(f"recurra: {message.replace('LINE', str(first))}"), said
    assert not Path("run").exists()


def test_what_is_left_out_is_counted_before_training(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = SOURCES.replace("red red dog\n", "\n", 1)
    files = [write("a.en", sources), write("a.he", HEBREW.replace("\n", f"{' ' + HEBREW.split()[0]} x y\n", 1))]
    good = ["--valid", write("v.en", SOURCES), "--valid", write("v.he", HEBREW)]
    assert cli.call([*trained("translate", *files, settings=[*TOKENS, "data.test_fraction=0"]), *good]) == 0
    assert "\n1 of 24 training pairs left out, as a side is empty.\n" in capsys.readouterr().err
