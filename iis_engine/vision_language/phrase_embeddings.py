"""Embed phrases and class names with a vision-language model; read and write the embeddings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.vocabularies.cleaning import plain_class_name
from iis_engine.vocabularies.phrases import Phrase

if TYPE_CHECKING:
    from iis_engine.vision_language.model import VisionLanguageModel

CLASS_PROMPTS = ("{}", "a photo of {}", "a photo of a {}")
"""Prompts over which a class's embedding is the mean (prompt ensembling: Radford et al., ICML 2021, section 3.1.4)."""


@dataclass(frozen=True)
class PhraseEmbeddings:
    """Text embeddings of one vision-language model.

    Attributes
    ----------
    vectors : (P, e) float32, unit rows, one per phrase
    class_vectors : (C, e) float32, unit rows, one per class in label order
    """

    phrases: tuple[Phrase, ...]
    vectors: Tensor
    class_names: tuple[str, ...]
    class_vectors: Tensor

    def select(self, indices: Sequence[int]) -> PhraseEmbeddings:
        """Return the phrases at `indices`, with all classes."""
        phrases = tuple(self.phrases[index] for index in indices)
        return PhraseEmbeddings(phrases, self.vectors[list(indices)], self.class_names, self.class_vectors)

    def save(self, path: Path) -> None:
        """Write one safetensors file with the texts in its header."""
        header = {"phrases": [[phrase.text, phrase.group] for phrase in self.phrases], "class_names": list(self.class_names)}
        tensors = {"vectors": self.vectors.contiguous(), "class_vectors": self.class_vectors.contiguous()}
        save_file(tensors, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> PhraseEmbeddings:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["iis"])
            vectors, class_vectors = (file.get_tensor(name) for name in ("vectors", "class_vectors"))
        phrases = tuple(Phrase(text, group) for text, group in header["phrases"])
        return PhraseEmbeddings(phrases, vectors, tuple(header["class_names"]), class_vectors)


def embed_phrases(model: VisionLanguageModel, phrases: Sequence[Phrase], progress: ProgressCallback = no_progress) -> PhraseEmbeddings:
    """Embed each phrase without a prompt; the classes are empty, so that the embeddings of a vocabulary serve every data set.

    Raises
    ------
    ArchitectureError, OutOfMemory
        As in `VisionLanguageModel.embed_text`.
    """
    vectors = model.embed_text([phrase.text for phrase in phrases], progress)
    return PhraseEmbeddings(tuple(phrases), vectors, (), vectors[:0])


def embed_classes(model: VisionLanguageModel, class_names: Sequence[str], progress: ProgressCallback = no_progress) -> PhraseEmbeddings:
    """Embed each class name as the mean over `CLASS_PROMPTS`; the phrases are empty.

    Raises
    ------
    ArchitectureError, OutOfMemory
        As in `VisionLanguageModel.embed_text`.
    """
    prompts = [prompt.format(plain_class_name(name)) for name in class_names for prompt in CLASS_PROMPTS]
    vectors = model.embed_text(prompts, progress)
    by_class = vectors.view(len(class_names), len(CLASS_PROMPTS), vectors.shape[1])
    return PhraseEmbeddings((), vectors[:0], tuple(class_names), normalize(by_class.mean(dim=1), dim=1))


def join(phrases: PhraseEmbeddings, classes: PhraseEmbeddings) -> PhraseEmbeddings:
    """Return the phrases of the first and the classes of the second; both must come from the same model."""
    return PhraseEmbeddings(phrases.phrases, phrases.vectors, classes.class_names, classes.class_vectors)
