"""A graph of ONNX nodes, put together value by value; a value is the name of a tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

OPSET = 18
IR_VERSION = 9
"""Of the file's layout; onnxruntime from 1.14 on reads both."""
FLOAT, INT32, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL
OWN = "recurra_"
"""Begins the names of values, beside those that torch's exporter gives."""
Axes = Sequence[int | str]
"""A shape: numbers, and names of axes whose length is known only when the graph runs."""


class Graph:
    """Nodes in the order they are computed, the tensors they read, inputs and outputs.

    The body of a loop is a graph of its own, `inside` another: it reads that one's values by their names, and its
    constants are kept there.
    """

    def __init__(self, name: str, inside: Graph | None = None) -> None:
        self.name, self.inside = name, inside
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._tensors: dict[Any, tuple[str, Any]] = {}
        self._numbers: Any = inside._numbers if inside is not None else count()

    def input(self, name: str, kind: int, shape: Axes | None) -> str:
        """A value that is given when the graph runs."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, value: str, kind: int, shape: Axes | None) -> None:
        """Give a value to the outside, under a name."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def fresh(self, word: str) -> str:
        return f"{OWN}{word}_{next(self._numbers)}"

    def ops(self, kind: str, inputs: Sequence[str], outputs: int, attributes: Mapping[str, Any] | None = None) -> Any:
        """A node with several outputs: their names."""
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **dict(attributes or {})))
        return names

    def op(self, kind: str, *inputs: str, attributes: Mapping[str, Any] | None = None) -> str:
        """A node with one output: its name."""
        (name,) = self.ops(kind, inputs, 1, attributes)
        return str(name)

    def constant(self, value: Any, kind: type = np.float32) -> str:
        """A number or an array; the same one is kept once."""
        if self.inside is not None:
            return self.inside.constant(value, kind)
        array: Any = np.ascontiguousarray(value, kind) if np.ndim(value) else np.array(value, kind)
        key = (array.dtype.str, array.shape, array.tobytes())
        return self._kept(key, array)

    def integers(self, *values: int) -> str:
        """A row of whole numbers."""
        return self.constant(np.array(values, np.int64), np.int64)

    def weight(self, tensor: Tensor) -> str:
        """A parameter, in float32."""
        return self.constant(tensor.detach().cpu().float().numpy())

    def _kept(self, key: Any, array: Any) -> str:
        if key not in self._tensors:
            name = self.fresh("weight" if array.size > 1 else "number")
            self._tensors[key] = (name, numpy_helper.from_array(array, name))
        return self._tensors[key][0]

    @property
    def tensors(self) -> list[Any]:
        """The constants."""
        return [tensor for _, tensor in self._tensors.values()]

    def body(self) -> Any:
        """The graph of a loop's body."""
        return helper.make_graph(self.nodes, self.name, self.inputs, self.outputs)

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The whole file, checked."""
        graph = self.body()
        graph.initializer.extend(self.tensors)
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="recurra"
        )
        helper.set_model_props(made, dict(metadata))
        onnx.checker.check_model(made)
        return made

    # What is written often.

    def matmul(self, x: str, weight: Tensor, bias: Tensor | None = None) -> str:
        """x Wᵀ + b, W [out, in] as torch keeps it."""
        y = self.op("MatMul", x, self.weight(weight.detach().t()))
        return y if bias is None else self.op("Add", y, self.weight(bias))

    def concat(self, values: Sequence[str], axis: int) -> str:
        if len(values) == 1:
            return values[0]
        return self.op("Concat", *values, attributes={"axis": axis})

    def split(self, x: str, parts: int, axis: int = -1) -> list[str]:
        """Equal parts."""
        if parts == 1:
            return [x]
        names: list[str] = self.ops("Split", [x], parts, {"axis": axis, "num_outputs": parts})
        return names

    def unsqueeze(self, x: str, *axes: int) -> str:
        return self.op("Unsqueeze", x, self.integers(*axes))

    def squeeze(self, x: str, axis: int) -> str:
        return self.op("Squeeze", x, self.integers(axis))

    def slice(self, x: str, begin: str | int, end: str | int, axis: int) -> str:
        first, last = (self.integers(v) if isinstance(v, int) else v for v in (begin, end))
        return self.op("Slice", x, first, last, self.integers(axis))

    def size(self, x: str, axis: int) -> str:
        """The length of an axis, [1]."""
        return self.op("Shape", x, attributes={"start": axis, "end": axis + 1})

    def arange(self, stop: str) -> str:
        """0 … stop − 1, of a row of one number."""
        return self.op("Range", self.constant(0, np.int64), self.op("Squeeze", stop), self.constant(1, np.int64))

    def cast(self, x: str, kind: int) -> str:
        return self.op("Cast", x, attributes={"to": kind})

    def where(self, condition: str, yes: str, no: str) -> str:
        return self.op("Where", condition, yes, no)

    def reduce(self, kind: str, x: str, axis: int, keep: bool = False) -> str:
        """ReduceSum, ReduceMax or ReduceMean over an axis."""
        return self.op(kind, x, self.integers(axis), attributes={"keepdims": int(keep)})

    def there(self, lengths: str, x: str, axis: int = 0) -> str:
        """Which steps sequences of these lengths [B] have: [T, B, 1], T the length of an axis of x."""
        steps = self.unsqueeze(self.arange(self.size(x, axis)), 1)
        return self.unsqueeze(self.op("Less", steps, lengths), 2)
