"""A run's folder of ONNX files: what is in it, what it answers, and what is refused with nothing written."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

import recurra
from recurra import cli, storage, workflow
from recurra import export as room
from recurra.errors import CheckpointError, ConfigError, DataError, NotCausal, RecurraError
from recurra.export import check, write
from recurra.export.opened import load_export
from recurra.export.parts import parts
from recurra.types import Lengths

from .conftest import TEXT, make_model, run_of


def exported(recipe: str, here: Path, settings: dict[str, Any] | None = None, int8: bool = False) -> tuple[Any, Any]:
    """A run and what was exported of it, opened."""
    run = run_of(make_model(recipe, settings), here / "run")
    (here / "run").mkdir(exist_ok=True)
    (here / "run" / "report.json").write_text('{"unknown_share": {"train": 0.1}}', encoding="utf-8")
    write.export(run, here / "out", int8)
    return run, load_export(here / "out")


def test_a_folder_holds_models_vocabulary_client_and_what_they_take(here: Path) -> None:
    run, _ = exported("char-lm", here)
    names = sorted(path.name for path in (here / "out").iterdir())
    assert names == ["README.md", "client.py", "codecs.json", "model.onnx", "step.onnx"]
    said = (here / "out" / "README.md").read_text(encoding="utf-8")
    assert "| in | state_h | [2, batch, 8] | float32 |" in said
    assert f"| out | log_probabilities | [batch, time, {run.model.codecs['input'].size}] | float32 |" in said
    whole = onnx.load(str(here / "out" / "model.onnx"))
    kept = {prop.key: prop.value for prop in whole.metadata_props}
    assert kept["recurra_format"] == "1" and kept["weights"] == "float32" and '"data"' not in kept["config"]
    assert [node.op_type for node in whole.graph.node].count("LSTM") == 2


def test_a_language_model_writes_the_same_from_files(here: Path) -> None:
    run, opened = exported("char-lm", here, {"core.cell": "mgu"})
    for choice in ({"seed": 3}, {"temperature": 0.5, "top_k": 4, "seed": 1}, {"temperature": 0.0}):
        assert opened.predict("the dogs", length=60, **choice) == run.predict("the dogs", length=60, **choice)
    assert load_export(here / "out").predict(length=20) == run.predict(length=20)


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("slots", {}),
        ("tagger", {"core.bidirectional": False}),
        ("classifier", {}),
        ("classifier", {"task.multi_label": True}),
        ("answer", {}),
    ],
)
def test_labels_are_the_same_from_files(recipe: str, settings: dict[str, Any], here: Path) -> None:
    run, opened = exported(recipe, here, settings)
    texts = [TEXT, "", "the 2 dogs", "go home. where?"]
    assert opened.predict(*texts) == run.predict(*texts)
    assert opened.predict("") == run.predict("")


def test_translations_and_their_alignments_are_the_same_from_files(here: Path) -> None:
    run, opened = exported("translate", here)
    sources = [TEXT, "the cat ran"]
    for choice in ({}, {"beam": 1}, {"n_best": 2, "beam": 3}, {"temperature": 1.0, "seed": 4}):
        ours, theirs = opened.predict(*sources, **choice), run.predict(*sources, **choice)
        assert [one["target"] for one in ours] == [one["target"] for one in theirs]
    (ours,), (theirs,) = (each.predict("the cat ran", beam=1, alignment=True) for each in (opened, run))
    assert ours["alignment"] == theirs["alignment"]


def test_blanks_are_filled_the_same_from_files(here: Path) -> None:
    run, opened = exported("fill", here)
    for text in ("where did ___ go", "___ home ___"):
        for ours, theirs in zip(opened.predict(text)[0]["blanks"], run.predict(text)[0]["blanks"], strict=True):
            for side in ("both", "left"):
                assert [one["symbol"] for one in ours[side]] == [one["symbol"] for one in theirs[side]]


@pytest.mark.parametrize("recipe", ["char-lm", "tagger"])
def test_an_export_is_not_streamed_and_says_what_is(recipe: str, here: Path, capsys: Any) -> None:
    _, opened = exported(recipe, here)
    with pytest.raises(ConfigError, match=r"out is an export, .*Stream the run it came from: `recurra stream RUN`"):
        opened.session()
    assert cli.call(["stream", str(here / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"recurra: {here / 'out'} is an export")


def test_an_export_of_what_cannot_be_streamed_says_that(here: Path) -> None:
    with pytest.raises(NotCausal, match="its task, 'transduce', answers when all of its input is read"):
        exported("translate", here)[1].session()


def test_a_path_names_a_folder_or_a_file_of_it(here: Path, capsys: Any) -> None:
    exported("char-lm", here)
    assert room.export_folder(here / "out") == room.export_folder(here / "out" / "step.onnx") == here / "out"
    assert room.export_folder(here) is None and room.export_folder(here / "none") is None
    (here / "out" / "mine.onnx").touch()
    for name in ("other.onnx", "mine.onnx", "client.py"):
        assert room.export_folder(here / "out" / name) is None
        assert cli.call(["predict", str(here / "out" / name), "the"]) == 2
        assert f"{name} is no run." in capsys.readouterr().err
    assert workflow.load(here / "out" / "model.onnx").continues


def test_weights_in_eight_bits_are_smaller_and_nearly_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    settings = {"core.hidden_size": 64, "core.cell": "lstm", "embedder.size": 64}
    run = run_of(make_model("char-lm", settings), here / "run")
    exact = write.export(run, here / "exact")
    small = write.export(run, here / "small", int8=True)
    assert exact.rounded == {} and 0 < small.rounded["difference"] < small.rounded["limit"] == 0.2
    assert all(file.difference < 1e-5 for file in exact.files)
    assert max(file.difference for file in small.files) == small.rounded["difference"]
    monkeypatch.setattr(workflow, "export", lambda *_, **__: small)
    assert cli.call(["export", "run", "--int8"]) == 0
    shown = capsys.readouterr().out
    assert f"differ by {small.rounded['difference']:.1%} of their largest at most, 20% is the limit" in shown
    assert f"log-probability differs from the run's by {small.rounded['log_p']:.2g} at most" in shown
    assert "\nno score before and after: there are no training data." in shown
    poems = run_of(make_model("poem"), here / "run")
    assert "drawn at random" in write.export(poems, here / "poems", int8=True).rounded["reason"]
    assert all(a.size > 2 * b.size for a, b in zip(exact.files, small.files, strict=True))
    assert len(load_export(here / "small").predict("the", length=9)[0]["text"]) == 9
    scan = run_of(make_model("char-lm", {**settings, "core.cell": "ugrnn"}), here / "run")
    assert 0 < write.export(scan, here / "scan", int8=True).rounded["difference"] < 0.2


def weights(graph: Any) -> Iterator[Any]:
    """The tensors kept in a graph and in the graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from weights(attribute.g)


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [("char-lm", {"core.cell": "lstm"}), ("char-lm", {"core.cell": "ugrnn"}), ("slots", {}), ("translate", {})],
)
def test_eight_bit_products_fit_where_two_are_added_in_sixteen_bits(
    recipe: str, settings: dict[str, Any], here: Path
) -> None:
    written = write.export(run_of(make_model(recipe, settings), here / "run"), here / "out", int8=True)
    for file in written.files:
        arrays = [numpy_helper.to_array(tensor) for tensor in weights(onnx.load(str(file.path)).graph)]
        products = [array.astype(int) for array in arrays if array.dtype == np.int8 and array.size > 1]
        assert products and all(array.min() >= -64 and array.max() <= 64 for array in products)
        assert max(abs(array).max() for array in products) == 64  # and the range is used


