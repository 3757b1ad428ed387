"""Exported models in the place of a run's own: they are asked by onnxruntime, and answer as the run does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra import forms, registry
from recurra.data.codecs import file as codec_file
from recurra.data.mark import mark_of
from recurra.errors import CheckpointError, ConfigError
from recurra.export import MODEL, STEP
from recurra.export.check import session
from recurra.forms import Table
from recurra.forms.files import EXPORT
from recurra.model import make_codecs
from recurra.runs.run import Run
from recurra.tasks.contract import Arranges
from recurra.tasks.scored import MeasuresAsked
from recurra.tasks.writing import Continues, Starts
from recurra.types import Batch, Output, Shared

FORMAT = "1"
"""Version of what an export's files hold."""
WHOLE = "Copy the whole folder of the export, or export the run again."
NUMPY = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


class Asked:
    """One file: tensors by name to tensors by name."""

    def __init__(self, model: bytes | Path) -> None:
        try:
            self.session = session(str(model) if isinstance(model, Path) else model)
        except Exception as error:  # onnxruntime has a class of its own for each cause
            what = model if isinstance(model, Path) else "an exported model"
            raise CheckpointError(f"{what} is no ONNX file that can be run ({error}). Export the run again.") from error
        self.inputs = {i.name: i for i in self.session.get_inputs()}
        self.outputs = [output.name for output in self.session.get_outputs()]

    @property
    def metadata(self) -> dict[str, str]:
        try:
            found: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError as error:
            raise CheckpointError(f"the metadata of an exported model are no UTF-8 ({error}). {WHOLE}") from error
        return found

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        feeds: dict[str, Any] = {
            name: np.ascontiguousarray(tensor.numpy(), NUMPY[self.inputs[name].type])
            for name, tensor in inputs.items()
            if name in self.inputs
        }
        said = self.session.run(None, feeds)
        return {name: torch.from_numpy(value) for name, value in zip(self.outputs, said, strict=True)}

    def start(self, batch: int) -> dict[str, Tensor]:
        """Zeros for the states."""
        found = {}
        for name, each in self.inputs.items():
            if name.startswith("state_"):
                shape = [batch if axis == "batch" else axis if isinstance(axis, int) else 0 for axis in each.shape]
                found[name] = torch.from_numpy(np.zeros(shape, NUMPY[each.type]))
        return found


