"""A character at a time: microseconds beside torch's LSTMCell and ONNX Runtime, and whether time and memory stay.

pip install -c constraints.txt '.[export]'
python benchmarks/streaming.py --out benchmarks/results/streaming.json

The model: 65 characters, an embedding of 64, an LSTM of 512, an output layer, log-probabilities; one thread, one
sequence. All sides hold the same weights, and are compared before they are timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

from recurra.bench.interleaved import machine, turns
from recurra.data.codecs.characters import Character
from recurra.model import Model
from recurra.streaming.session import open_session

CHARACTERS = "".join(chr(33 + k) for k in range(64))  # and the unknown one
EMBEDDING, UNITS, EACH = 64, 512, 200
STREAMED: dict[str, tuple[dict[str, Any], int]] = {
    "LSTM, 128 units": ({"kind": "recurrent", "cell": "lstm", "hidden_size": 128}, 1_000_000),
    "TDNN, 2 layers of 128, 3 delays": ({"kind": "tdnn", "hidden_size": 128}, 100_000),
    "Transformer, 2 layers of 128, span 256": (
        {"kind": "transformer", "hidden_size": 128, "num_layers": 2, "feed_forward": 256, "causal": True},
        10_000,
    ),
}
"""Cores, and after how many steps they are measured last."""
Side = Callable[[list[int]], np.ndarray]
"""Reads characters by their numbers; log-probabilities behind the last."""


def make_model(core: dict[str, Any], size: int) -> Model:
    torch.manual_seed(0)
    sections = {"embedder": {"kind": "symbols", "size": size}, "core": core, "task": {"kind": "generate"}}
    return Model.from_config(sections, {"input": Character().fit([CHARACTERS])}).eval()


def ours(model: Model, how: Any) -> Side:
    session = open_session(model, "the benchmark", how)

    @torch.inference_mode()  # as the side of torch's
    def side(ids: list[int]) -> np.ndarray:
        for number in ids:
            said = session.step(number)
        return said["next"].numpy()

    return side


def fed(model: Model) -> Side:
    """`feed`, which also looks for the likeliest symbols and says everything in words."""
    session = open_session(model, "the benchmark")

    def side(ids: list[int]) -> np.ndarray:
        for number in ids:
            session.feed(number)
        return session.fork().step(ids[0])["next"].numpy()

    return side


def torch_cell(model: Model) -> Side:
    layer, task = model.core.layers, model.task
    cell = torch.nn.LSTMCell(EMBEDDING, UNITS)
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.state_dict().items()})
    state = [(torch.zeros(1, UNITS), torch.zeros(1, UNITS))]
    numbers = [torch.tensor([k]) for k in range(len(model.codecs["input"]))]

    @torch.inference_mode()
    def side(ids: list[int]) -> np.ndarray:
        for number in ids:
            state[0] = cell(F.embedding(numbers[number], model.embedder.weight), state[0])
            log_p = F.log_softmax(F.linear(state[0][0], task.weight, task.bias), 1)
        return log_p.numpy()

    return side


def onnx_runtime(model: Model) -> Side:
    """One step as a graph with ONNX's own LSTM; states go round without leaving the runtime."""
    layer = model.core.layers.state_dict()

    def gates(name: str) -> np.ndarray:
        i, f, g, o = layer[name].chunk(4)
        return torch.cat((i, o, f, g)).numpy()[None]  # ONNX's order

    held = {
        "E": model.embedder.weight.detach().numpy(),
        "W": gates("weight_ih_l0"),
        "R": gates("weight_hh_l0"),
        "B": np.concatenate((gates("bias_ih_l0"), gates("bias_hh_l0")), 1),
        "V": model.task.weight.detach().numpy().T.copy(),
        "c": model.task.bias.detach().numpy(),
        "one": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["E", "symbol"], ["x"]),
        helper.make_node("LSTM", ["x", "W", "R", "B", "", "h", "m"], ["", "h1", "m1"], hidden_size=UNITS),
        helper.make_node("Squeeze", ["h1", "one"], ["y"]),
        helper.make_node("Gemm", ["y", "V", "c"], ["z"]),
        helper.make_node("LogSoftmax", ["z"], ["log_p"], axis=1),
    ]
    real = TensorProto.FLOAT
    states = [helper.make_tensor_value_info(n, real, [1, 1, UNITS]) for n in ("h", "m", "h1", "m1")]
    inputs = [helper.make_tensor_value_info("symbol", TensorProto.INT64, [1, 1]), *states[:2]]
    outputs = [helper.make_tensor_value_info("log_p", real, [1, len(held["c"])]), *states[2:]]
    constants = [numpy_helper.from_array(value, name) for name, value in held.items()]
    graph = helper.make_model(
        helper.make_graph(nodes, "step", inputs, outputs, constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(graph)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    numbers = [ort.OrtValue.ortvalue_from_numpy(np.array([[k]])) for k in range(len(held["c"]))]
    zeros = ort.OrtValue.ortvalue_from_numpy(np.zeros((1, 1, UNITS), np.float32))
    state = [zeros, zeros]

    def side(ids: list[int]) -> np.ndarray:
        for number in ids:
            given = {"symbol": numbers[number], "h": state[0], "m": state[1]}
            log_p, *state[:] = session.run_with_ort_values(["log_p", "h1", "m1"], given)
        return log_p.numpy()

    return side


def compare(rounds: int) -> dict[str, Any]:
    """Microseconds a character of all sides, taking turns; the fastest round and the median."""
    model = make_model({"kind": "recurrent", "cell": "lstm", "hidden_size": UNITS}, EMBEDDING)
    sides = {"torch LSTMCell": torch_cell(model), "ONNX Runtime": onnx_runtime(model)}
    for how in ("float32", "bfloat16", "int8", "module"):
        sides[f"Session.step, {how}"] = ours(model, how)
    ids = np.random.default_rng(0).integers(0, len(model.codecs["input"]), EACH).tolist()
    truth = sides["torch LSTMCell"](ids)
    differences = {name: float(np.abs(side(ids) - truth).max()) for name, side in sides.items() if "torch" not in name}
    for name, difference in differences.items():
        most = 1e-5 if name.endswith(("float32", "module", "Runtime")) else 1e-2
        assert difference <= most, f"{name} differs from torch by {difference:.1e}"
    sides["Session.feed, float32"] = fed(model)
    times = turns({name: lambda side=side: side(ids) for name, side in sides.items()}, rounds)
    found = {}
    medians = {name: statistics.median(each) / EACH * 1e6 for name, each in times.items()}
    for name, each in times.items():
        ratios = [theirs / mine for theirs, mine in zip(times["torch LSTMCell"], each, strict=True)]
        found[name] = {
            "us": round(medians[name], 1),
            "us_fastest": round(min(each) / EACH * 1e6, 1),
            "torch_over_it": round(statistics.median(ratios), 2),
        }
        print(f"{name:24s} {found[name]['us']:7.1f} µs   torch over it {found[name]['torch_over_it']:.2f}")
    return {"characters": len(ids) * rounds, "sides": found, "differences_from_torch": differences}


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def measure_stream(core: dict[str, Any], last: int) -> list[dict[str, Any]]:
    """Time of a step, memory of the process and of the state, after 10³ steps and every tenfold up to `last`."""
    model = make_model(core, 32)
    session = open_session(model, "the benchmark")
    found: list[dict[str, Any]] = []
    steps = 1000
    while steps <= last:
        while session.count < steps - 1000:
            session.step(session.count % 65)
        windows = []
        for _ in range(10):
            begun = time.perf_counter()
            for k in range(100):
                session.step(k % 65)
            windows.append((time.perf_counter() - begun) * 1e4)
        row = {"steps": session.count, "us": round(statistics.median(windows), 1), "us_fastest": round(min(windows), 1)}
        found.append(row | {"resident_bytes": resident(), "state_bytes": session.bytes, "step": session.step_kind})
        print(f"  {steps:9,} steps  {row['us']:7.1f} µs  {found[-1]['resident_bytes'] / 2**20:7.2f} MiB", end="")
        print(f"  state {session.bytes:,} bytes")
        steps *= 10
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--longest", type=int, default=1_000_000, help="steps of the longest stream")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "machine": machine() | {"onnxruntime": ort.__version__, "numpy": np.__version__},
        "command": f"python {' '.join(sys.argv)}",
        "threads": 1,
        "model": f"{len(CHARACTERS) + 1} characters, embedding {EMBEDDING}, LSTM 1x{UNITS}, output layer, batch 1",
        "step": compare(arguments.rounds),
        "streams": {},
    }
    for name, (core, last) in STREAMED.items():
        print(name)
        found["streams"][name] = measure_stream(core, min(last, arguments.longest))
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
