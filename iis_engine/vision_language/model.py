"""Load a vision-language model (open_clip, or a pair of ONNX files) and embed phrases with it."""

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

from iis_engine.backbones.backbone import Backbone, representation_digest
from iis_engine.backbones.batching import Batches
from iis_engine.backbones.checkpoints.files import load_checkpoint
from iis_engine.backbones.checkpoints.weights import fit_weights
from iis_engine.backbones.devices import choose_device
from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.open_clip_networks import build_vision_language, check_open_clip
from iis_engine.backbones.open_clip_weights import without_openai_numbers
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.errors import ArchitectureError
from iis_engine.notes import Notes
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import BackboneSpec, VisionLanguageSpec
from iis_engine.vision_language.onnx_towers import image_embedding_output, read_text_graph
from iis_engine.vision_language.text_towers import OnnxTextTower, TextTower, TorchTextTower
from iis_engine.vision_language.tokenizers import load_tokenizer

_PHRASES_PER_BATCH = 256
_DRY_RUN_PHRASES = ["a photo of a small red bird", "stripes"]
_NOT_IN_EMBEDDINGS = ("logit_scale", "logit_bias", "text_decoder")


class VisionLanguageModel:
    """An image tower and a text tower with a common embedding space; see `load_vision_language_model`.

    The cosine of an image embedding and a text embedding is their similarity, P in METHOD §2.

    Attributes
    ----------
    images : the image tower; its representation is the unnormalised image embedding
    dimension : e, the dimension of both towers' embeddings
    digest : sha256 over both towers' weights, the architecture, the tokenizer, its context length and the preprocessing
    notes : what was assumed, chosen, converted or left out while both towers were read, one sentence each
    """

    def __init__(self, spec: VisionLanguageSpec, images: Backbone, text: TextTower) -> None:
        self.images = images
        self.dimension = images.num_features
        self._text = text
        self.notes = Notes((*images.notes, *text.notes)).sentences
        self._dry_run(spec)
        settings = {
            "architecture": spec.architecture,
            "arguments": spec.arguments,
            "tokenizer": text.tokenizer.name,
            "context_length": text.tokenizer.context_length,
            "images": images.digest,
        }
        self.digest = representation_digest(text.weights(), settings)

    def embed_text(self, texts: Sequence[str], progress: ProgressCallback = no_progress) -> Tensor:
        """Embed phrases -> (P, e) float32 unit rows on the CPU; phrases longer than the context length are truncated.

        Parameters
        ----------
        progress : called with (phrases done, phrases)

        Raises
        ------
        ArchitectureError
            For a phrase whose embedding is zero or not finite.
        OutOfMemory
            If not even one phrase fits into memory.
        """
        batches = Batches(_PHRASES_PER_BATCH, "Not even one phrase fits into memory with this text tower; choose a smaller model.")
        rows, done = [torch.empty(0, self.dimension)], 0
        for batch in batches.each(lambda part: self._text.embed(list(texts[part])), len(texts)):
            rows.append(_unit_rows(batch, texts[done : done + len(batch)]))
            done += len(batch)
            progress(done, len(texts))
        return torch.cat(rows)

    def describe(self) -> dict[str, Any]:
        """Return sizes, tokenizer, image tower and notes as JSON-ready values."""
        image_tower = self.images.describe()
        return {
            "embedding_dimension": self.dimension,
            "context_length": self._text.tokenizer.context_length,
            "tokenizer": self._text.tokenizer.name,
            "image_tower": image_tower,
            "parameter_count": image_tower["parameter_count"] + self._text.parameter_count,
            "notes": list(self.notes),
        }

    def _dry_run(self, spec: VisionLanguageSpec) -> None:
        """Embed two phrases, to check that the text tower accepts its tokens and shares the image tower's embedding space."""
        embeddings = self._text.embed(_DRY_RUN_PHRASES)
        if embeddings.ndim != 2 or len(embeddings) != len(_DRY_RUN_PHRASES):
            raise ArchitectureError(
                f"The output of the text tower of {spec.architecture} has shape {tuple(embeddings.shape)} "
                f"for {len(_DRY_RUN_PHRASES)} phrases; send a text tower with one embedding per phrase."
            )
        if embeddings.shape[1] != self.dimension:
            raise ArchitectureError(
                f"The towers of {spec.architecture} differ in dimension: {self.dimension} for images, {embeddings.shape[1]} for phrases; "
                "send the two towers of one model.",
                code="towers_disagree",
            )
        first, second = _unit_rows(embeddings, _DRY_RUN_PHRASES)
        if torch.allclose(first, second, atol=1e-6):
            raise ArchitectureError(
                f"The text tower of {spec.architecture} gives different phrases the same embedding, "
                f"so the {self._text.tokenizer.name} tokenizer does not fit it; use the tokenizer and the text_cfg of its training.",
                code="tokenizer_misfit",
                param="tokenizer",
            )


