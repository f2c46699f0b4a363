"""Malicious ONNX files: weights in other files, custom operators, absurd shapes, endless loops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from torture.hostile_samples import EITHER, KILLED, MODEL, REFUSED, Sample, Samples

OUTSIDE = ("/etc/passwd", "../../../../../../etc/passwd", "file:///etc/passwd", "\0/etc/passwd")
NESTING = 5_000
CHAIN_LENGTH = 100_000
LOOP_COUNT = (1 << 63) - 1


def graphs(folder: Path, *, bombs: bool) -> Samples:
    """Malicious ONNX graphs; those that take seconds only if `bombs`."""
    makers = {**_REFUSED, **_EITHER, **_ENDLESS}
    for name, make in makers.items():
        if name in _BOMBS and not bombs:
            continue
        path = folder / f"{name.replace(' ', '-')}.onnx"
        content = make()
        path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
        expected = REFUSED if name in _REFUSED else EITHER if name in _EITHER else KILLED
        message_part = next((part for beginning, part in _MESSAGE_PARTS.items() if name.startswith(beginning)), "")
        request = {"architecture": "onnx", "preprocessing": {}}
        yield Sample(name, path, MODEL, expected, request, message_part)


def _network(nodes: list[NodeProto], weights: list[TensorProto], *, domains: tuple[str, ...] = ()) -> ModelProto:
    """A network that passes validation (its last layer is linear), with malicious nodes that read x and write y before that."""
    linear = numpy_helper.from_array(np.ones((12, 2), np.float32), "linear")
    nodes = [*nodes, helper.make_node("Flatten", ["y"], ["flat"]), helper.make_node("MatMul", ["flat", "linear"], ["scores"])]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 2, 2])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "hostile", [image], [scores], [linear, *weights])
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _identity() -> list[NodeProto]:
    return [helper.make_node("Identity", ["x"], ["y"])]


def _added(weight: TensorProto) -> ModelProto:
    return _network([helper.make_node("Add", ["x", weight.name], ["y"])], [weight])


def _external(location: str, *, length: int = 48) -> TensorProto:
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[3, 2, 2], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _external_in_function() -> ModelProto:
    constant = helper.make_node("Constant", [], ["c"], value=_external("/etc/passwd"))
    body = [constant, helper.make_node("Add", ["a", "c"], ["b"])]
    model = _network([helper.make_node("F", ["x"], ["y"], domain="own")], [], domains=("own",))
    model.functions.append(helper.make_function("own", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    return model


def _recursive_function() -> ModelProto:
    model = _network([helper.make_node("F", ["x"], ["y"], domain="own")], [], domains=("own",))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    body = [helper.make_node("F", ["a"], ["b"], domain="own")]
    model.functions.append(helper.make_function("own", "F", ["a"], ["b"], body, opsets))
    return model


def _int64(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def _scalar(name: str, value: object, kind: type) -> TensorProto:
    return numpy_helper.from_array(np.array(value, kind), name)


def _filled(*shape: int) -> ModelProto:
    """A tensor of zeros of any shape."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return _network(nodes, [_int64("shape", *shape)])


def _expanded() -> ModelProto:
    nodes = [
        helper.make_node("Expand", ["x", "shape"], ["huge"]),
        helper.make_node("ReduceMean", ["huge"], ["small"], axes=[0], keepdims=0),
        helper.make_node("Add", ["x", "small"], ["y"]),
    ]
    return _network(nodes, [_int64("shape", 100_000, 100_000, 1, 1, 1, 1)])


def _resized() -> ModelProto:
    sizes = numpy_helper.from_array(np.array([1, 1, 100_000, 100_000], np.float32), "scales")
    nodes = [
        helper.make_node("Resize", ["x", "", "scales"], ["huge"], mode="nearest"),
        helper.make_node("GlobalMaxPool", ["huge"], ["one"]),
    ]
    return _network([*nodes, helper.make_node("Add", ["x", "one"], ["y"])], [sizes])


def _body(*, condition: str) -> GraphProto:
    bool_, int_, float_ = TensorProto.BOOL, TensorProto.INT64, TensorProto.FLOAT
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Identity", ["going"], [condition]), helper.make_node("Sin", ["before"], ["after"])]
    inputs = [value("turn", int_, []), value("going", bool_, []), value("before", float_, None)]
    return helper.make_graph(nodes, "body", inputs, [value(condition, bool_, []), value("after", float_, None)])


