"""What no model can start from is refused, most of it before data are read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra import checkpoint, registry
from recurra import config as configuration
from recurra.errors import CheckpointError, ConfigError, DataError
from recurra.workflow import start, transfer
from recurra.workflow.plan import make_plan

from .conftest import SMALL, fresh, reviews, tensors

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such folder": ({"init.from": "lmm"}, "init.from = 'lmm' is no run: did you mean 'lm'? Name the folder that"),
    "no path": ({"init.from": 3}, "init.from = 3, expected a path. Name the folder of a run"),
    "no run named": ({"init.unfreeze": 1}, "init.from is missing. Name the folder of a run: --set"),
    "key": ({"init.form": "lm"}, "unknown key init.form: did you mean 'from'? Keys: from, unfreeze."),
    "never": (
        {"init.from": "lm", "init.unfreeze": 0},
        "init.unfreeze = 0, expected a number above 0: the epochs after",
    ),
    "truth": ({"init.from": "lm", "init.unfreeze": True}, "init.unfreeze = True, expected a number above 0"),
    "sums": (
        {"init.from": "lm", "embedder.kind": "readings"},
        "embedder.kind = 'readings' has no vector for every symb",
    ),
    "sums there": (
        {"init.from": "read"},
        "init.from = 'read' has an embedder of the kind 'readings', whose vectors are",
    ),
    "labels": ({"init.from": "labels"}, "is a run of the task 'classify', expected a language model's. Train one:"),
    "no weights": ({"init.from": "young"}, "init.from = 'young' has no model.safetensors, so there are no weights"),
    "bytes": ({"init.from": "bytes"}, "init.from = 'bytes' reads by byte, which no sequence that comes one by one is"),
    "size": (
        {"init.from": "lm", "core.hidden_size": 512},
        "core.hidden_size = 512, but what is taken from the run lm wants 10. Leave it away, set core.hidden_size=10,",
    ),
    "layers": (
        {"init.from": "lm", "core.num_layers": 2},
        "core.num_layers = 2, but what is taken from the run lm wants",
    ),
    "cell": (
        {"init.from": "lm", "core.cell": "gru"},
        "core.cell = 'gru', but what is taken from the run lm wants 'lstm'",
    ),
    "core": ({"init.from": "lm", "core.kind": "tdnn"}, "core.kind = 'tdnn', but what is taken from the run lm wants"),
    "width": (
        {"init.from": "lm", "embedder.size": 100},
        "embedder.size = 100, but what is taken from the run lm wants 6.",
    ),
    "split": (
        {"init.from": "lm", "vocabulary.split": "characters"},
        "vocabulary.split = 'characters', but what is taken from the run lm wants 'words'. Leave it away, set "
        "vocabulary.split=words, or start",
    ),
    "case": (
        {"init.from": "lm", "vocabulary.lower": False},
        "wants True. Leave it away, set vocabulary.lower=true, or",
    ),
    "vectors": (
        {"init.from": "lm", "vocabulary.vectors": "v.txt"},
        "vocabulary.vectors and init.from both say what the words' vectors start from. Keep one of them.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_is_refused_before_data_are_read(
    case: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, message = REFUSED[case]
    for run in ("lm", "young", "bytes", "labels", "read"):
        shutil.copytree(folder / "lm", tmp_path / run)
    (tmp_path / "young" / "model.safetensors").unlink()
    changes = (("bytes", "vocabulary", "byte"), ("labels", "task", "classify"), ("read", "embedder", "readings"))
    for run, section, kind in changes:
        path = tmp_path / run / "config.toml"
        config = configuration.load_recipe(path) | {section: {"kind": kind}}
        path.write_text(configuration.dump_toml(config))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_plan("classifier", ["nothing.jsonl"], settings=settings)


def test_an_embedder_without_vectors_of_symbols_cannot_start(folder: Path) -> None:
    class Without:
        def __init__(self, width: int = 3) -> None: ...

    registry._parts["embedder", "without"] = Without
    try:
        with pytest.raises(
            ConfigError, match=r"embedder.kind = 'without' has no vector for every symbol, which init.from"
        ):
            start._embedder({"kind": "without"}, {"kind": "symbols", "size": 3}, folder / "lm")
    finally:
        del registry._parts["embedder", "without"]


def test_the_same_setting_is_no_contradiction(folder: Path) -> None:
    settings = {"init.from": str(folder / "lm"), "core.hidden_size": 10, "core.cell": "lstm", "embedder.size": 6}
    assert make_plan("classifier", [folder / "a.jsonl"], settings=settings).config["core"]["hidden_size"] == 10
    off = make_plan("classifier", [folder / "a.jsonl"], settings={"init.from": None}).config
    assert off["core"]["hidden_size"] == 128


def test_symbols_in_common_there_must_be(folder: Path, tmp_path: Path) -> None:
    file = reviews(tmp_path / "c.jsonl", words=["eins", "zwei", "drei"])
    with pytest.raises(
        DataError, match=r"no symbol of these data is one of the run .*lm, .* Start from a run on texts"
    ):
        recurra.train("classifier", file, out=tmp_path / "run", settings={**SMALL, "init.from": str(folder / "lm")})


def test_a_run_without_vectors_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "lm", tmp_path / "lm")
    held = {name: tensor for name, tensor in tensors(tmp_path / "lm").items() if name != "embedder.weight"}
    checkpoint.save_tensors(tmp_path / "lm" / "model.safetensors", held, {})
    model, _ = fresh(folder, "lm")
    with pytest.raises(CheckpointError, match=r"has no vectors of symbols \(embedder.weight\). Start from another run"):
        transfer.take(model, tmp_path / "lm", torch.zeros(len(model.codecs["input"])).numpy())


def test_a_test_the_language_model_may_have_read_is_told(folder: Path) -> None:
    config = make_plan("classifier", [folder / "a.jsonl"], settings={"init.from": str(folder / "lm")}).config
    assert transfer.cut_otherwise(config, folder / "lm") is None
    config["data"]["test_fraction"] = 0.3
    said = transfer.cut_otherwise(config, folder / "lm")
    assert said is not None
    assert re.search(r"The run lm was trained on .*a.jsonl cut otherwise, so it may have read texts of this test", said)
    config["data"]["test"] = ["other.jsonl"]
    assert transfer.cut_otherwise(config, folder / "lm") is None


def test_torch_is_not_loaded_for_a_refusal(folder: Path) -> None:
    code = (
        "import sys\n"
        "from recurra.errors import ConfigError\n"
        "from recurra.workflow.plan import make_plan\n"
        "try:\n"
        f"    make_plan('classifier', ['x'], settings={{'init.from': {str(folder / 'lm')!r}, 'core.hidden_size': 3}})\n"
        "except ConfigError as error:\n"
        "    assert 'wants 10' in str(error)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
