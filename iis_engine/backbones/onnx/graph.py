"""Read an ONNX network as a backbone: find its image input and its representation, and cut the graph there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto

from iis_engine.backbones.onnx.model_file import FLOAT_TYPES, count_parameters, read_model, required_inputs, type_name
from iis_engine.errors import ArchitectureError, CheckpointError

_LINEAR = frozenset({"Gemm", "MatMul"})
_QUANTISATION = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""Operators that round a value and change nothing else."""
_AFTER_LINEAR = _QUANTISATION | {
    *("Add", "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Mul", "Div"),
}
_CLASSIFYING = _LINEAR | {"Conv"}
"""Operators that can compute class scores."""
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Identity", "Dropout", "Cast"})
_POOLS = frozenset({"GlobalAveragePool", "ReduceMean", "AveragePool"})
_CONSTANT_STEPS = frozenset({"Transpose", "Identity", "Cast", "DequantizeLinear", "Reshape"})


@dataclass(frozen=True)
class OnnxGraph:
    """A checked graph with the names of its input and its representation.

    Attributes
    ----------
    model : the graph with the outputs `representation` and, unless it is None, `map_candidate`
    input_name, input_type : name and NumPy type of the image input
    sizes : the input's (n, channels, height, width); None for a size that the graph does not fix
    channels_last : whether the input is (n, height, width, channels)
    map_candidate : name of the value whose average pooling is the representation, or None
    notes : what was assumed while the graph was read, one sentence each
    """

    model: ModelProto
    input_name: str
    input_type: str
    sizes: tuple[int | None, int, int | None, int | None]
    channels_last: bool
    representation: str
    map_candidate: str | None
    parameter_count: int
    notes: tuple[str, ...] = ()


def read_graph(path: Path, layer: str | None) -> OnnxGraph:
    """Read a single-file ONNX network and cut it at its representation.

    Parameters
    ----------
    layer : name of a value in the graph; None for the input of the final linear layer

    Raises
    ------
    CheckpointError
        For a file that is not ONNX, is damaged, stores weights in other files, or has weights that are not finite.
    ArchitectureError
        For custom operators, an input that is not one batch of images, an unknown layer, or a network without a final linear layer.
    """
    model = read_model(path)
    graph = model.graph
    input_name, input_type, sizes, channels_last = _image_input(graph, path)
    producers = {name: node for node in graph.node for name in node.output}
    constants = _constants(graph, path)
    representation = _last_linear_input(graph, producers, constants, path) if layer is None else layer
    if representation not in producers:
        similar = [name for name in producers if layer and layer.lower() in name.lower()]
        hint = f"did you mean {', '.join(similar[:4])}?" if similar else f"its outputs are {', '.join(o.name for o in graph.output)}"
        raise ArchitectureError(f"The graph of {path.name} has no value {representation!r} ({hint}).", code="layer_unknown", param="layer")
    candidate = _pooling_input(representation, producers)
    cut = ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:]
    cut.graph.output.extend(onnx.ValueInfoProto(name=name) for name in (representation, candidate) if name is not None)
    notes = () if layer is not None else (_note_on_cut(graph, representation),)
    return OnnxGraph(cut, input_name, input_type, sizes, channels_last, representation, candidate, count_parameters(graph), notes)


def _image_input(graph: GraphProto, path: Path) -> tuple[str, str, tuple[int | None, int, int | None, int | None], bool]:
    inputs = required_inputs(graph)
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ArchitectureError(f"{path.name} must have exactly one input, a batch of images; its inputs are: {names}.")
    tensor = inputs[0].type.tensor_type
    dims = [dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim]
    if tensor.elem_type not in FLOAT_TYPES:
        element_type = type_name(tensor.elem_type)
        raise ArchitectureError(
            f"The input of {path.name} is of type {element_type}; export it with a floating point input (n, channels, height, width)."
        )
    channels_last = len(dims) == 4 and dims[3] in {1, 3} and dims[1] not in {1, 3}
    if channels_last:
        dims = [dims[0], dims[3], dims[1], dims[2]]
    if len(dims) != 4 or dims[1] not in {None, 1, 3}:
        raise ArchitectureError(f"The input of {path.name} must be (n, channels, height, width) with 1 or 3 channels; it is {dims}.")
    return inputs[0].name, FLOAT_TYPES[tensor.elem_type], (dims[0], dims[1] or 3, dims[2], dims[3]), channels_last


def _constants(graph: GraphProto, path: Path) -> set[str]:
    """Return the names of values that do not depend on the input; reject a graph whose nodes are not in topological order."""
    constants = {weights.name for weights in graph.initializer}
    known = constants | {value.name for value in graph.input} | {sparse.values.name for sparse in graph.sparse_initializer}
    for node in graph.node:
        used = [name for name in node.input if name]
        unknown = [name for name in used if name not in known]
        if unknown:
            raise CheckpointError(f"{path.name} uses {unknown[0]!r} before computing it; export the network again.")
        if node.op_type == "Constant" or (node.op_type in _CONSTANT_STEPS and constants.issuperset(used)):
            constants.update(node.output)
        known.update(node.output)
    return constants


def _last_linear_input(graph: GraphProto, producers: dict[str, NodeProto], constants: set[str], path: Path) -> str:
    value = graph.output[0].name
    while (node := producers.get(value)) is not None:
        varying = [name for name in node.input if name and name not in constants]
        if node.op_type in _LINEAR and len(varying) == 1:
            return varying[0]
        if node.op_type not in _AFTER_LINEAR or len(varying) != 1:
            break
        value = varying[0]
    ending = producers[value].op_type if value in producers else "its input"
    proposed = _value_before_head(graph, constants)
    example = "" if proposed is None else f", for example {proposed!r}"
    raise ArchitectureError(
        f"{path.name} ends in {ending}, not in a linear layer; give the name of its representation as the layer{example}.",
        code="layer_unknown",
        param="layer",
    )


def _value_before_head(graph: GraphProto, constants: set[str]) -> str | None:
    """Return the input of the last linear layer or convolution that the first output depends on, or None.

    An output is never proposed: those of a classifier are class scores or labels.
    """
    needed, inputs = {graph.output[0].name}, {value.name for value in graph.input}
    for node in reversed(graph.node):
        if not needed.intersection(node.output):
            continue
        varying = [name for name in node.input if name and name not in constants]
        if node.op_type in _CLASSIFYING and len(varying) == 1 and varying[0] not in inputs:
            return varying[0]
        needed.update(varying)
    return None


def _note_on_cut(graph: GraphProto, representation: str) -> str:
    return (
        f"The last linear layer was taken for the classifier, and its input {representation!r} is the representation; if that layer is a "
        f"projection, name layer={graph.output[0].name} for its output."
    )


def _pooling_input(value: str, producers: dict[str, NodeProto]) -> str | None:
    while (node := producers.get(value)) is not None:
        if node.op_type in _POOLS:
            return node.input[0] if node.input[0] in producers else None
        if node.op_type not in _RESHAPES:
            return None
        value = node.input[0]
    return None
