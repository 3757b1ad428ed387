"""What cannot be meant of a recipe for pairs is refused before anything is trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.errors import ConfigError
from recurra.workflow.plan import make_plan

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "one vocabulary for both": (
        {"target.kind": "tokens"},
        "[target] and [vocabulary] differ, but task.tied = 'all' has one vocabulary for both sides. Leave",
    ),
    "a vocabulary of numbers": (
        {"vocabulary.kind": "scaled", "task.tied": "none"},
        "vocabulary.kind = 'scaled' encodes ",
    ),
    "a target of one label": (
        {"target.kind": "label", "task.tied": "none"},
        "target.kind = 'label' encodes label, but reader.kind = 'auto' gives text. Set target.kind = ",
    ),
    "a reader of labels": ({"reader.gives": "labels"}, "reader.gives = 'labels', but the task 'transduce' learns"),
    "a reader of other fields": (
        {"reader.kind": "conllu"},
        "reader.kind = 'conllu' gives tokens and tags and tree and node_labels, but the task 'transduce' learns "
        "target. Name a format",
    ),
    "another baseline": (
        {"baseline.kind": "single-words"},
        "baseline.kind = 'single-words', this task is scored beside copy, frequent, word-table.",
    ),
    "a batching of one text": ({"batching.kind": "streams"}, "batching.kind = 'streams' is for one long sequence, but"),
    "no beam": ({"search.beam": 0}, "search.beam = 0, expected 1 or more."),
    "a beam below n-best": ({"search.n_best": 6}, "search.n_best = 6 of a beam of 5, expected 5 at most. Widen"),
    "a temperature below 0": ({"search.temperature": -1.0}, "search.temperature = -1.0, expected 0 (always"),
    "a typo in the search": ({"search.beem": 3}, "unknown key search.beem: did you mean 'beam'?"),
    "a context of another decoder": (
        {"core.kind": "transformer", "task.decoder.context": "initial"},
        "unknown key task.decoder.context. Keys: hidden_size",
    ),
    "an unknown context": ({"task.decoder.context": "atention"}, "decoder.context = 'atention': did you mean"),
    "no validation": (
        {"data.valid_fraction": 0.0},
        "there are no validation examples. Name a file with --valid, or",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_settings_that_do_not_go_together(case: str, tmp_path: Path) -> None:
    settings, message = BAD[case]
    pairs = tmp_path / "a.tsv"
    pairs.write_text("".join(f"a dog {'runs ' * k}\tein Hund {'läuft ' * k}\n" for k in range(30)), encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        recurra.train("translate", pairs, out=tmp_path / "run", settings={"data.valid_fraction": 0.1, **settings})
    assert not (tmp_path / "run").exists()


def test_sections_of_pairs_are_for_pairs_alone(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("text,label\nx,y\n", encoding="utf-8")
    for section, settings in (("search", {"search.beam": 3}), ("target", {"target.kind": "tokens"})):
        with pytest.raises(ConfigError, match=rf"\[{section}\] is for tasks that write a target for a source, the"):
            recurra.train("classifier", table, out=tmp_path / "run", settings=settings)


PAIRS_OR_NOT = {
    ("char-lm", "multi30k"): "is made of pairs of a source and a target, but this recipe learns from one long text. "
    "Train a model that translates: recurra train translate --set data.set=multi30k",
    ("tagger", "cmudict-g2p"): "is made of pairs of a source and a target, but this recipe learns from tags or labels. "
    "Train a model that translates: recurra train pronounce --set data.set=cmudict-g2p",
    ("translate", "atis"): "is labelled, but this recipe learns from pairs. Train a model that labels: recurra train "
    "tagger --set data.set=atis",
    ("translate", "ptb"): "is one long text, without tags or labels, but this recipe learns from pairs. Train a model "
    "that writes: recurra train char-lm --set data.set=ptb",
}


@pytest.mark.parametrize(("recipe", "name"), PAIRS_OR_NOT)
def test_a_set_of_another_kind(recipe: str, name: str) -> None:
    message = f"the data set {name!r} {PAIRS_OR_NOT[recipe, name]}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        make_plan(recipe, settings={"data.set": name})
    with pytest.raises(
        ConfigError, match=r"in the format 'parallel', but reader.kind = 'pairs'\. Name its own: --set r"
    ):
        make_plan("translate", settings={"data.set": "multi30k", "reader.kind": "pairs"})
