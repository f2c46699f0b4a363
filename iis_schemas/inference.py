"""Requests and answers of the Open Inference Protocol in its REST form, as far as predictors serve it.

Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Datatype = Literal["BYTES", "INT64", "FP64"]
"""Data types of the protocol that are used here."""
Parameters = dict[str, str | int | float | bool]
MAX_TENSORS = 8
"""Inputs, or outputs, that a request may name."""
MAX_ELEMENTS = 1000
"""Elements, or rows, that an input tensor may have."""


class TensorMetadata(BaseModel):
    """A tensor without data; -1 is a dimension of any size."""

    name: str
    datatype: Datatype
    shape: list[int]


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str] = []


class ModelMetadata(BaseModel):
    """A model, its versions and its tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(BaseModel):
    """Whether a model answers requests."""

    name: str
    ready: bool = True


class ServerLive(BaseModel):
    """Liveness of the server."""

    live: bool = True


class ServerReady(ServerLive):
    """Readiness of the server. The text of the protocol has `live` here, the servers that implement it `ready`."""

    ready: bool = True


class RequestInput(BaseModel):
    """An input tensor; its data in rows or flat."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] = Field(max_length=MAX_ELEMENTS)


class RequestOutput(BaseModel):
    """An output tensor that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferenceRequest(BaseModel):
    """Input tensors, and the names of the outputs that are asked for; without names all."""

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[RequestInput] = Field(min_length=1, max_length=MAX_TENSORS)
    outputs: list[RequestOutput] | None = Field(default=None, max_length=MAX_TENSORS)


class ResponseOutput(TensorMetadata):
    """An output tensor with its data, flat in row-major order."""

    data: list[str] | list[int] | list[float]


class InferenceResponse(BaseModel):
    """Output tensors; `id` is that of the request."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseOutput]


class InferenceError(BaseModel):
    """A refusal, in one sentence."""

    error: str
