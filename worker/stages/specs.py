"""Requests from the parent as dataclasses, and the engine's specifications built from them. Importing this module loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from iis_engine.backbones.backbone import Backbone
    from iis_engine.finetuning.finetune_spec import FinetuneSpec
    from iis_engine.specs import ElementSpec, LibrarySpec, PoolingName, Preprocessing, ScoreSpec
    from iis_engine.vision_language.model import VisionLanguageModel


@dataclass(frozen=True)
class ModelRequest:
    """A network to load, as JSON over the pipe between parent and child.

    Attributes
    ----------
    role : backbone or vlm
    arguments : keyword arguments of the architecture
    pretrained : a tag of published weights; None for a checkpoint or random weights
    initial_seed : seed of random weights; None for a checkpoint or published weights
    pooling : of a named layer; None for the mean of all tokens but registers
    weights_of : tag of the published weights that the checkpoint comes from
    preprocessing : overrides of the architecture's own
    tokenizer : of an ONNX pair of towers
    device : torch device, or auto
    checkpoint, text_checkpoint : paths of the weights of the network and of its text tower
    """

    role: str
    architecture: str
    arguments: dict[str, Any]
    pretrained: str | None
    initial_seed: int | None
    layer: str | None
    preprocessing: dict[str, Any] | None
    tokenizer: str | None
    device: str
    checkpoint: str | None = None
    text_checkpoint: str | None = None
    weights_of: str | None = None
    pooling: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ModelRequest:
        """The request that `to_json` wrote."""
        return cls(**content)


@dataclass(frozen=True)
class DatasetRequest:
    """A data set to read, as JSON over the pipe between parent and child.

    Attributes
    ----------
    kind : images or features
    digest : sha256 that the content must have; None before the first validation
    server_path : resolved path of a folder or file on the server
    hub : name, configuration and revision of a data set on the Hugging Face Hub
    file : path of an uploaded archive or features file
    manifest : path of a table inside the data set, and names of its columns: path, path_column, label_column, split_column
    manifest_file : path of an uploaded table that names the images
    """

    kind: str
    split_seed: int
    test_share: float
    digest: str | None = None
    server_path: str | None = None
    hub: dict[str, Any] | None = None
    file: str | None = None
    manifest: dict[str, Any] | None = None
    manifest_file: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> DatasetRequest:
        """The request that `to_json` wrote."""
        return cls(**content)


def open_backbone(request: ModelRequest) -> Backbone:
    """Load the network of a request."""
    from iis_engine.backbones.factory import load_backbone
    from iis_engine.specs import BackboneSpec

    spec = BackboneSpec(
        architecture=request.architecture,
        arguments=request.arguments,
        pretrained=request.pretrained,
        layer=request.layer,
        preprocessing=_preprocessing(request.preprocessing),
        initial_seed=request.initial_seed,
        weights_of=request.weights_of,
        pooling=cast("PoolingName | None", request.pooling),
    )
    return load_backbone(spec, _path(request.checkpoint), device=request.device)


def open_vision_language_model(request: ModelRequest) -> VisionLanguageModel:
    """Load the vision-language model of a request."""
    from iis_engine.specs import VisionLanguageSpec
    from iis_engine.vision_language.model import load_vision_language_model

    spec = VisionLanguageSpec(
        architecture=request.architecture,
        arguments=request.arguments,
        pretrained=request.pretrained,
        preprocessing=_preprocessing(request.preprocessing),
        tokenizer=request.tokenizer,
        weights_of=request.weights_of,
    )
    return load_vision_language_model(spec, _path(request.checkpoint), _path(request.text_checkpoint), device=request.device)


def score_spec(content: Mapping[str, Any]) -> ScoreSpec:
    """The ScoreSpec of a job's specification."""
    from iis_engine.specs import ScoreSpec

    return ScoreSpec(
        _library(content["library"]),
        element_spec(content["elements"]),
        content["protocol"],
        content["seed"],
        content.get("activations", "calibrated"),
    )


def finetune_spec(content: Mapping[str, Any]) -> FinetuneSpec:
    """The FinetuneSpec of a job's specification."""
    from iis_engine.finetuning.finetune_spec import FinetuneSpec

    schedule = {name: value for name, value in content.items() if name not in ("library", "elements")}
    return FinetuneSpec(_library(content["library"]), element_spec(content["elements"]), **schedule)


def element_spec(content: Mapping[str, Any]) -> ElementSpec:
    """The ElementSpec of a job's elements, as `Elements.to_spec` of iis_schemas stores them."""
    from iis_engine.specs import EARLIER_SCALES, ElementSpec

    values = dict(content)
    scales = () if content["kind"] == "segments" else values.pop("scales", EARLIER_SCALES)
    return ElementSpec(**values, scales=tuple(scales))


def _library(content: Mapping[str, Any]) -> LibrarySpec:
    from iis_engine.specs import LibrarySpec

    parts = tuple(_library(part) for part in content.get("parts") or ())
    text_settings = {name: content[name] for name in ("clip_cutoff", "interpretability_cutoff", "native") if name in content}
    counted = {"concept_count": count} if (count := content["concept_count"]) is not None else {}  # own vectors have as many as their file
    return LibrarySpec(content["kind"], parts=parts, **counted, **text_settings)


def _preprocessing(overrides: Mapping[str, Any] | None) -> Preprocessing:
    from iis_engine.specs import Preprocessing

    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in (overrides or {}).items()}
    return Preprocessing(**values)


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None
