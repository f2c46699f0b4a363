"""Between tensors of the protocol and images and predictions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, cast

from app.errors import InvalidInput
from app.inference.models import INPUT, OUTPUTS
from iis_schemas.explanations.predictors import PredictionView
from iis_schemas.fields import MAX_TOP
from iis_schemas.inference import InferenceRequest, RequestInput, ResponseOutput, TensorMetadata

DEFAULT_TOP = 5
NO_CONCEPT = -1
"""Index in the place of a concept where an image has fewer contributing ones than another."""


def requested_top(request: InferenceRequest) -> int:
    """Number of concepts for each image: the parameter `top` of the request.

    Raises
    ------
    InvalidInput
        When it is not a number from 1 to MAX_TOP.
    """
    top = request.parameters.get("top", DEFAULT_TOP)
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= MAX_TOP:
        raise InvalidInput(f"The parameter top must be a whole number from 1 to {MAX_TOP}.", param="parameters.top")
    return top


def images_in(request: InferenceRequest) -> list[bytes]:
    """Content of the image files in the input tensor `image`: BYTES of shape [n] or [n, 1], each element the base64 text of a file.

    Raises
    ------
    InvalidInput
        When there is another tensor, or its type, shape or data do not fit.
    """
    names = [one.name for one in request.inputs]
    if names != [INPUT.name]:
        raise InvalidInput(f"The model takes one input, {INPUT.name}; the request has {', '.join(names)[:200]}.", param="inputs")
    (tensor,) = request.inputs
    if tensor.datatype != INPUT.datatype:
        raise InvalidInput(
            f"The input {INPUT.name} has datatype {INPUT.datatype} (base64 text of image files), not {tensor.datatype[:20]}.",
            param="inputs",
        )
    texts = _flat(tensor)
    if not texts or tensor.shape not in ([len(texts)], [len(texts), 1]):
        raise InvalidInput(
            f"The input {INPUT.name} has shape [n] or [n, 1] for n image files, not {tensor.shape[:8]} with {len(texts)} elements.",
            param="inputs",
        )
    return [_decoded(text, place) for place, text in enumerate(texts)]


def requested_outputs(request: InferenceRequest) -> list[TensorMetadata]:
    """The outputs that a request names, in its order; all where it names none.

    Raises
    ------
    InvalidInput
        For an unknown output, or one that is named twice.
    """
    known = {one.name: one for one in OUTPUTS}
    for one in request.outputs or ():
        if one.name not in known:
            raise InvalidInput(f"The model has no output {one.name[:80]}; its outputs are {', '.join(known)}.", param="outputs")
    names = [one.name for one in request.outputs or ()]
    if len(set(names)) < len(names):
        raise InvalidInput("The request names an output twice; name each once.", param="outputs")
    return list(OUTPUTS) if request.outputs is None else [known[name] for name in names]


def outputs_of(request: InferenceRequest, predictions: Sequence[PredictionView]) -> list[ResponseOutput]:
    """The requested output tensors of one or more predictions."""
    values = _tensors(predictions)
    return [
        ResponseOutput(name=one.name, datatype=one.datatype, shape=values[one.name][0], data=values[one.name][1])
        for one in requested_outputs(request)
    ]


def _tensors(predictions: Sequence[PredictionView]) -> dict[str, tuple[list[int], list[Any]]]:
    """Shape and flat data of each output."""
    n = len(predictions)
    classes = [one.class_ for one in sorted(predictions[0].probabilities, key=lambda one: one.index)]
    t = max(len(one.concepts) for one in predictions)
    shares = [[*one.concepts, *[None] * (t - len(one.concepts))] for one in predictions]
    listed = [share for row in shares for share in row]
    ordered = [sorted(one.probabilities, key=lambda each: each.index) for one in predictions]
    return {
        "label": ([n], [one.class_ for one in predictions]),
        "label_index": ([n], [one.index for one in predictions]),
        "probabilities": ([n, len(classes)], [each.probability for row in ordered for each in row]),
        "class_names": ([len(classes)], classes),
        "concepts": ([n, t], [NO_CONCEPT if share is None else share.concept for share in listed]),
        "concept_names": ([n, t], ["" if share is None or share.label is None else share.label for share in listed]),
        "activations": ([n, t], [0.0 if share is None else share.activation for share in listed]),
        "contributions": ([n, t], [0.0 if share is None else share.contribution for share in listed]),
    }


def _flat(tensor: RequestInput) -> list[Any]:
    rows = [cast("list[Any]", row) if isinstance(row, list) else [row] for row in tensor.data]
    return [element for row in rows for element in row]


def _decoded(text: object, place: int) -> bytes:
    if isinstance(text, str):
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise InvalidInput(f"Element {place} of the input {INPUT.name} is not base64 text of an image file.", param="inputs")