def following(said: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The states that go in next."""
    return {name.removesuffix("_next"): value for name, value in said.items() if name.endswith("_next")}


def answered(task: Any, model: Asked, step: Asked | None) -> Any:
    """A task whose layers are in files: what its settings say it knows itself, the rest it asks them."""

    def ask(embedder: Any, core: Any, batch: Batch, state: Any = None) -> dict[str, Tensor]:
        feeds = _feeds(task.arrange(batch) if isinstance(task, Arranges) else batch)
        found = model({**feeds, **(model.start(len(feeds["input"])) if state is None else state)})
        return {name: value for name, value in found.items() if not name.endswith("_next")}

    def start(embedder: Any, core: Any, batch: Batch) -> Any:
        """What is kept of the source, and the decoder's own states, by name."""
        found = model(_feeds(batch))
        source = {name: value for name, value in found.items() if name.startswith("source_")}
        return Shared(source), {name: value for name, value in found.items() if name not in source}

    def stepped(state: Any, token: Tensor) -> tuple[dict[str, Tensor], Any]:
        assert step is not None
        shared, own = state
        found = step({"input": token, **shared.value, **own})
        return found, (shared, following(found))

    def one_step(embedder: Any, core: Any, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        found, state = stepped(state, token)
        return found["log_probabilities"], state

    def look(embedder: Any, core: Any, state: Any, token: Tensor) -> tuple[dict[str, Tensor], Any]:
        return stepped(state, token)

    def alignment(embedder: Any, core: Any, batch: Batch) -> Tensor:
        state, target = start(embedder, core, batch), batch.fields["target"]
        tokens = torch.cat((target.new_full((len(target), 1), task.end), target[:, :-1]), 1).clamp(min=0)
        found = []
        for token in tokens.unbind(1):
            out, state = stepped(state, token)
            found.append(out["attention"])
        return torch.stack(found, 1)

    def go_on(embedder: Any, core: Any, state: Any, token: Tensor) -> tuple[Any, Any]:
        assert step is not None
        found = step({"input": token, **(step.start(len(token)) if state is None else state)})
        said = {name: value for name, value in found.items() if not name.endswith("_next")}
        return said.get("log_probabilities", said), following(found)

    own: dict[str, Any] = {"ask": ask}
    if isinstance(task, Starts) and step is not None:
        end = int(step.session.get_outputs()[0].shape[1]) - 1
        own |= {"start": start, "step": one_step, "look": look, "alignment": alignment, "end": end}
    elif isinstance(task, Continues):
        own["step"] = go_on
    for name, value in own.items():
        setattr(task, name, value)
    return task


class OnnxModel:
    """What a run asks of a `Model`, answered by files."""

    training = False
    core = None
    name = "model"

    def __init__(self, config: Mapping[str, Any], symbols: Mapping[str, Any], files: Mapping[str, Asked]) -> None:
        self._model, self._step = files["model"], files.get("step")
        self.embedder = registry.construct("embedder", config["embedder"])
        task = registry.construct("task", config["task"])
        self.codecs = make_codecs(config, self.embedder, task, symbols)
        self.task: Any = answered(task, self._model, self._step)
        self.config = dict(config)
        self.parameter_count = int(self._model.metadata["parameters"])  # `load_export` looked at it

    def train(self, mode: bool = True) -> OnnxModel:
        """Nothing to do: dropout is not in the files."""
        return self

    eval = train

    def step(self, state: Any, token: int | Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each sequence; the log-probabilities of the next, and the new state."""
        found: tuple[Tensor, Any] = self.task.step(None, None, state, torch.as_tensor(token).reshape(-1))
        return found

    def loss(self, batch: Batch, state: Any = None) -> Output:
        """The loss of a task that is scored by it, summed over targets; of one that writes on, from a state."""
        task: Any = self.task
        if not isinstance(task, MeasuresAsked):
            raise ConfigError("this export cannot be scored: its task measures the model itself. Score the run.")
        if not isinstance(task, Continues) or isinstance(task, Starts):
            found: Output = self.task.measured(self.task.ask(None, None, batch), batch)
            return found
        feeds = _feeds(batch)
        said = self._model({**feeds, **(self._model.start(len(feeds["input"])) if state is None else state)})
        return replace(self.task.measured(said, batch), state=following(said))

    measure = loss


def _feeds(batch: Batch) -> dict[str, Tensor]:
    """A batch as the files read it; a batch of nothing but empty sequences has one step of padding."""
    fields, lengths = dict(batch.fields), batch.structure.values
    B, T = fields["input"].shape[:2]
    if T == 0:
        fields = {
            name: value.new_zeros(B, 1, *value.shape[2:]) if value.shape[1:2] == (0,) else value
            for name, value in fields.items()
        }
    return {**fields, "lengths": torch.full((B,), T) if lengths is None else lengths}


def stand_in(run: Any, files: Mapping[str, bytes]) -> Run:
    """A run that is answered by files in the place of its own model; its data are the same."""
    asked = {name.removesuffix(".onnx"): Asked(model) for name, model in files.items()}
    model: Any = OnnxModel(run.config, run.model.codecs.saved, asked)
    return Run(run.path, run.config, model, torch.device("cpu"))


def _check_together(folder: Path, files: Mapping[str, Asked]) -> None:
    """Raise `CheckpointError` for files that are not of one export; those written before they told it are taken."""
    path = codec_file.find(folder)
    held = forms.json_file(path, Table(), move=WHOLE)
    own = held.get("codecs", held.get("vocabularies"))
    for name, asked in files.items():
        said = asked.metadata
        if said.get("vocabulary", mark_of(own)) != mark_of(own):
            raise CheckpointError(f"{path} is of another model than {name}.onnx beside it. {WHOLE}")
        if said.get("file", f"{name}.onnx") != f"{name}.onnx" or said.get("run") != files["model"].metadata.get("run"):
            raise CheckpointError(f"{folder / f'{name}.onnx'} is of another model than {MODEL} beside it. {WHOLE}")


def _config(folder: Path, model: Asked) -> dict[str, Any]:
    """The settings in a file's metadata."""
    count = model.metadata.get("parameters", "")
    if not (count.isdecimal() and len(count) < 19):
        raise CheckpointError(f"{folder / MODEL}: parameters is {forms.shown(count)}, expected a whole number. {WHOLE}")
    said = model.metadata.get("config", "")
    config: dict[str, Any] = forms.read_json_text(said, f"{folder / MODEL}: config", EXPORT, move=WHOLE)
    return config


def load_export(folder: Path) -> Run:
    """An exported folder, opened like a run. Raises `CheckpointError` for files that are missing or not ours."""
    model = Asked(folder / MODEL)
    if model.metadata.get("recurra_format") != FORMAT:
        found = model.metadata.get("recurra_format")
        raise CheckpointError(
            f"{folder / MODEL} has "
            + (f"format {found}" if found else "no recurra_format")
            + f", expected {FORMAT}: an export of this recurra's. Export the run again."
        )
    if model.metadata.get("weights") == "int8" and model.metadata.get("range") != "64":
        raise CheckpointError(
            f"{folder / MODEL} has weights in eight bits whose sums overflow on processors without eight-bit dot "
            "products (VNNI), expected weights from −64 to 64. Export the run again with --int8."
        )
    config = _config(folder, model)
    files = {"model": model}
    task = registry.construct("task", config["task"])
    if isinstance(task, Continues):
        if not (folder / STEP).is_file():
            raise CheckpointError(f"{folder / STEP} is missing beside {MODEL}. {WHOLE}")
        files["step"] = Asked(folder / STEP)
    symbols = codec_file.load(codec_file.find(folder))
    _check_together(folder, files)
    made: Any = OnnxModel(config, symbols, files)
    made.name = str(folder)
    return Run(folder, config, made, torch.device("cpu"))
