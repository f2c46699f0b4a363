"""Read a single-file ONNX network; reject custom operators, external data and weights that are not finite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, numpy_helper

from iis_engine.backbones.checkpoints.files import require_finite
from iis_engine.errors import ArchitectureError, CheckpointError

FLOAT_TYPES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16", TensorProto.DOUBLE: "float64"}
"""Floating point element types of ONNX and their NumPy names."""
_STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})


def read_model(path: Path) -> ModelProto:
    """Read a single-file ONNX network whose operators are standard and whose weights are finite.

    Raises
    ------
    CheckpointError
        For a file that is not ONNX, is damaged, stores weights in other files, or has weights that are not finite.
    ArchitectureError
        For custom operators.
    """
    model = _parse(path)
    _check_domains(model, path)
    _check_weights(model.graph, path)
    return model


def count_parameters(graph: GraphProto) -> int:
    """Return the number of values in the graph's weights, those in Constant nodes included."""
    constants = (tensor for _, tensor in _constant_tensors(graph) if tensor.data_type in FLOAT_TYPES and tensor.dims)
    return sum(int(np.prod(weights.dims)) for weights in (*graph.initializer, *constants))


def required_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs without a stored value."""
    stored = {weights.name for weights in graph.initializer}
    return [value for value in graph.input if value.name not in stored]


def type_name(elem_type: int) -> str:
    """Return the name of an ONNX element type in lower case, such as `float16`."""
    return str(cast(Any, TensorProto.DataType).Name(elem_type)).lower()


def _parse(path: Path) -> ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise CheckpointError(f"{path.name} is not a readable ONNX file; export the network again into a single .onnx file.") from error
    for tensor in _all_tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            raise CheckpointError(
                f"{path.name} stores {tensor.name or 'weights'} in another file; save it as a single file, "
                "with onnx.save(model, path, save_as_external_data=False).",
                code="onnx_external_data",
            )
    if not model.graph.node or not model.graph.output:
        raise CheckpointError(f"{path.name} contains no ONNX network; export the network again into a single .onnx file.")
    return model


def _subgraphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from _subgraphs(inner)


def _all_graphs(model: ModelProto) -> Iterator[GraphProto]:
    """Yield every graph of a file, the bodies of functions included, which onnxruntime inlines."""
    yield from _subgraphs(model.graph)
    for function in model.functions:
        yield from _subgraphs(GraphProto(node=function.node))


def _all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    for graph in _all_graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from attribute.tensors
                if attribute.HasField("t"):
                    yield attribute.t
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)


def _check_domains(model: ModelProto, path: Path) -> None:
    own = {function.domain for function in model.functions}
    nodes = [node for graph in _all_graphs(model) for node in graph.node]
    custom = sorted({f"{node.domain}::{node.op_type}" for node in nodes if node.domain not in _STANDARD_DOMAINS | own})
    if custom:
        raise ArchitectureError(
            f"{path.name} uses custom operators ({', '.join(custom[:4])}), which need additional code; export it with standard operators.",
            code="onnx_custom_operator",
        )


def _check_weights(graph: GraphProto, path: Path) -> None:
    for weights in graph.initializer:
        if weights.data_type not in FLOAT_TYPES:
            continue
        values = _to_array(weights)
        if values is None or values.shape != tuple(weights.dims):
            raise CheckpointError(
                f"{path.name} is damaged: the weights {weights.name!r} of shape {list(weights.dims)} do not contain that many values; "
                "export the network again."
            )
        require_finite(weights.name, torch.from_numpy(values), path.name)
    for name, tensor in _constant_tensors(graph):
        values = _to_array(tensor) if tensor.data_type in FLOAT_TYPES else None
        if values is not None and np.isnan(values).any():  # infinite constants mask attention
            raise CheckpointError(
                f"{path.name} has NaN values in the constant {name}; send a network from before training diverged.",
                code="checkpoint_not_finite",
            )


def _constant_tensors(graph: GraphProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield names and tensors of Constant nodes, in which some exporters store weights."""
    for node in graph.node:
        if node.op_type == "Constant":
            yield from ((node.output[0], attribute.t) for attribute in node.attribute if attribute.HasField("t") and node.output)


def _to_array(weights: TensorProto) -> NDArray[Any] | None:
    try:
        return np.array(numpy_helper.to_array(weights))
    except (ValueError, TypeError):
        return None
