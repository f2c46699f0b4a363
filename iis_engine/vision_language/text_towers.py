"""Text towers: compute text embeddings from token ids, with torch or onnxruntime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from iis_engine.backbones.checkpoints.weights import weight_bytes
from iis_engine.backbones.onnx.session import OnnxInputError, OnnxSession
from iis_engine.errors import ArchitectureError
from iis_engine.vision_language.onnx_towers import TextGraph
from iis_engine.vision_language.tokenizers import PhraseTokenizer

_NOT_IN_EMBEDDINGS = ("logit_scale", "logit_bias", "text_decoder.")


class TextTower(ABC):
    """Interface of a text tower.

    Attributes
    ----------
    parameter_count : number of values in the tower's weights
    notes : remarks for the user, one sentence each
    """

    tokenizer: PhraseTokenizer
    parameter_count: int
    notes: list[str]

    @abstractmethod
    def embed(self, texts: list[str]) -> Tensor:
        """Compute unnormalised text embeddings (n, e) float32 on the CPU.

        Raises
        ------
        ArchitectureError
            With the code `tokenizer_misfit` if the tower rejects the tokenizer's ids.
        """

    @abstractmethod
    def weights(self) -> Iterable[bytes]:
        """Return the weights as bytes, for a digest."""


class TorchTextTower(TextTower):
    """The text tower of an open_clip model whose image tower was removed."""

    def __init__(self, model: nn.Module, tokenizer: PhraseTokenizer, device: torch.device, title: str) -> None:
        self.tokenizer = tokenizer
        self.notes = []
        self._model = model.eval().requires_grad_(requires_grad=False).to(device)
        self._device = device
        self._title = title
        self._state = {key: values for key, values in sorted(model.state_dict().items()) if not key.startswith(_NOT_IN_EMBEDDINGS)}
        self.parameter_count = sum(values.numel() for values in self._state.values())
        self._vocabulary_size = int(cast(Any, getattr(model, "text", model)).vocab_size)

    def embed(self, texts: list[str]) -> Tensor:
        ids, _ = self.tokenizer(texts)
        largest = int(ids.max())
        if largest >= self._vocabulary_size:  # checked first: on a GPU an id out of range aborts the process
            raise _misfit(
                f"The {self.tokenizer.name} tokenizer has ids up to {largest:,}, but the text tower of {self._title} "
                f"has a vocabulary of {self._vocabulary_size:,}",
                "use a text tower with the vocabulary of its tokenizer",
            )
        with torch.no_grad():
            return cast(Any, self._model).encode_text(ids.to(self._device)).float().cpu()

    def weights(self) -> Iterable[bytes]:
        return (weight_bytes(key, values) for key, values in self._state.items())


class OnnxTextTower(TextTower):
    """A text tower from an ONNX file."""

    def __init__(self, graph: TextGraph, file: Path, tokenizer: PhraseTokenizer, device: torch.device) -> None:
        self.tokenizer = tokenizer
        self._graph = graph
        self._file = file
        self._session = OnnxSession(graph.model, device)
        self.notes = list(self._session.notes)
        self.parameter_count = graph.parameter_count

    def embed(self, texts: list[str]) -> Tensor:
        ids, attention_mask = self.tokenizer(texts)
        inputs = {self._graph.tokens: ids.numpy().astype(self._graph.tokens_type)}
        if self._graph.mask is not None:
            inputs[self._graph.mask] = attention_mask.numpy().astype(self._graph.mask_type)
        try:
            return self._session.run(inputs, self._graph.output, fixed_batch=self._graph.sizes[0])
        except OnnxInputError as error:
            raise _misfit(
                f"The text tower {self._file.name} rejects {self.tokenizer.name} tokens of shape {tuple(ids.shape)} "
                f"with ids up to {int(ids.max()):,} ({error})",
                "give the tokenizer of its training",
            ) from error

    def weights(self) -> Iterable[bytes]:
        return [self._file.read_bytes()]


def _misfit(problem: str, remedy: str) -> ArchitectureError:
    return ArchitectureError(f"{problem}; {remedy}.", code="tokenizer_misfit", param="tokenizer")
