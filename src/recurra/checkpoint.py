"""The run directory, and weights in files: open formats only, written beside and renamed, checked when read.

    run/
    ├─ config.toml          the recipe with all its settings, as trained
    ├─ codecs.json          what numbers mean: the symbols, one a line
    ├─ codecs.safetensors   where a codec has arrays: those
    ├─ model.safetensors    the best weights so far, by validation loss
    ├─ resume.safetensors   what training needs to go on: weights, optimiser, carried state, random generator, counters
    ├─ metrics.jsonl        one JSON object a line: how training went
    ├─ gradients.jsonl      where training.record_gradients asks for it: how far gradients reached back
    ├─ spectrum.jsonl       where training.record_spectrum asks for it: spectra of the recurrent weights
    ├─ report.json          the scores, beside the baseline's
    └─ training.lock        while a training holds the folder: which process does

Every safetensors file carries its format's version and a checksum of its tensors in its metadata, and weights the mark
of their vocabularies. Files are written by `recurra.storage`: the last good one always stands.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from recurra import forms, storage
from recurra.data.codecs.contract import Codec
from recurra.data.codecs.file import CODECS, FORMER, arrays_path, find, records_of
from recurra.data.mark import mark_of
from recurra.errors import CheckpointError
from recurra.forms.files import REPORT

FORMAT = 1
"""Version of the files' layout; raised when an older recurra could not read them any more."""

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class RunFolder:
    """Where the files of a run are."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def codecs(self) -> Path:
        """codecs.json; in a run of before, vocabulary.json."""
        return find(self.path)

    @property
    def model(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def resume(self) -> Path:
        return self.path / "resume.safetensors"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def gradients(self) -> Path:
        """Gradient norms by step, where training was asked to record them."""
        return self.path / "gradients.jsonl"

    @property
    def spectrum(self) -> Path:
        """Spectra of the recurrent weights, where training was asked to record them."""
        return self.path / "spectrum.jsonl"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, whether they are there or not."""
        written = (self.config, self.model, self.resume, self.metrics, self.report, self.gradients, self.spectrum)
        codecs = self.path / CODECS
        return (*written, codecs, arrays_path(codecs), self.path / FORMER)


def create_run(path: str | Path) -> RunFolder:
    """Make the folder of a new run and try writing there. A folder that holds a run already is refused."""
    check_free(path)
    run = RunFolder(Path(path))
    storage.make_folder(run.path)
    check_places(run)
    storage.write(run.metrics, b"")
    return run


def check_free(path: str | Path) -> None:
    """Raise `CheckpointError` for a folder that holds a run already."""
    run = RunFolder(Path(path))
    for held in (run.config, run.model, run.resume):
        if os.path.lexists(held):
            raise CheckpointError(
                f"{run.path} already holds a run ({held.name}). Name another folder with --out, "
                f"go on with this one by --resume, or delete it."
            )


def open_run(path: str | Path) -> RunFolder:
    """The folder of a run made before."""
    run = RunFolder(Path(path))
    if not run.path.is_dir():
        raise CheckpointError(f"{run.path} is no folder, expected a run directory: what `recurra train … --out` wrote.")
    if not run.config.is_file():
        raise CheckpointError(
            f"{run.config} is missing, so {run.path} is no run directory. Name the folder that "
            f"`recurra train … --out` wrote, or train again."
        )
    return run


def check_places(run: RunFolder) -> None:
    """Raise `CheckpointError` where a link, or anything but a file, stands in the place of one of a run's files."""
    for file in run.files:
        storage.check_place(file)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value; raises as `storage.write`."""
    storage.write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, form: forms.Form = forms.ANYTHING) -> Any:
    """A JSON file's value; raises `CheckpointError` if it is missing, broken or not of the form."""
    return forms.json_file(path, form)


