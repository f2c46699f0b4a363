"""Export of a predictor as an ONNX graph with the same outputs as `Predictor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from iis_engine.libraries.library import RELATIVE_NOISE
from iis_engine.scoring.predictor import Predictor

FORMAT = "iis-predictor-onnx/2"
MULTI_LABEL_FORMAT = "iis-predictor-onnx/3"
OPSET = 17
IR_VERSION = 8


def export_onnx(predictor: Predictor, path: Path) -> None:
    """Write the graph from `features` (n, d) float32 to `logits`, `probabilities`, `label` and `activations`.

    The graph computes in float64 where the predictor does: logits and probabilities (n, C) are float64, labels (n,) int64 are equal, and
    activations (n, M) are float32 and sparse. Of multi-label data the probabilities are of each label, and `label` is the most probable
    one. Metadata: docs/predictors.md.
    """
    onnx.save(predictor_model(predictor), path)


def predictor_model(predictor: Predictor, listed: int = 0) -> onnx.ModelProto:
    """The graph of `export_onnx`.

    Parameters
    ----------
    listed : number t of concepts of largest contribution to the predicted class; above 0 there are two more outputs, `concepts` (n, t)
        int64 and `contributions` (n, t) float64
    """
    graph = _Graph()
    exact = graph.add("Cast", "features", to=TensorProto.DOUBLE)
    centred = _centred(graph, predictor, exact)
    blocks = [_activations(graph, predictor, centred, block) for block in predictor.library.blocks()]
    dense = graph.add("Cast", graph.add("Concat", *blocks, axis=1), to=TensorProto.FLOAT)
    _keep_largest(graph, dense, predictor.kept)
    _head(graph, predictor)
    if listed:
        _contributions(graph, predictor, listed)
    return _model(graph, predictor, listed)


class _Graph:
    """Nodes and constants of a graph, in order."""

    def __init__(self) -> None:
        self.nodes = list[NodeProto]()
        self.constants = list[TensorProto]()

    def add(self, operator: str, *inputs: str, to_output: str | None = None, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; returns the name of its last output."""
        name = f"{operator}_{len(self.nodes)}"
        names = [to_output or (name if i == outputs - 1 else f"{name}_{i}") for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, name=name, **attributes))
        return names[-1]

    def constant(self, values: NDArray[Any] | float) -> str:
        """Add a constant, float64 for a plain number; returns its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name


def _centred(graph: _Graph, predictor: Predictor, features: str) -> str:
    """f(x) - μ; differences that are rounding beside the values become zero, as in `ConceptLibrary.centred`."""
    if (centre := predictor.library.centre) is None:
        return features
    difference = graph.add("Sub", features, graph.constant(centre.unsqueeze(0).numpy()))
    noise = graph.constant((RELATIVE_NOISE * centre.abs()).unsqueeze(0).numpy())
    return graph.add("Where", graph.add("Greater", graph.add("Abs", difference), noise), difference, graph.constant(0.0))


def _activations(graph: _Graph, predictor: Predictor, centred: str, block: slice) -> str:
    """g_𝒞 of one block of concepts, float64."""
    library = predictor.library
    values = graph.add("MatMul", centred, graph.constant(library.vectors[block].double().T.contiguous().numpy()))
    if library.has_layer_norm(block):
        values = _standardised_rows(graph, values)
    if (moments := library.moments(block)) is None:
        return values
    means, deviations = (moment.unsqueeze(0).numpy() for moment in moments)
    divisors = np.maximum(deviations, np.finfo(np.float64).tiny)
    divided = graph.add("Div", graph.add("Sub", values, graph.constant(means)), graph.constant(divisors))
    return graph.add("Where", graph.constant(deviations > 0), divided, graph.constant(0.0))


def _standardised_rows(graph: _Graph, raw: str) -> str:
    centred = graph.add("Sub", raw, graph.add("ReduceMean", raw, axes=[1]))
    spread = graph.add("Sqrt", graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[1]))
    noise = graph.add("Mul", graph.add("ReduceMax", graph.add("Abs", raw), axes=[1]), graph.constant(RELATIVE_NOISE))
    return graph.add("Where", graph.add("Greater", spread, noise), graph.add("Div", centred, spread), graph.constant(0.0))


def _keep_largest(graph: _Graph, dense: str, kept: int) -> None:
    """g_s; TopK breaks ties by the lower index, as `sparsify` does."""
    places = graph.add("TopK", graph.add("Abs", dense), graph.constant(np.array([kept])), outputs=2, axis=1)
    zeros = graph.add("ConstantOfShape", graph.add("Shape", dense), value=numpy_helper.from_array(np.zeros(1, np.float32)))
    strongest = graph.add("GatherElements", dense, places, axis=1)
    graph.add("ScatterElements", zeros, places, strongest, axis=1, to_output="activations")


def _head(graph: _Graph, predictor: Predictor) -> None:
    weights, bias = graph.constant(predictor.weights.numpy()), graph.constant(predictor.bias.numpy())
    product = graph.add("MatMul", graph.add("Cast", "activations", to=TensorProto.DOUBLE), weights)
    graph.add("Add", product, bias, to_output="logits")
    if predictor.is_multi_label:
        graph.add("Sigmoid", "logits", to_output="probabilities")
    else:
        graph.add("Softmax", "logits", axis=1, to_output="probabilities")
    graph.add("ArgMax", "logits", axis=1, keepdims=0, to_output="label")


def _contributions(graph: _Graph, predictor: Predictor, listed: int) -> None:
    """Weight times activation of the predicted class, of largest magnitude first."""
    weights = graph.add("Gather", graph.constant(predictor.weights.T.contiguous().numpy()), "label", axis=0)
    shares = graph.add("Mul", weights, graph.add("Cast", "activations", to=TensorProto.DOUBLE))
    places = graph.add("TopK", graph.add("Abs", shares), graph.constant(np.array([listed])), outputs=2, axis=1)
    graph.add("Identity", places, to_output="concepts")
    graph.add("GatherElements", shares, places, axis=1, to_output="contributions")


def _model(graph: _Graph, predictor: Predictor, listed: int) -> onnx.ModelProto:
    classes, concepts = len(predictor.class_names), len(predictor.library)
    shapes: dict[str, tuple[int, list[str | int]]] = {
        "logits": (TensorProto.DOUBLE, ["n", classes]),
        "probabilities": (TensorProto.DOUBLE, ["n", classes]),
        "label": (TensorProto.INT64, ["n"]),
        "activations": (TensorProto.FLOAT, ["n", concepts]),
    }
    if listed:
        shapes |= {"concepts": (TensorProto.INT64, ["n", listed]), "contributions": (TensorProto.DOUBLE, ["n", listed])}
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", predictor.num_features])
    outputs = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in shapes.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "predictor", [features], outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="iis_engine",
    )
    names = {"class_names": list(predictor.class_names), "concept_names": list(predictor.concept_names)}
    form = MULTI_LABEL_FORMAT if predictor.is_multi_label else FORMAT
    texts = {"format": form, "kept": str(predictor.kept)} | {name: json.dumps(value) for name, value in names.items()}
    helper.set_model_props(model, texts)
    onnx.checker.check_model(model, full_check=True)
    return model