def load_vision_language_model(
    spec: VisionLanguageSpec, checkpoint: Path | None, text_checkpoint: Path | None = None, *, device: str = "auto"
) -> VisionLanguageModel:
    """Build both towers that `spec` names and load their weights.

    Parameters
    ----------
    checkpoint : file of the whole model's weights (for `onnx`, the image tower), or None if `spec.pretrained` names published weights
    text_checkpoint : file of the text tower for `onnx`, else None
    device : `auto` (CUDA if available), `cpu` or `cuda`

    Raises
    ------
    ArchitectureError
        For an unknown architecture, argument or tag, weights that do not fit, towers of different dimensions (code `towers_disagree`), a
        tokenizer that is not available (`tokenizer_unavailable`) or does not fit the text tower (`tokenizer_misfit`).
    CheckpointError
        For a file that does not contain plain, finite weights.
    SettingError
        For a device that this machine does not have.
    """
    family, _, name = spec.architecture.partition(":")
    if family == "onnx" and not name:
        return _load_onnx_pair(spec, checkpoint, text_checkpoint, device)
    if family != "open_clip" or not name:
        raise ArchitectureError(
            f"{spec.architecture!r} is not a vision-language model; write open_clip:NAME, or onnx for a pair of towers.",
            code="architecture_unknown",
            param="architecture",
        )
    if text_checkpoint is not None or spec.tokenizer is not None:
        raise ArchitectureError(
            f"{spec.architecture} has one checkpoint and its own tokenizer; send a text tower's file and a tokenizer with onnx only.",
            param="tokenizer" if text_checkpoint is None else "text_checkpoint",
        )
    if (checkpoint is None) == (spec.pretrained is None):
        raise ArchitectureError("Send either a checkpoint or a pretrained tag.", param="checkpoint")
    return _load_open_clip(spec, name, checkpoint, device)


def _load_open_clip(spec: VisionLanguageSpec, name: str, checkpoint: Path | None, device: str) -> VisionLanguageModel:
    torch_device = choose_device(device)
    check_open_clip(name, spec.arguments)
    tokenizer = load_tokenizer(name, _context_length(name, spec.arguments))
    state_dicts = [] if checkpoint is None else load_checkpoint(checkpoint)
    model, image_tower = build_vision_language(spec, state_dicts)
    notes = list[str]()
    if checkpoint is not None:
        notes = fit_weights(
            model,
            without_openai_numbers(state_dicts),
            architecture=spec.architecture,
            file_name=checkpoint.name,
            head=_NOT_IN_EMBEDDINGS,
            convert=convert_to_custom_text_state_dict if hasattr(model, "text") else None,
        )
    del model.visual
    images = TorchBackbone(
        BackboneSpec(spec.architecture, spec.arguments, spec.pretrained, None, spec.preprocessing, weights_of=spec.weights_of),
        image_tower,
        torch_device,
        notes,
    )
    return VisionLanguageModel(spec, images, TorchTextTower(model, tokenizer, torch_device, spec.architecture))


def _context_length(name: str, arguments: dict[str, Any]) -> int:
    own = cast("dict[str, Any]", open_clip.get_model_config(name))["text_cfg"]
    text_cfg = arguments.get("text_cfg", {**own, "context_length": arguments.get("force_context_length", own.get("context_length"))})
    return text_cfg.get("context_length") or DEFAULT_CONTEXT_LENGTH


def _load_onnx_pair(spec: VisionLanguageSpec, image_file: Path | None, text_file: Path | None, device: str) -> VisionLanguageModel:
    if spec.pretrained is not None:
        raise ArchitectureError(
            "An onnx pair consists of its two files and has no pretrained tags; leave pretrained out.", param="pretrained"
        )
    if image_file is None or text_file is None:
        raise ArchitectureError(
            "An onnx pair consists of two files: send the image tower as the checkpoint and the text tower as the text checkpoint.",
            param="checkpoint" if image_file is None else "text_checkpoint",
        )
    graph = read_text_graph(text_file)
    tokenizer = load_tokenizer(spec.tokenizer, graph.sizes[1])
    image_spec = BackboneSpec("onnx", spec.arguments, layer=image_embedding_output(image_file), preprocessing=spec.preprocessing)
    images = load_backbone(image_spec, image_file, device=device)
    return VisionLanguageModel(spec, images, OnnxTextTower(graph, text_file, tokenizer, choose_device(device)))


def _unit_rows(embeddings: Tensor, texts: Sequence[str]) -> Tensor:
    lengths = embeddings.norm(dim=1)
    for row in (~torch.isfinite(lengths) | (lengths == 0)).nonzero().flatten().tolist()[:1]:
        zero = float(lengths[row]) == 0
        raise ArchitectureError(
            f"The embedding of the phrase {texts[row][:60]!r} is "
            + ("a zero vector, which has no direction" if zero else "not finite")
            + "; send other weights or leave the phrase out.",
            code="embedding_zero" if zero else "representation_not_finite",
        )
    return functional.normalize(embeddings, dim=1)
