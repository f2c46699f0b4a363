"""Text towers: from token ids to embeddings, by torch or by onnxruntime. How phrases become ids is decided in phrase_tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from iis_engine.backbones.onnx_session import InputRefused, OnnxSession
from iis_engine.backbones.torch_backbone import weight_bytes
from iis_engine.errors import ArchitectureError
from iis_engine.vision_language.onnx_towers import TextGraph
from iis_engine.vision_language.tokenizers import PhraseTokens

_NOT_IN_EMBEDDINGS = ("logit_scale", "logit_bias", "text_decoder.")


class TextTower(ABC):
    """Phrases in, unnormalised text embeddings out.

    Attributes
    ----------
    tokens : the tokenizer
    parameter_count : values in the tower's weights
    notes : what was assumed or could not be done
    """

    tokens: PhraseTokens
    parameter_count: int
    notes: list[str]

    @abstractmethod
    def embed(self, texts: list[str]) -> Tensor:
        """(n, e) float32 on the CPU.

        Raises
        ------
        ArchitectureError
            With the code `tokenizer_misfit` if the tower cannot take the tokenizer's ids.
        """

    @abstractmethod
    def weights(self) -> Iterable[bytes]:
        """The weights as bytes, for a digest."""


class TorchTextTower(TextTower):
    """The text side of an open_clip model, from which the image tower was taken away."""

    def __init__(self, model: nn.Module, tokens: PhraseTokens, device: torch.device, title: str) -> None:
        self.tokens = tokens
        self.notes = []
        self._model = model.eval().requires_grad_(requires_grad=False).to(device)
        self._device = device
        self._title = title
        self._state = {key: values for key, values in sorted(model.state_dict().items()) if not key.startswith(_NOT_IN_EMBEDDINGS)}
        self.parameter_count = sum(values.numel() for values in self._state.values())
        self._vocabulary_size = int(cast(Any, getattr(model, "text", model)).vocab_size)

    def embed(self, texts: list[str]) -> Tensor:
        ids, _ = self.tokens(texts)
        largest = int(ids.max())
        if largest >= self._vocabulary_size:  # asked first: on a GPU an id out of range ends the process
            raise _misfit(
                f"{self.tokens.name} tokens have ids up to {largest:,}, and the text tower of {self._title} "
                f"has a vocabulary of {self._vocabulary_size:,}",
                "make the text tower with the vocabulary of its tokenizer",
            )
        with torch.no_grad():
            return cast(Any, self._model).encode_text(ids.to(self._device)).float().cpu()

    def weights(self) -> Iterable[bytes]:
        return (weight_bytes(key, values) for key, values in self._state.items())


class OnnxTextTower(TextTower):
    """A text tower from an ONNX file."""

    def __init__(self, graph: TextGraph, file: Path, tokens: PhraseTokens, device: torch.device) -> None:
        self.tokens = tokens
        self._graph = graph
        self._file = file
        self._session = OnnxSession(graph.model, device)
        self.notes = list(self._session.notes)
        self.parameter_count = graph.parameter_count

    def embed(self, texts: list[str]) -> Tensor:
        ids, real = self.tokens(texts)
        inputs = {self._graph.tokens: ids.numpy().astype(self._graph.tokens_type)}
        if self._graph.mask is not None:
            inputs[self._graph.mask] = real.numpy().astype(self._graph.mask_type)
        try:
            return self._session.run(inputs, self._graph.output, fixed_batch=self._graph.sizes[0])
        except InputRefused as error:
            raise _misfit(
                f"The text tower {self._file.name} refuses {self.tokens.name} tokens of shape {tuple(ids.shape)} "
                f"with ids up to {int(ids.max()):,} ({error})",
                "name the tokenizer that it was trained with",
            ) from error

    def weights(self) -> Iterable[bytes]:
        return [self._file.read_bytes()]


def _misfit(what: str, instead: str) -> ArchitectureError:
    return ArchitectureError(f"{what}; {instead}.", code="tokenizer_misfit", param="tokenizer")
