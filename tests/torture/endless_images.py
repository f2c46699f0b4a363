"""An ONNX network that loops without end on a white image, and behaves on all others."""

from __future__ import annotations

import io

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from torture.work import CLASSES

SIDE_PIXELS = 32
CHANNELS = 8
LOOP_COUNT = (1 << 63) - 1
WHITE = 0.95
REQUEST = {"architecture": "onnx", "preprocessing": {"input_size": SIDE_PIXELS, "mean": [0, 0, 0], "std": [1, 1, 1]}}


def network() -> bytes:
    """The file of the network: convolution, loop while the image is white, mean over places, linear layer."""
    generator = np.random.default_rng(0)
    weights = {
        "filters": generator.normal(size=(CHANNELS, 3, 4, 4)).astype(np.float32),
        "linear": generator.normal(size=(CHANNELS, len(CLASSES))).astype(np.float32),
        "white": np.array(WHITE, np.float32),
        "turns": np.array(LOOP_COUNT, np.int64),
    }
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["more"]), helper.make_node("Sin", ["before"], ["after"])],
        "body",
        [value("turn", TensorProto.INT64, []), value("going", TensorProto.BOOL, []), value("before", TensorProto.FLOAT, None)],
        [value("more", TensorProto.BOOL, []), value("after", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("ReduceMin", ["x"], ["darkest"], keepdims=0),
        helper.make_node("Greater", ["darkest", "white"], ["is_white"]),
        helper.make_node("Conv", ["x", "filters"], ["map"], strides=[4, 4]),
        helper.make_node("Relu", ["map"], ["active"]),
        helper.make_node("Loop", ["turns", "is_white", "active"], ["looped"], body=body),
        helper.make_node("ReduceMean", ["looped"], ["pooled"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["pooled", "linear"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "endless on white",
        [value("x", TensorProto.FLOAT, ["n", 3, SIDE_PIXELS, SIDE_PIXELS])],
        [value("scores", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def white_image() -> bytes:
    """A PNG on which the network does not end."""
    png = io.BytesIO()
    Image.new("RGB", (SIDE_PIXELS, SIDE_PIXELS), (255, 255, 255)).save(png, "PNG")
    return png.getvalue()