def _endless() -> ModelProto:
    loop = helper.make_node("Loop", ["turns", "true", "x"], ["y"], body=_body(condition="more"))
    return _network([loop], [_scalar("turns", LOOP_COUNT, np.int64), _scalar("true", True, np.bool_)])


def _nested_branches() -> ModelProto:
    """`If` nodes nested 13 deep, with two branches each."""
    value = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["out"])], "leaf", [], [value])
    for _ in range(12):
        node = helper.make_node("If", ["true"], ["out"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "branch", [], [value])
    outer = helper.make_node("If", ["true"], ["y"], then_branch=graph, else_branch=graph)
    return _network([outer], [_scalar("true", True, np.bool_)])


def _nested_bytes() -> bytes:
    """Protobuf messages nested deeper than a stack."""
    content = b""
    for _ in range(NESTING):
        size, length = len(content), b""
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        content = b"\x32" + length + bytes([size]) + content  # AttributeProto.g, GraphProto.node and so on share the wire type
    return b"\x3a" + content[:1] + content


def _chain() -> ModelProto:
    nodes = [helper.make_node("Identity", ["x" if n == 0 else f"v{n}"], [f"v{n + 1}"]) for n in range(CHAIN_LENGTH)]
    return _network([*nodes, helper.make_node("Identity", [f"v{CHAIN_LENGTH}"], ["y"])], [])


def _cycle() -> ModelProto:
    return _network([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Add", ["a", "x"], ["b"]), *_identity()], [])


def _weights_of(dims: list[int], content: bytes) -> ModelProto:
    return _added(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=content))


def _names_with_markup() -> ModelProto:
    model = _network([helper.make_node("Identity", ["x"], ["<script>\u202e\x1b[2J"]), helper.make_node("Identity", ["x"], ["y"])], [])
    model.producer_name = "<b>" * 1000
    return model


_REFUSED: dict[str, Callable[[], ModelProto | bytes]] = {
    **{f"weights in another file {number}": (lambda place=place: _added(_external(place))) for number, place in enumerate(OUTSIDE)},
    "weights in another file within a function": _external_in_function,
    "custom operator": lambda: _network([helper.make_node("Evil", ["x"], ["y"], domain="evil")], [], domains=("evil",)),
    "unknown operator": lambda: _network([helper.make_node("Evil", ["x"], ["y"])], []),
    "python operator": lambda: _network(
        [helper.make_node("PyOp", ["x"], ["y"], domain="ai.onnx.contrib")], [], domains=("ai.onnx.contrib",)
    ),
    "function that calls itself": _recursive_function,
    "exabytes of zeros": lambda: _filled(1 << 30, 1 << 30),
    "negative shape": lambda: _filled(-5, 4),
    "weights of another shape": lambda: _weights_of([1 << 40, 1 << 40], bytes(48)),
    "weights of negative shape": lambda: _weights_of([-3, 2, 2], bytes(48)),
    "weights without numbers": lambda: _weights_of([3, 2, 2], b""),
    "deeply nested messages": _nested_bytes,
    "cyclic values": _cycle,
    "noise": lambda: bytes(range(256)) * 100,
    "zero bytes": lambda: b"",
    "an empty graph": lambda: ModelProto(ir_version=8),
}
_EITHER: dict[str, Callable[[], ModelProto | bytes]] = {
    "gigabytes of zeros": lambda: _filled(40_000, 40_000),
    "expanded to gigabytes": _expanded,
    "resized to gigabytes": _resized,
    "nested branches": _nested_branches,
    "a hundred thousand nodes": _chain,
    "names with markup": _names_with_markup,
}
_ENDLESS: dict[str, Callable[[], ModelProto | bytes]] = {"a loop that never ends": _endless}
_MESSAGE_PARTS = {
    "weights in another file": "save it as a single file",
    "custom operator": "standard operators",
    "python operator": "custom",
}
_BOMBS = {"gigabytes of zeros", "expanded to gigabytes", "resized to gigabytes", "a hundred thousand nodes", "nested branches"}
