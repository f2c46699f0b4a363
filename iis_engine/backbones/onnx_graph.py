"""ONNX files read as graphs: checked, and cut at the representation. Running them is the business of onnx_backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from iis_engine.backbones.checkpoints import refuse_nonfinite
from iis_engine.errors import ArchitectureError, CheckpointError

KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_LINEAR = frozenset({"Gemm", "MatMul"})
_AFTER_LINEAR = frozenset({"Add", "Softmax", "LogSoftmax", "Sigmoid", "Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Mul", "Div"})
_RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Identity", "Dropout", "Cast"})
_POOLS = frozenset({"GlobalAveragePool", "ReduceMean", "AveragePool"})
_CONSTANT_STEPS = frozenset({"Transpose", "Identity", "Cast", "DequantizeLinear", "Reshape"})
_FLOATS: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16", TensorProto.DOUBLE: "float64"}


@dataclass(frozen=True)
class OnnxGraph:
    """A checked graph, with the names of the values that matter.

    Attributes
    ----------
    model : the graph whose outputs are now `representation` and, if there is one, `map_candidate`
    sizes : the input's (n, channels, height, width), None where the graph leaves it open
    channels_last : whether the input is (n, height, width, channels)
    map_candidate : the value that an average pooling turns into the representation
    """

    model: ModelProto
    input_name: str
    input_type: str
    sizes: tuple[int | None, int, int | None, int | None]
    channels_last: bool
    representation: str
    map_candidate: str | None
    parameter_count: int


def read_graph(path: Path, layer: str | None) -> OnnxGraph:
    """Read a single-file ONNX network and cut it at its representation.

    Parameters
    ----------
    layer : the name of a value in the graph; None for the input of the linear layer that ends the network.

    Raises
    ------
    CheckpointError
        For a file that is not ONNX, is damaged, keeps weights in other files, or holds weights that are not finite.
    ArchitectureError
        For custom operators, an input that is not one batch of images, an unknown layer, or no linear layer at the end.
    """
    model = read_model(path)
    graph = model.graph
    input_name, input_type, sizes, channels_last = _image_input(graph, path)
    producers = {name: node for node in graph.node for name in node.output}
    constants = _constants(graph, path)
    representation = _last_linear_input(graph, producers, constants, path) if layer is None else layer
    if representation not in producers:
        close = [name for name in producers if layer and layer.lower() in name.lower()]
        hint = f" Near it: {', '.join(close[:4])}." if close else f" Its outputs are {', '.join(o.name for o in graph.output)}."
        raise ArchitectureError(
            f"The graph of {path.name} computes no value {representation!r}.{hint}", code="layer_unknown", param="layer"
        )
    candidate = _before_pooling(representation, producers)
    cut = ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:]
    cut.graph.output.extend(onnx.ValueInfoProto(name=name) for name in (representation, candidate) if name is not None)
    return OnnxGraph(cut, input_name, input_type, sizes, channels_last, representation, candidate, count_parameters(graph))


def read_model(path: Path) -> ModelProto:
    """Read a single-file ONNX network whose operators are standard and whose weights are finite.

    Raises
    ------
    CheckpointError
        For a file that is not ONNX, is damaged, keeps weights in other files, or holds weights that are not finite.
    ArchitectureError
        For custom operators.
    """
    model = _parse(path)
    _check_domains(model, path)
    _check_weights(model.graph, path)
    return model


def count_parameters(graph: GraphProto) -> int:
    """The number of values that the graph stores."""
    return sum(int(np.prod(weights.dims)) for weights in graph.initializer)


def given_inputs(graph: GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller gives: those that the graph stores no value for."""
    stored = {weights.name for weights in graph.initializer}
    return [value for value in graph.input if value.name not in stored]


def type_name(elem_type: int) -> str:
    """An ONNX element type in lower case, as `float16`."""
    return str(cast(Any, TensorProto.DataType).Name(elem_type)).lower()


def _parse(path: Path) -> ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path.name} is not a readable ONNX file; export the network again into a single .onnx file.") from error
    for tensor in _all_tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            raise CheckpointError(
                f"{path.name} keeps {tensor.name or 'weights'} in another file; save it as a single file, "
                "with onnx.save(model, path, save_as_external_data=False).",
                code="onnx_external_data",
            )
    if not model.graph.node or not model.graph.output:
        raise CheckpointError(f"{path.name} holds no ONNX network; export the network again into a single .onnx file.")
    return model


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(inner)


