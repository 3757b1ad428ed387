"""Exported models in the place of a run's own: they are asked by onnxruntime, and answer as the run does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from recurra import forms, registry
from recurra.data.codecs import file as codec_file
from recurra.data.mark import mark_of
from recurra.errors import CheckpointError
from recurra.export import MODEL, STEP
from recurra.export.check import session
from recurra.forms import Table
from recurra.forms.files import EXPORT
from recurra.nn.memory import find_segments
from recurra.nn.softmax import IGNORED
from recurra.serving.run import RUNS, Run, learns_from
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
        feeds = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in inputs.items() if name in self.inputs}
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


class OnnxTask:
    """A task whose layers are in files: what it is told by its settings it knows itself, the rest it asks them."""

    def __init__(self, task: Any, kind: str, model: Asked, step: Asked | None) -> None:
        self._task, self._kind, self._model, self._step = task, kind, model, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def potentials(self, embedder: Any, core: Any, batch: Batch, places: Any = None) -> dict[str, Tensor]:
        """What `decode` reads."""
        feeds = _stories(batch) if self._kind == "answer" else _feeds(batch)
        if places is not None:
            feeds |= dict(zip(("rows", "steps"), places, strict=True))
        said = self._model({**feeds, **self._model.start(len(feeds["input"]))})
        return {name: value for name, value in said.items() if not name.endswith("_next")}

    def ranked(self, embedder: Any, core: Any, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """How each symbol is guessed; see `recurra.tasks.fill`."""
        lengths, target = _feeds(batch)["lengths"], batch.fields["input"]
        rows, steps = (torch.arange(target.shape[1]) < lengths[:, None]).nonzero(as_tuple=True)
        found = {}
        for side, log_p in self.potentials(embedder, core, batch, (rows, steps)).items():
            true = target[rows, steps][:, None]
            own, lower = log_p.gather(1, true), torch.arange(log_p.shape[1]) < true
            before = ((log_p > own) | ((log_p == own) & lower)).sum(1)
            ranks, scores = torch.zeros(target.shape, dtype=torch.int64), torch.zeros(target.shape)
            ranks[rows, steps], scores[rows, steps] = before, own[:, 0]
            found[side] = (ranks, scores)
        return found

    def left_size(self, embedder: Any, core: Any) -> int:
        """The files do not say which parameters are for the left side."""
        return 0

    @property
    def end(self) -> int:
        """The number of the mark that ends a target."""
        assert self._step is not None
        return int(self._step.session.get_outputs()[0].shape[1]) - 1

    def start(self, embedder: Any, core: Any, batch: Batch) -> Any:
        """What `step` takes first: what is kept of the source, and the decoder's own states, by name."""
        said = self._model(_feeds(batch))
        source = {name: value for name, value in said.items() if name.startswith("source_")}
        return Shared(source), {name: value for name, value in said.items() if name not in source}

    def step(self, embedder: Any, core: Any, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each target; the log-probabilities of the next, and the new state."""
        said, state = self._stepped(state, token)
        return said["log_probabilities"], state

    def alignment(self, embedder: Any, core: Any, batch: Batch) -> Tensor:
        """How much each step of the target looks at each of the source, [B, U, T]."""
        state, target = self.start(embedder, core, batch), batch.fields["target"]
        tokens = torch.cat((target.new_full((len(target), 1), self.end), target[:, :-1]), 1).clamp(min=0)
        found = []
        for token in tokens.unbind(1):
            said, state = self._stepped(state, token)
            found.append(said["attention"])
        return torch.stack(found, 1)

    def _stepped(self, state: Any, token: Tensor) -> tuple[dict[str, Tensor], Any]:
        assert self._step is not None
        shared, own = state
        said = self._step({"input": token, **shared.value, **own})
        return said, (shared, following(said))


class OnnxModel:
    """What a run asks of a `Model`, answered by files."""

    training = False
    embedder = core = None

    def __init__(self, config: Mapping[str, Any], symbols: Mapping[str, Any], files: Mapping[str, Asked]) -> None:
        kind = config["task"]["kind"]
        self._model, self._step = files["model"], files.get("step")
        self.task: Any = OnnxTask(registry.construct("task", config["task"]), kind, self._model, self._step)
        self.vocabularies, self.config = dict(symbols), dict(config)
        self.vocabulary: Any = symbols["input"]
        self.parameter_count = int(self._model.metadata["parameters"])  # `load_export` looked at it

    def train(self, mode: bool = True) -> OnnxModel:
        """Nothing to do: dropout is not in the files."""
        return self

    eval = train

    def step(self, state: Any, token: int | Tensor) -> tuple[Tensor, Any]:
        """Read one symbol of each sequence; the log-probabilities of the next, and the new state."""
        assert self._step is not None
        token = torch.as_tensor(token, dtype=torch.int64).reshape(-1)
        state = self._step.start(len(token)) if state is None else state
        said = self._step({"input": token, **state})
        return said["log_probabilities"], following(said)

    def loss(self, batch: Batch, state: Any = None) -> Output:
        """The loss of a language model, summed over targets."""
        feeds, target = _feeds(batch), batch.fields["target"]
        said = self._model({**feeds, **(self._model.start(len(target)) if state is None else state)})
        there = torch.arange(target.shape[1]) < feeds["lengths"][:, None]
        kept = there & (target != IGNORED)
        log_p = said["log_probabilities"].gather(2, target.clamp(min=0)[:, :, None])[:, :, 0]
        return Output(-log_p[kept].double().sum(), int(kept.sum()), len(target), following(said))


def _feeds(batch: Batch) -> dict[str, Tensor]:
    """A batch as the files read it; a batch of nothing but empty sequences has one step of padding."""
    fields, lengths = dict(batch.fields), batch.structure.values
    B, T = fields["input"].shape
    if T == 0:
        fields = {name: value.new_zeros(B, 1) if value.shape[1:] == (0,) else value for name, value in fields.items()}
    return {**fields, "lengths": torch.full((B,), T) if lengths is None else lengths}


def _stories(batch: Batch) -> dict[str, Tensor]:
    """Stories as the files read them: each sentence and each question a row."""
    found = find_segments(batch.fields["segments"], batch.structure.values)
    B, counts = len(batch.fields["input"]), (found.number - 1).clamp(min=0)
    if not len(found.counts):
        nothing = torch.zeros(B, 1, dtype=torch.int64)
        return {
            "input": nothing[:1],
            "lengths": nothing[:1, 0] + 1,
            "sentences": nothing,
            "counts": counts,
            "questions": nothing[:, 0],
        }
    rows = batch.fields["input"].t().reshape(-1)[found.words].t()  # [N, W]
    asks, numbers = found.last, torch.arange(len(found.counts))
    sentences = torch.zeros(B, max(1, int(counts.max())), dtype=torch.int64)
    sentences[found.sequence[~asks], found.place[~asks]] = numbers[~asks]
    questions = torch.zeros(B, dtype=torch.int64)
    questions[found.sequence[asks]] = numbers[asks]
    return {"input": rows, "lengths": found.counts, "sentences": sentences, "counts": counts, "questions": questions}


def stand_in(run: Any, files: Mapping[str, bytes]) -> Run:
    """A run that is answered by files in the place of its own model; its data are the same."""
    asked = {name.removesuffix(".onnx"): Asked(model) for name, model in files.items()}
    model: Any = OnnxModel(run.config, run.model.vocabularies, asked)
    return cast("Run", type(run)(run.path, run.config, model, torch.device("cpu")))


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
    if config["task"]["kind"] in ("generate", "transduce"):
        if not (folder / STEP).is_file():
            raise CheckpointError(f"{folder / STEP} is missing beside {MODEL}. {WHOLE}")
        files["step"] = Asked(folder / STEP)
    symbols = codec_file.load(codec_file.find(folder))
    _check_together(folder, files)
    made: Any = OnnxModel(config, symbols, files)
    return RUNS[learns_from(made.task)](folder, config, made, torch.device("cpu"))
