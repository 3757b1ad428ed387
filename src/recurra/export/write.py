"""A run to its ONNX files: built, compared with torch, and only then written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from recurra import checkpoint, storage
from recurra.data.codecs import file as codec_file
from recurra.data.codecs.contract import Opens
from recurra.data.mark import mark_of
from recurra.errors import ConfigError, DataError
from recurra.export import CLIENT, CODECS, FEATURES, MODEL, README, STEP, check
from recurra.export.client import client, kinds_of, no_client
from recurra.export.opened import FORMAT, stand_in
from recurra.export.parts import Part, parts
from recurra.export.program import quiet, record
from recurra.progress import stage, steps
from recurra.tasks.contract import Reads
from recurra.tasks.writing import Starts, copies

SECTIONS = ("reader", "vocabulary", "input", "target", "batching", "embedder", "core", "task", "search", "baseline")
"""What an export keeps of a config: nothing of where the data lay, or how it was trained."""
REPORT = "report.json"
KILLED = 3600.0
"""Seconds after which what is half written was left by a process that was killed."""


@dataclass(frozen=True)
class File:
    """One ONNX file, as it was written."""

    path: Path
    size: int
    """Bytes."""
    difference: float
    """From torch, of the file as it lies there."""
    nodes: tuple[str, ...]
    """The recurrent nodes in it: LSTM, GRU, RNN, Scan."""


@dataclass(frozen=True)
class Export:
    """What an export wrote."""

    folder: Path
    files: tuple[File, ...]
    rounded: dict[str, Any] = field(default_factory=dict)
    """With weights in eight bits: the largest "difference" of an output and the "limit" it was held to; the largest
    difference of an answer's log-probability, "log_p", None where no output is one; "metric", the run's "score" and
    that of the files, "rounded", on "data", or the "reason" why there is no score."""
    no_client: str = ""
    """Why there is no client.py; empty: there is one."""
    of_files: bool = False
    """Whether it is asked by files."""


def export(run: Any, out: Path, int8: bool = False) -> Export:
    """Write a run's files into the folder `out`.

    With `int8` weights are rounded to eight bits. Raises ConfigError for a run with parts that have no form in ONNX and
    for a folder that holds something else, and `RecurraError`, with nothing written, where a file differs from torch.
    """
    check_folder(out)
    model, found = run.model, {}
    lacking = no_client(run)
    if not lacking:
        program = client(model.task.client, kinds_of(run))
    named = {f"{part.file}.onnx": part for part in parts(model)}
    writing = steps(named.items(), "writing as ONNX", "files")
    protos = {name: record(part, _metadata(run, name, int8)) for name, part in writing}
    exact = {name: proto.SerializeToString() for name, proto in protos.items()}
    for name, part in steps(named.items(), "comparing with torch", "files"):
        check.check(part, exact[name])
    files, rounded = exact, {}
    if int8:
        of_weights = [name for name in protos if name != FEATURES]
        files = exact | {name: _rounded(protos[name]) for name in steps(of_weights, "rounding weights", "files")}
        apart = [check.check(part, files[name], rounded=True) for name, part in named.items()]
        of_answers = [check.answers_apart(part, files[name]) for name, part in named.items()]
        log_p = max((each for each in of_answers if each is not None), default=None)
        rounded = {"difference": max(apart), "limit": check.ROUNDED, "log_p": log_p, **_compared(run, files)}
    storage.make_folder(out)
    storage.sweep(out, (*files, CODECS, CLIENT, README, REPORT), older=KILLED)
    for name, data in files.items():
        storage.write(out / name, data)
    for name, difference in _as_written(out, named, int8).items():
        nodes = tuple(sorted(_recurrent_nodes(protos[name].graph)))
        found[name] = File(out / name, len(files[name]), difference, nodes)
    for name in (STEP, FEATURES):
        if name not in files:
            storage.remove(out / name)  # of an earlier export of another run
    codec_file.save(_codecs(model), out / CODECS)
    if lacking:
        storage.remove(out / CLIENT)
    else:
        storage.write_text(out / CLIENT, program)
    storage.write_text(out / README, _readme(run, protos, lacking))
    asks = isinstance(model.task, Reads) and not isinstance(model.task, Starts)
    if asks and "unknown_share" in run.facts:  # what a question may be refused by
        checkpoint.write_json(out / REPORT, {"unknown_share": run.facts["unknown_share"]})
    return Export(out, tuple(found.values()), rounded, lacking, run.of_files)


def check_folder(out: Path) -> None:
    """Raise ConfigError for a folder that holds something other than an export."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / MODEL).is_file()):
        raise ConfigError(f"{out} holds something else than an export. Name an empty or a new folder with --out.")


