"""A part of a run as an ONNX file: torch's exporter writes it, but for the recurrent layers, which `layer` writes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from recurra.engine import operator
from recurra.errors import ConfigError, RecurraError
from recurra.export.graph import IR_VERSION, OPSET
from recurra.export.layer import DOMAIN, as_node, written
from recurra.export.parts import NEXT, Part

SIZE = (3, 14)
"""(batch, time) of the inputs that a program is recorded with. No axis of them has length 1, which torch would take to
be 1 always."""


def record(part: Part, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The file of a part, checked by onnx.

    Raises ConfigError for a model that torch's exporter cannot write: one whose Python asks what a tensor holds, or
    takes the length of an axis for a number.
    """
    tensors = {name: torch.from_numpy(value) for name, value in part.draw(np.random.default_rng(0), *SIZE).items()}
    with torch.no_grad():
        outputs = list(part.answer(tensors))
    try:
        with quiet():
            made = _recorded(part, tensors, outputs)
    except RecurraError:
        raise
    except Exception as error:  # torch's exporter has no class of its own for what it cannot do
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{part.file}.onnx cannot be written by torch's exporter: {reason[:400]}. What embedder, core and task "
            "compute may not depend in Python on what a tensor holds, and takes the length of an axis as x.shape[0], "
            "never as len(x)."
        ) from error
    nodes = written(made)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    _tidy(made, part, tensors)
    helper.set_model_props(made, dict(metadata))
    onnx.checker.check_model(made)
    return made


class _Answer(nn.Module):
    """What torch makes of a part's inputs, as a module."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self._answer, self.model = part.answer, part.model

    def forward(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return tuple(self._answer(tensors).values())


def _recorded(part: Part, tensors: Mapping[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    """The file as torch's exporter writes it, with a node for each layer that is no ONNX yet."""
    axes = {
        name: {k: torch.export.Dim.DYNAMIC for k, axis in enumerate(shape) if isinstance(axis, str)}
        for name, shape in part.axes.items()
    }
    token = operator.recorder.set(as_node)
    try:
        with torch.no_grad():
            found = torch.export.export(_Answer(part), (dict(tensors),), dynamic_shapes=(axes,), strict=False)
    finally:
        operator.recorder.reset(token)
    with torch.no_grad():  # else a loop is taken apart for its derivative
        made = torch.onnx.export(
            found,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            input_names=list(tensors),
            output_names=outputs,
        )
    assert made is not None
    model: onnx.ModelProto = made.model_proto
    return model


def _tidy(made: onnx.ModelProto, part: Part, tensors: Mapping[str, Tensor]) -> None:
    """Name the axes, and drop what says where in our Python a node comes from, and weights that no node reads."""
    graph, words = made.graph, {}
    for given in graph.input:
        for dim, axis in zip(given.type.tensor_type.shape.dim, part.axes[given.name], strict=True):
            if isinstance(axis, str):
                words[dim.dim_param] = dim.dim_param = axis
    for output in graph.output:
        for k, dim in enumerate(output.type.tensor_type.shape.dim):
            if dim.dim_param:
                shape = part.axes.get(output.name.removesuffix(NEXT), ())
                axis = words.get(dim.dim_param) or (f"{shape[k]}{NEXT}" if shape else f"{output.name}_{k}")
                dim.dim_param = axis
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.value_info[:]
    read = {output.name for output in graph.output} | set(_reads(graph))
    weights = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    for kept in [each for each in made.opset_import if each.domain == DOMAIN]:
        made.opset_import.remove(kept)
    made.ir_version, made.producer_name, made.producer_version = IR_VERSION, "recurra", ""


def _reads(graph: onnx.GraphProto) -> Iterator[str]:
    """The values that nodes read, those in the bodies of loops as well."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            yield from _reads(attribute.g)


@contextmanager
def quiet() -> Iterator[None]:
    """The libraries advise their caller through the log of the whole program, and by warnings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