def test_eight_bits_of_before_are_refused(here: Path) -> None:
    """They answer otherwise on some processors, and nobody would see it."""
    write.export(run_of(make_model("classifier"), here / "run"), here / "out", int8=True)
    assert not load_export(here / "out").continues
    whole = onnx.load(str(here / "out" / "model.onnx"))
    helper.set_model_props(whole, {p.key: p.value for p in whole.metadata_props if p.key != "range"})
    onnx.save(whole, str(here / "out" / "model.onnx"))
    with pytest.raises(CheckpointError, match=r"overflow on processors without .* Export the run again with --int8\."):
        load_export(here / "out")


def test_what_is_checked_is_the_file_that_was_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that became another one on its way to the disk is not left there."""
    run = run_of(make_model("classifier"), here / "run")
    other = run_of(make_model("classifier", {"embedder.size": 9}), here / "run")
    write.export(other, here / "other", int8=True)
    true = storage.write

    def swapped(path: Path, data: bytes) -> None:
        true(path, (here / "other" / "model.onnx").read_bytes() if path.suffix == ".onnx" else data)

    monkeypatch.setattr(storage, "write", swapped)
    with pytest.raises(RecurraError, match=r"model.onnx with weights in eight bits answers otherwise .* 0.2 at most"):
        write.export(run, here / "out", int8=True)
    assert not (here / "out" / "model.onnx").exists()


def test_weights_that_eight_bits_are_too_few_for_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "ROUNDED", 1e-7)
    with pytest.raises(RecurraError, match=r"expected 1e-07 at most. Nothing was written. Export it without --int8"):
        write.export(run_of(make_model("classifier"), here / "run"), here / "out", int8=True)
    assert not (here / "out").exists()


def test_a_file_that_differs_is_refused_and_nothing_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "TOLERANCE", -1.0)
    monkeypatch.setattr(check, "ROUNDING", -1.0)
    run = run_of(make_model("classifier"), here / "run")
    with pytest.raises(RecurraError, match=r"model.onnx answers otherwise than the run: by .* Nothing was written"):
        write.export(run, here / "out")
    assert not (here / "out").exists()


def test_what_rounding_explains_is_no_difference(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large recurrent weights make much of the last bits, of torch's float32 as well."""
    model = make_model("classifier")
    with torch.no_grad():
        for name, values in model.named_parameters():
            values *= 6 if "core" in name else 1
    (part,) = parts(model)
    assert 0 < check.own_rounding(part) < 1e-2
    monkeypatch.setattr(check, "TOLERANCE", 0.0)
    write.export(run_of(model, here / "run"), here / "out")
    other = onnx.load(here / "out" / "model.onnx")
    weights = max(other.graph.initializer, key=lambda each: len(each.raw_data))
    changed = np.frombuffer(weights.raw_data, np.float32) * np.float32(1.01)
    weights.raw_data = changed.tobytes()
    with pytest.raises(RecurraError, match="answers otherwise than the run"):
        check.check(part, other.SerializeToString())


