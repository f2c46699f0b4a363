"""Vision-language models: images and phrases in one space. What a score does with their cosines is decided elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH
from torch import Tensor
from torch.nn import functional

from iis_engine.backbones.architectures import build_vision_language, check_open_clip
from iis_engine.backbones.backbone import Backbone, representation_digest
from iis_engine.backbones.batching import Batches
from iis_engine.backbones.checkpoints import fit_weights, load_checkpoint
from iis_engine.backbones.devices import choose_device
from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.errors import ArchitectureError
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import BackboneSpec, VisionLanguageSpec
from iis_engine.vision_language.onnx_towers import image_output, read_text_graph
from iis_engine.vision_language.text_towers import OnnxTextTower, TextTower, TorchTextTower
from iis_engine.vision_language.tokenizers import load_tokenizer

PHRASES_PER_BATCH = 256
_DRY_PHRASES = ["a photo of a small red bird", "stripes"]
_NOT_IN_EMBEDDINGS = (
    *("logit_scale", "logit_bias", "text_decoder"),
    *("input_resolution", "context_length", "vocab_size"),  # numbers that the first CLIP's files keep beside the weights
)


class VisionLanguageModel:
    """Two towers into one space, where the cosine of an image and a phrase says how well they fit; see `load_vision_language_model`.

    Attributes
    ----------
    images : the image tower; its representation is the image's embedding, not normalised
    dimension : e, of both towers' embeddings
    digest : sha256 over both towers' weights, the architecture, the tokenizer, its context length and the preprocessing
    """

    def __init__(self, spec: VisionLanguageSpec, images: Backbone, text: TextTower) -> None:
        self.images = images
        self.dimension = images.num_features
        self._text = text
        self._dry_forward(spec)
        settings = {
            "architecture": spec.architecture,
            "arguments": spec.arguments,
            "tokenizer": text.tokens.name,
            "context_length": text.tokens.context_length,
            "images": images.digest,
        }
        self.digest = representation_digest(text.weights(), settings)

    def embed_text(self, texts: Sequence[str], progress: ProgressCallback = no_progress) -> Tensor:
        """Phrases -> (P, e) float32 unit rows on the CPU; a phrase longer than the context length is cut.

        Raises
        ------
        ArchitectureError
            For a phrase whose embedding is zero or not finite.
        OutOfMemory
            If not even one phrase fits.
        """
        batches = Batches(PHRASES_PER_BATCH, "Not even one phrase fits into memory with this text tower; choose a smaller model.")
        rows, done = [torch.empty(0, self.dimension)], 0
        for batch in batches.each(lambda part: self._text.embed(list(texts[part])), len(texts)):
            rows.append(_unit_rows(batch, texts[done : done + len(batch)]))
            done += len(batch)
            progress(done, len(texts))
        return torch.cat(rows)

    def describe(self) -> dict[str, Any]:
        """What was loaded, as JSON-ready values."""
        image_tower = self.images.describe()
        return {
            "embedding_dimension": self.dimension,
            "context_length": self._text.tokens.context_length,
            "tokenizer": self._text.tokens.name,
            "image_tower": image_tower,
            "parameter_count": image_tower["parameter_count"] + self._text.parameter_count,
            "notes": list(self._text.notes),
        }

    def _dry_forward(self, spec: VisionLanguageSpec) -> None:
        """Two phrases through the text tower, or the sentence why they do not go."""
        embeddings = self._text.embed(_DRY_PHRASES)
        if embeddings.ndim != 2 or len(embeddings) != len(_DRY_PHRASES):
            raise ArchitectureError(
                f"The text tower of {spec.architecture} yields shape {tuple(embeddings.shape)} for {len(_DRY_PHRASES)} phrases; "
                "send one that yields an embedding for each."
            )
        if embeddings.shape[1] != self.dimension:
            raise ArchitectureError(
                f"The towers of {spec.architecture} disagree: images become {self.dimension} numbers and phrases {embeddings.shape[1]}; "
                "send the two towers of one model.",
                code="towers_disagree",
            )
        first, second = _unit_rows(embeddings, _DRY_PHRASES)
        if torch.allclose(first, second, atol=1e-6):
            raise ArchitectureError(
                f"The text tower of {spec.architecture} gives different phrases the same embedding, "
                f"so {self._text.tokens.name} tokens do not fit it; use the tokenizer and the text_cfg that it was trained with.",
                code="tokenizer_misfit",
                param="tokenizer",
            )


def load_vision_language_model(
    spec: VisionLanguageSpec, checkpoint: Path | None, text_checkpoint: Path | None = None, *, device: str = "auto"
) -> VisionLanguageModel:
    """Build both towers that `spec` names and load their weights.

    Parameters
    ----------
    checkpoint : the file with the weights of the whole model (for `onnx`, the image tower), or None when `spec.pretrained` names
        published weights.
    text_checkpoint : for `onnx`, the text tower; else None.
    device : `auto` (a GPU if there is one), `cpu` or `cuda`.

    Raises
    ------
    ArchitectureError
        For an unknown architecture, argument or tag, weights that do not fit, towers that disagree (code `towers_disagree`), a tokenizer
        that cannot be had (`tokenizer_unavailable`) or whose tokens the text tower does not take (`tokenizer_misfit`).
    CheckpointError
        For a file that is not plain, finite weights.
    SettingError
        For a device that this machine does not have.
    """
    family, _, name = spec.architecture.partition(":")
    if family == "onnx" and not name:
        return _load_pair(spec, checkpoint, text_checkpoint, device)
    if family != "open_clip" or not name:
        raise ArchitectureError(
            f"{spec.architecture!r} is no vision-language model; write open_clip:NAME, or onnx for a pair of towers.",
            code="architecture_unknown",
            param="architecture",
        )
    if text_checkpoint is not None or spec.tokenizer is not None:
        raise ArchitectureError(
            f"{spec.architecture} has one checkpoint and its own tokenizer; a text tower's file and a tokenizer go with onnx only.",
            param="tokenizer" if text_checkpoint is None else "text_checkpoint",
        )
    if (checkpoint is None) == (spec.pretrained is None):
        raise ArchitectureError("Send either a checkpoint or a pretrained tag.", param="checkpoint")
    return _load_open_clip(spec, name, checkpoint, device)


def _load_open_clip(spec: VisionLanguageSpec, name: str, checkpoint: Path | None, device: str) -> VisionLanguageModel:
    on = choose_device(device)
    check_open_clip(name, spec.arguments)
    tokens = load_tokenizer(name, _context_length(name, spec.arguments))
    model, image_tower = build_vision_language(spec)
    if checkpoint is not None:
        weights = load_checkpoint(checkpoint)
        if hasattr(model, "text"):
            weights = convert_to_custom_text_state_dict(weights)  # a file of the time when the text tower had no name of its own
        fit_weights(model, weights, architecture=spec.architecture, head=_NOT_IN_EMBEDDINGS)
    del model.visual
    images = TorchBackbone(BackboneSpec(spec.architecture, spec.arguments, spec.pretrained, None, spec.preprocessing), image_tower, on)
    return VisionLanguageModel(spec, images, TorchTextTower(model, tokens, on, spec.architecture))


def _context_length(name: str, arguments: dict[str, Any]) -> int:
    own = cast("dict[str, Any]", open_clip.get_model_config(name))["text_cfg"]
    described = arguments.get("text_cfg", {**own, "context_length": arguments.get("force_context_length", own.get("context_length"))})
    return described.get("context_length") or DEFAULT_CONTEXT_LENGTH


def _load_pair(spec: VisionLanguageSpec, image_file: Path | None, text_file: Path | None, device: str) -> VisionLanguageModel:
    if spec.pretrained is not None:
        raise ArchitectureError("An onnx pair is its two files; it has no pretrained tags.", param="pretrained")
    if image_file is None or text_file is None:
        raise ArchitectureError(
            "An onnx pair is two files: send the image tower as the checkpoint and the text tower beside it.",
            param="checkpoint" if image_file is None else "text_checkpoint",
        )
    graph = read_text_graph(text_file)
    tokens = load_tokenizer(spec.tokenizer, graph.sizes[1])
    image_spec = BackboneSpec("onnx", spec.arguments, layer=image_output(image_file), preprocessing=spec.preprocessing)
    images = load_backbone(image_spec, image_file, device=device)
    return VisionLanguageModel(spec, images, OnnxTextTower(graph, text_file, tokens, choose_device(device)))


def _unit_rows(embeddings: Tensor, texts: Sequence[str]) -> Tensor:
    lengths = embeddings.norm(dim=1)
    for row in (~torch.isfinite(lengths) | (lengths == 0)).nonzero().flatten().tolist()[:1]:
        zero = float(lengths[row]) == 0
        raise ArchitectureError(
            f"The text tower gives the phrase {texts[row][:60]!r} "
            + ("a zero vector, which has no direction" if zero else "values that are not finite")
            + "; send other weights or leave the phrase out.",
            code="embedding_zero" if zero else "representation_not_finite",
        )
    return functional.normalize(embeddings, dim=1)