def read_report(path: Path) -> dict[str, Any]:
    """What report.json says. Raises `CheckpointError` if it is missing, broken, or holds what no training wrote."""
    report: dict[str, Any] = read_json(path, REPORT)
    return report


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors, with the format's version and a checksum in the metadata."""
    held = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    marks = {"recurra_format": str(FORMAT), "checksum": _checksum(held)}
    storage.write(path, safetensors.torch.save(held, {**metadata, **marks}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, on the CPU, and metadata; raises `CheckpointError` for a missing, cut, corrupt or foreign file."""
    if not path.exists():
        raise CheckpointError(
            f"{path} is missing. Training writes it before its first step: go on with recurra train {path.parent} "
            f"--resume, or copy the file back if it was moved."
        )
    try:
        storage.check_readable(path)
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            version = metadata.get("recurra_format")
            if version != str(FORMAT):
                raise CheckpointError(_foreign(path, version))
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise CheckpointError(_unreadable(path, error)) from error
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is cut or corrupt ({error}). {_AGAIN}") from error
    if metadata.get("checksum") != _checksum(tensors):
        raise CheckpointError(f"{path} is corrupt: its tensors do not match their checksum. {_AGAIN}")
    return tensors, metadata


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer of a model by name, one that is shared only under its first name."""
    found: dict[str, Tensor] = {}
    places = set()
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else name
        if place not in places:
            places.add(place)
            found[name] = tensor
    return found


def fingerprint(model: nn.Module) -> str:
    """The checksum of a model's weights: that of the file they are saved in."""
    return _checksum({name: tensor.detach().to("cpu").contiguous() for name, tensor in weights(model).items()})


def restore_weights(model: nn.Module, saved: Mapping[str, Tensor], path: Path) -> None:
    """Copy saved weights into a model of the same form; `path` is named where names or shapes differ. Those that a
    module's `may_lack` names stay as they are where the file has none: it was written before there were any."""
    own = weights(model)
    later = {
        f"{place}.{name}".lstrip(".") for place, module in model.named_modules() for name in _may_lack(module)
    } - saved.keys()
    own = {name: tensor for name, tensor in own.items() if name not in later}
    for name in sorted(own.keys() ^ saved.keys()):
        trouble = "has no" if name in own else "has, and the model has not,"
        raise CheckpointError(f"{path} {trouble} weights {name!r}: {_OTHER_MODEL}")
    for name, tensor in own.items():
        check_tensor(path, name, saved[name], tensor, _OTHER_MODEL)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(saved[name])


def _may_lack(module: Any) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(module, "may_lack", ())
    return found


def check_tensor(path: Path, name: str, saved: Tensor, like: Tensor, move: str) -> None:
    """Raise `CheckpointError` for a tensor of a file that is not of the shape and type of `like`, or not finite where
    that is."""
    if saved.shape != like.shape:
        raise CheckpointError(f"{path}: {name!r} is {list(saved.shape)}, the model's is {list(like.shape)}: {move}")
    if saved.dtype != like.dtype:
        raise CheckpointError(f"{path}: {name!r} is of {saved.dtype}, the model's is of {like.dtype}: {move}")
    if saved.is_floating_point() and not bool(saved.isfinite().all()) and bool(like.isfinite().all()):
        raise CheckpointError(f"{path}: {name!r} holds numbers that are not finite, expected finite ones. {_AGAIN}")


def save_model(path: Path, model: nn.Module, metadata: Mapping[str, str] | None = None) -> None:
    """Write a model's weights."""
    save_tensors(path, weights(model), {**(metadata or {}), **vocabulary_mark(model)})


def vocabulary_mark(model: nn.Module) -> dict[str, str]:
    """What the metadata of weights say of the vocabularies they were trained with, where a model has any."""
    vocabularies = vocabularies_of(model)
    return {"vocabulary": mark_of(records_of(vocabularies))} if vocabularies else {}


def vocabularies_of(model: Any) -> Mapping[str, Codec]:
    """What a run keeps of a model's codecs, by name; nothing of a module that has none."""
    found: Mapping[str, Codec] = model.codecs.saved if hasattr(model, "codecs") else {}
    return found


def check_vocabulary(path: Path, metadata: Mapping[str, str], vocabularies: Mapping[str, Codec]) -> None:
    """Raise `CheckpointError` where the weights in `path` were trained with other vocabularies than those beside them;
    what was written before weights knew theirs is taken."""
    records = records_of(vocabularies)
    own = mark_of(records)
    former = mark_of({"target": records["input"], **records}) if "input" in records else own
    # a vocabulary of both sides was written for each of them once
    if vocabularies and metadata.get("vocabulary", own) not in (own, former):
        raise CheckpointError(
            f"{path} was trained with another vocabulary than that in {RunFolder(path.parent).codecs}: its numbers "
            "mean other symbols. Copy both files from the same run again."
        )


def load_model(path: Path, model: Model) -> Model:
    """Read weights into a model built from the same configuration and vocabularies, and return it."""
    tensors, metadata = load_tensors(path)
    check_vocabulary(path, metadata, vocabularies_of(model))
    restore_weights(model, tensors, path)
    return model


_AGAIN = "Copy it again from where it was whole, or train again."
_OTHER_MODEL = "it belongs to another model. Does config.toml beside it still say what was trained?"


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 over names and bytes: safetensors itself notices a cut file, but no changed byte."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(name.encode("utf-8"), crc)
        if tensors[name].numel():  # of none there is no view
            crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"


def _foreign(path: Path, version: str | None) -> str:
    if version is None:
        return f"{path} is no checkpoint of recurra's: its metadata has no recurra_format. Name a run directory."
    return (
        f"{path} has format {version}, this recurra reads format {FORMAT}. "
        f"Use the recurra that wrote it (pip install -U recurra for the newest), or train again."
    )


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} cannot be read ({error.strerror or error}). Is the run directory complete, and yours to read?"