def test_an_export_is_scored_on_files_that_are_named(here: Path) -> None:
    write.export(run_of(make_model("classifier"), here / "run"), here / "out")
    with pytest.raises(DataError, match=r"an export has no data of its own\. Or name files to score"):
        recurra.load(here / "out").evaluate()


class Mine(torch.nn.Module):
    """A core of a plugin's: the mean of what was read so far."""

    causal, halves, output_size = False, False, 8

    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, None]:
        return x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None], None


class Counting(Mine):
    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, None]:
        return x / len(x[0]), None


class Looking(Mine):
    def forward(self, x: Tensor, structure: Lengths, state: Any = None) -> tuple[Tensor, None]:
        return x * 2 if x.sum() > 0 else x, None


def test_a_plugins_part_is_exported_with_nothing_said_of_it(here: Path) -> None:
    run = run_of(make_model("classifier", {"task.pooling": "mean", "core.merge": "sum"}), here / "run")
    run.model.core = Mine()
    write.export(run, here / "out")
    assert load_export(here / "out").predict(TEXT) == run.predict(TEXT)


@pytest.mark.parametrize(("core", "why"), [(Counting, "specialized it to be a constant"), (Looking, "data-dependent")])
def test_a_part_that_torchs_exporter_cannot_write_is_refused(core: type[Mine], why: str, here: Path) -> None:
    run = run_of(make_model("classifier", {"task.pooling": "mean", "core.merge": "sum"}), here / "run")
    run.model.core = core()
    with pytest.raises(
        ConfigError, match=rf"model.onnx cannot be written by torch's exporter: .*{why}.* x.shape\[0\],"
    ):
        write.export(run, here / "out")
    assert not (here / "out").exists()


def test_a_folder_that_holds_something_else_is_refused_but_an_export_is_written_anew(here: Path) -> None:
    exported("char-lm", here)
    run = run_of(make_model("classifier"), here / "run")
    write.export(run, here / "out")
    assert not (here / "out" / "step.onnx").exists()
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ConfigError, match=r"mine holds something else than an export. Name an empty or a new folder"):
        write.export(run, here / "mine")


def test_files_that_are_missing_or_not_ours_are_refused(here: Path) -> None:
    exported("char-lm", here)
    (here / "out" / "step.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"step.onnx is missing beside model.onnx. Copy the whole folder"):
        load_export(here / "out")
    (here / "out" / "model.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"model.onnx is no ONNX file that can be run"):
        load_export(here / "out")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "other", [x], [y])
    made = helper.make_model(other, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, str(here / "out" / "model.onnx"))
    with pytest.raises(CheckpointError, match=r"model.onnx has no recurra_format, expected 1: an export of this"):
        load_export(here / "out")


def test_files_of_several_exports_are_refused(here: Path) -> None:
    exported("char-lm", here)
    write.export(run_of(make_model("char-lm", {"core.hidden_size": 9}), here / "run"), here / "other")
    ours, theirs = (here / name for name in ("out", "other"))
    step, symbols = (ours / "step.onnx").read_bytes(), (ours / "codecs.json").read_text(encoding="utf-8")
    for other in ((theirs / "step.onnx").read_bytes(), (ours / "model.onnx").read_bytes()):
        (ours / "step.onnx").write_bytes(other)
        with pytest.raises(CheckpointError, match=r"step.onnx is of another model than model.onnx beside it. Copy the"):
            load_export(ours)
    (ours / "step.onnx").write_bytes(step)
    (ours / "codecs.json").write_text(symbols.replace('"a"', '"ä"'), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"codecs.json is of another model than model.onnx beside it. Copy"):
        load_export(ours)
    (ours / "codecs.json").write_text(json.dumps(json.loads(symbols)), encoding="utf-8")
    assert load_export(ours).continues  # the same in another writing


def test_a_missing_package_and_an_unknown_format_are_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"unknown format 'onx': did you mean 'onnx'\? Known: onnx"):
        recurra.workflow.export(here, to="onx")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"the package onnx is missing, which ONNX files need: pip install 'recurra"):
        room.check_installed("onnx", "onnxruntime")
