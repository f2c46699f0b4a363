"""Find the token inputs and the embedding output of the ONNX towers of a vision-language model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from iis_engine.backbones.onnx.model_file import count_parameters, read_model, required_inputs, type_name
from iis_engine.errors import ArchitectureError

_INTEGERS: dict[int, str] = {TensorProto.INT32: "int32", TensorProto.INT64: "int64"}
_EMBEDDING_WORDS = ("embed", "feature")
_TOKENS = "of shape (n, context length) and type int32 or int64"


@dataclass(frozen=True)
class TextGraph:
    """A checked graph from tokens to text embeddings.

    Attributes
    ----------
    tokens, tokens_type : name and NumPy type of the token input (n, context length)
    mask, mask_type : name and NumPy type of the attention mask, 1 at tokens and 0 at padding; None and "" without one
    sizes : n and the context length; None for a size that the graph does not fix
    output : name of the embedding output (n, e)
    """

    model: ModelProto
    tokens: str
    tokens_type: str
    mask: str | None
    mask_type: str
    sizes: tuple[int | None, int | None]
    output: str
    parameter_count: int


def image_embedding_output(path: Path) -> str:
    """Return the name of the embedding output (n, e) of an image tower.

    Raises
    ------
    CheckpointError, ArchitectureError
        As in `read_text_graph`.
    """
    return _embedding_output(read_model(path).graph, path, "image")


def read_text_graph(path: Path) -> TextGraph:
    """Read a text tower with a token input, optionally an input with "mask" in its name, and one embedding per row.

    Raises
    ------
    CheckpointError
        For a file that is not ONNX, is damaged, stores weights in other files, or has weights that are not finite.
    ArchitectureError
        For custom operators, other inputs, or several outputs without a name that identifies the embedding.
    """
    model = read_model(path)
    inputs = required_inputs(model.graph)
    masks = [value for value in inputs if "mask" in value.name.lower()]
    tokens = [value for value in inputs if value not in masks]
    if len(tokens) != 1 or len(masks) > 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ArchitectureError(
            f"The text tower {path.name} must have one input of tokens, {_TOKENS}, and optionally an attention mask; "
            f"its inputs are: {names}."
        )
    for value in (*tokens, *masks):
        tensor = value.type.tensor_type
        if tensor.elem_type not in _INTEGERS or (tensor.HasField("shape") and len(tensor.shape.dim) != 2):
            raise ArchitectureError(
                f"The input {value.name!r} of the text tower {path.name} must be {_TOKENS}; "
                f"it is {type_name(tensor.elem_type)} of {len(tensor.shape.dim)} dimensions."
            )
    dims = [dim.dim_value if dim.dim_value > 0 else None for dim in tokens[0].type.tensor_type.shape.dim] or [None, None]
    return TextGraph(
        model,
        tokens[0].name,
        _INTEGERS[tokens[0].type.tensor_type.elem_type],
        masks[0].name if masks else None,
        _INTEGERS[masks[0].type.tensor_type.elem_type] if masks else "",
        (dims[0], dims[1]),
        _embedding_output(model.graph, path, "text"),
        count_parameters(model.graph),
    )


def _embedding_output(graph: GraphProto, path: Path, tower: str) -> str:
    """Return the only output; of several, the one (n, e) with "embed" or "feature" in its name, or else with the tower's name too."""
    matrices = [value.name for value in graph.output if _rank(value) in {2, None}]
    named = [name for name in matrices if any(word in name.lower() for word in _EMBEDDING_WORDS)]
    own = [name for name in named if tower in name.lower()]
    chosen = next((names for names in (matrices if len(graph.output) == 1 else [], named, own) if len(names) == 1), None)
    if chosen is None:
        outputs = ", ".join(f"{value.name} ({_rank(value) or 'unknown'} dimensions)" for value in graph.output)
        raise ArchitectureError(
            f"The {tower} tower {path.name} must have one output, the embeddings (n, e); its outputs are: {outputs}. "
            f"Export it with that output alone, or name it {tower}_embeds."
        )
    return chosen[0]


def _rank(value: ValueInfoProto) -> int | None:
    tensor = value.type.tensor_type
    return len(tensor.shape.dim) if tensor.HasField("shape") else None