def _metadata(run: Any, name: str, int8: bool) -> dict[str, str]:
    config = {section: run.config[section] for section in SECTIONS if section in run.config}
    return {
        "recurra_format": FORMAT,
        "file": name,
        "weights": "int8" if int8 else "float32",
        **({"range": "64"} if int8 else {}),
        **({"unknown": "copied"} if copies(run.model) else {}),
        "parameters": str(run.model.parameter_count),
        "run": checkpoint.fingerprint(run.model),
        "vocabulary": mark_of(codec_file.records_of(_codecs(run.model))),
        "config": json.dumps(config, ensure_ascii=False),
    }


def _codecs(model: Any) -> dict[str, Any]:
    """Those that a client reads by: the saved ones, and that of files, also where it has learned nothing."""
    codec = model.codecs["input"]
    return {**({"input": codec} if isinstance(codec, Opens) else {}), **model.codecs.saved}


def _as_written(out: Path, parts: Mapping[str, Part], int8: bool) -> dict[str, float]:
    """The differences from torch of the files as they lie there; where one answers otherwise all are taken away."""
    try:
        written = steps(parts.items(), "comparing what is written", "files")
        return {name: check.check(part, str(out / name), int8) for name, part in written}
    except Exception:
        for name in parts:
            storage.remove(out / name)
        raise


def _rounded(proto: onnx.ModelProto) -> bytes:
    """The file with the weights of products, embeddings and LSTMs in eight bits.

    Weights go from −64 to 64. A processor without eight-bit dot products (VNNI) adds two products of an input of 0 to
    255 and a weight in sixteen bits, where 2 · 255 · 64 has room and 2 · 255 · 127 has not; and files travel.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    options = {"EnableSubgraph": True, "DefaultTensorType": onnx.TensorProto.FLOAT}
    with tempfile.TemporaryDirectory() as folder, quiet():
        place = Path(folder) / MODEL
        whole = Path(folder) / "float32.onnx"
        onnx.save(proto, str(whole))
        quantize_dynamic(whole, place, weight_type=QuantType.QInt8, reduce_range=True, extra_options=options)
        made = onnx.load(str(place))
    helper.set_model_props(made, {prop.key: prop.value for prop in proto.metadata_props})
    data: bytes = made.SerializeToString()
    return data


def _compared(run: Any, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The run's main score and that of the files on its own test; "reason": why there is none."""
    if getattr(run.options(), "draws", False):
        return {"reason": "what it writes is drawn at random"}
    settings = {"search.beam": 1} if isinstance(run.model.task, Starts) else {}
    try:
        both = {"scoring the run": run, "scoring the rounded files": stand_in(run, files)}
        scored, again = (_scored(each, called, settings) for called, each in both.items())
    except (ConfigError, DataError) as error:  # a set that is not here, files that were moved
        return {"reason": str(error)}
    metric, _ = run.model.task.main_metric
    found = {"metric": metric, "data": scored["data"]}
    return found | {"score": scored["model"][metric], "rounded": again["model"][metric]}


def _scored(run: Any, called: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    with stage(called):
        found: dict[str, Any] = run.evaluate(baseline=False, settings=settings)
        return found


def _recurrent_nodes(graph: Any) -> set[str]:
    return {node.op_type for node in graph.node if node.op_type in ("LSTM", "GRU", "RNN", "Scan")}


def _readme(run: Any, protos: Mapping[str, onnx.ModelProto], lacking: str) -> str:
    """What the files take and give; `lacking`: why there is no client."""
    given = "FILE" if run.of_files else '"…"'
    kinds = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.INT64: "int64", onnx.TensorProto.BOOL: "bool"}
    lines = [
        f"# {run.config['task']['kind']}: a recurra model as ONNX",
        "",
        f"Ask it with recurra. There is no {CLIENT}, which could not ask it as the run is asked: {lacking}."
        if lacking
        else "Ask it with numpy and onnxruntime alone, or with recurra:",
        "",
        "```sh",
        *([] if lacking else [f"python {CLIENT} {given}"]),
        f"recurra predict . {given}",
        "```",
        "",
        "Numbers of symbols are those of codecs.json. A state that goes in as `state_…` comes out as",
        "`state_…_next`; the first ones are zeros, or, of a decoder, what model.onnx gives.",
    ]
    for name, proto in protos.items():
        lines += ["", f"## {name}", "", "| | name | shape | type |", "|---|---|---|---|"]
        for way, values in (("in", proto.graph.input), ("out", proto.graph.output)):
            for value in values:
                kind = value.type.tensor_type
                shape = ", ".join(axis.dim_param or str(axis.dim_value) for axis in kind.shape.dim)
                lines.append(f"| {way} | {value.name} | [{shape}] | {kinds[kind.elem_type]} |")
    return "\n".join(lines) + "\n"
