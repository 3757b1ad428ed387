"""What train, evaluate and predict print of runs that fill blanks."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from recurra import cli

from .conftest import PROSE, answered, sentence, write

pytestmark = pytest.mark.usefixtures("here")
SMALL = [
    *("core.hidden_size=8", "embedder.size=8", "batching.size=8", "vocabulary.max_size=100", "baseline.order=2"),
    *("training.epochs=1", "training.device=cpu"),
]


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that fills blanks; not to be changed."""
    out = str(tmp_path_factory.mktemp("fill") / "run")
    options = [word for setting in SMALL for word in ("--set", setting)]
    assert cli.call(["train", "fill", str(PROSE), "--out", out, "--threads", "1", *options]) == 0
    return out


def test_training_and_evaluation_print_both_sides_and_the_left_one(filler: str, capsys) -> None:
    options = [word for setting in SMALL for word in ("--set", setting)]
    assert cli.call(["train", "fill", str(PROSE), "--threads", "1", *options]) == 0
    said = capsys.readouterr()
    assert f"{PROSE} read as lines: lines of text." in said.err
    assert re.search(
        r"^Vocabulary: 100 symbols; \d+\.\d\d% of the validation input unknown\. Tr", said.err, re.MULTILINE
    )
    assert re.search(r"^test: 21 examples of \d+ tokens, [\d.]+% unknown; ", said.out, re.MULTILINE)
    assert re.search(r"^ +size +top1 +top5 +perplexity$", said.out, re.MULTILINE)
    for name in ("model", "left only, the same network", "Kneser–Ney, order 2, both sides"):
        assert re.search(rf"^{name} +[\d,]+ (parameters|n-grams)( +[\d.]+){{3}}$", said.out, re.MULTILINE), name
    shown = said.out.split("the first of them, as the model answers them:\n")[1].split("\n")
    assert re.fullmatch(r".*___.*   \(.+\)", shown[0]) and shown[1].startswith("  both sides  ")
    assert shown[2].startswith("  left only   ") and "perplexity" in said.err
    assert cli.call(["evaluate", filler, "--no-baseline"]) == 0
    said = capsys.readouterr()
    assert "\nleft only, the same network" in said.out and "Kneser" not in said.out
    assert re.search(r"^symbol +places +top1 +top5 +perplexity\nknown ", said.out, re.MULTILINE)


def test_predict_fills_every_line(filler: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["the clerk ___ a Lantern", "", "nobody __ a ___ map"]
    found = answered(capsys, "predict", filler, "--input", write("s.txt", "\n".join(lines)), "--top", "2")
    assert [len(answer.get("blanks", ())) for answer in found] == [1, 0, 2]
    assert found[0]["tokens"] == ["the", "clerk", "___", "a", "lantern"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines[0].encode()), encoding="utf-8"))
    alone = answered(capsys, "predict", filler, "-i", "-", "--top", "2")
    assert [answer["tokens"] for answer in alone] == [found[0]["tokens"]]
    for side in ("both", "left"):
        (one, beside), (first, second) = alone[0]["blanks"][0][side], found[0]["blanks"][0][side]
        assert (one["symbol"], beside["symbol"]) == (first["symbol"], second["symbol"])
        assert (one["p"], beside["p"]) == pytest.approx((first["p"], second["p"]), rel=1e-5)
    assert answered(capsys, "predict", filler, lines[0], "--top", "2") == alone
    assert cli.call(["predict", filler, "--input", "s.txt", "--top", "2"]) == 0
    first, both, left, empty, last, *rest = capsys.readouterr().out.splitlines()
    assert (first, empty, last) == ("the clerk ___ a lantern", "", "nobody ___ a ___ map")
    guesses = [f"{guess['symbol']} {guess['p']:.3f}" for guess in found[0]["blanks"][0]["both"]]
    assert both == "  both sides  " + "  ".join(guesses) and left.startswith("  left only   ")
    assert [line[:14] for line in rest] == ["  1 both sides", "  1 left only ", "  2 both sides", "  2 left only "]
    assert cli.call(["predict", filler, "Zweig ___ Zweig Atlantis"]) == 0
    assert capsys.readouterr().err == "recurra: the run does not know 'Zweig' (token 1), 'Atlantis' (token 4).\n"


def test_predict_says_how_a_blank_is_written(filler: str, run: Path, capsys) -> None:
    said = sentence(capsys, "predict", filler, "the clerk")
    assert said.startswith("recurra: no blank in 'the clerk': write ___ where a word is missing, as in \"i am going")
    assert f'give something to answer, or a file: recurra predict {filler} "…"' in sentence(capsys, "predict", filler)
    assert "beam is no option of this run. It takes top. Leave beam out." in sentence(
        capsys, "predict", filler, "a ___", "--beam", "3"
    )