def _whole(model: ModelProto) -> Iterator[GraphProto]:
    """Every graph of a file: functions, which onnxruntime puts where they are called, as graphs without a name."""
    yield from _graphs(model.graph)
    for function in model.functions:
        yield from _graphs(GraphProto(node=function.node))


def _all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    for part in _whole(model):
        yield from part.initializer
        for sparse in part.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in part.node:
            for attribute in node.attribute:
                yield from attribute.tensors
                if attribute.HasField("t"):
                    yield attribute.t
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)


def _check_domains(model: ModelProto, path: Path) -> None:
    own = {function.domain for function in model.functions}
    nodes = [node for part in _whole(model) for node in part.node]
    custom = sorted({f"{node.domain}::{node.op_type}" for node in nodes if node.domain not in KNOWN_DOMAINS | own})
    if custom:
        raise ArchitectureError(
            f"{path.name} uses custom operators ({', '.join(custom[:4])}), which need code of their own; "
            "export it with standard operators.",
            code="onnx_custom_operator",
        )


def _check_weights(graph: GraphProto, path: Path) -> None:
    for weights in graph.initializer:
        if weights.data_type not in _FLOATS:
            continue
        values = _values(weights)
        if values is None or values.shape != tuple(weights.dims):
            raise CheckpointError(
                f"{path.name} is damaged: the weights {weights.name!r} of shape {list(weights.dims)} do not hold that many values; "
                "export the network again."
            )
        refuse_nonfinite(weights.name, torch.from_numpy(values), path.name)


def _values(weights: TensorProto) -> NDArray[Any] | None:
    try:
        return np.array(numpy_helper.to_array(weights))
    except (ValueError, TypeError):
        return None


def _image_input(graph: GraphProto, path: Path) -> tuple[str, str, tuple[int | None, int, int | None, int | None], bool]:
    inputs = given_inputs(graph)
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ArchitectureError(f"{path.name} must have one input, a batch of images; its inputs are: {names}.")
    tensor = inputs[0].type.tensor_type
    dims = [dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim]
    if tensor.elem_type not in _FLOATS:
        kind = type_name(tensor.elem_type)
        raise ArchitectureError(f"{path.name} takes {kind} images; export it with a floating point input (n, channels, height, width).")
    channels_last = len(dims) == 4 and dims[3] in {1, 3} and dims[1] not in {1, 3}
    if channels_last:
        dims = [dims[0], dims[3], dims[1], dims[2]]
    if len(dims) != 4 or dims[1] not in {None, 1, 3}:
        raise ArchitectureError(f"{path.name} must take images (n, channels, height, width) of 1 or 3 channels; its input is {dims}.")
    return inputs[0].name, _FLOATS[tensor.elem_type], (dims[0], dims[1] or 3, dims[2], dims[3]), channels_last


def _constants(graph: GraphProto, path: Path) -> set[str]:
    """The values that no image changes. On the way: each node must use only what is there before it, so that no walk goes in circles."""
    constants = {weights.name for weights in graph.initializer}
    known = constants | {value.name for value in graph.input} | {sparse.values.name for sparse in graph.sparse_initializer}
    for node in graph.node:
        given = [name for name in node.input if name]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise CheckpointError(f"{path.name} uses {unknown[0]!r} before it computes it; export the network again.")
        if node.op_type == "Constant" or (node.op_type in _CONSTANT_STEPS and constants.issuperset(given)):
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
    raise ArchitectureError(
        f"{path.name} ends in {ending}, not in a linear layer; name the value that is its representation as the layer, "
        f"for example {graph.output[0].name!r}.",
        code="layer_unknown",
        param="layer",
    )


def _before_pooling(value: str, producers: dict[str, NodeProto]) -> str | None:
    while (node := producers.get(value)) is not None:
        if node.op_type in _POOLS:
            return node.input[0] if node.input[0] in producers else None
        if node.op_type not in _RESHAPES:
            return None
        value = node.input[0]
    return None
