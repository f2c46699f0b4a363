"""Plain requests to the engine: which backbone, which library, which settings. No torch here, so a service may import it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from iis_engine.errors import SettingError

LibraryKind = Literal["prototype", "cluster", "end2end", "text", "random", "combined"]
ElementKind = Literal["patches", "segments"]
ProtocolName = Literal["exact", "reference"]
Interpolation = Literal["bilinear", "bicubic", "nearest"]
OptimizerName = Literal["adamw", "sgd"]
TrainedPart = Literal["head", "last", "all"]
PrecisionName = Literal["auto", "full"]

LIBRARY_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "text", "random", "combined")
VISUAL_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end")
"""Made of visual elements, so that crops show each concept."""
ELEMENT_KINDS: tuple[ElementKind, ...] = ("patches", "segments")
PROTOCOL_NAMES: tuple[ProtocolName, ...] = ("exact", "reference")
FINETUNE_LIBRARY_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "random")
"""Those that depend on the network alone, so that they can be made anew while it changes."""
OPTIMIZER_NAMES: tuple[OptimizerName, ...] = ("adamw", "sgd")
TRAINED_PARTS: tuple[TrainedPart, ...] = ("head", "last", "all")
PRECISION_NAMES: tuple[PrecisionName, ...] = ("auto", "full")
INTERPOLATIONS: tuple[Interpolation, ...] = ("bilinear", "bicubic", "nearest")
STEP_IMAGES_MAX = 65_536
"""Images in one step of fine-tuning: above the largest batches that training is known to gain by."""
SEEDS = range(2**32)
"""Seeds that every random generator in use takes."""
ARCHITECTURE_FAMILIES = ("timm", "torchvision", "open_clip", "onnx")


@dataclass(frozen=True)
class Preprocessing:
    """Overrides of the architecture's own preprocessing; None keeps the architecture's."""

    input_size: int | None = None  # pixels, square
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Interpolation | None = None
    crop_pct: float | None = None


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone f by name: `timm:NAME`, `torchvision:NAME`, `open_clip:NAME` or `onnx`."""

    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    pretrained: str | None = None  # a tag of the architecture's own library; excludes a checkpoint file
    layer: str | None = None  # a module's name (torch) or an output's name (onnx); None: the pooled penultimate
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    initial_seed: int | None = None  # in place of any weights: untrained, as the architecture is initialised from this seed

    def __post_init__(self) -> None:
        if self.initial_seed is not None:
            _require_seed(self.initial_seed, "initial_seed")


@dataclass(frozen=True)
class VisionLanguageSpec:
    """A vision-language model by name: `open_clip:NAME`, or `onnx` for a pair of towers in two files."""

    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    pretrained: str | None = None  # a tag of open_clip's; excludes checkpoint files
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    tokenizer: str | None = None  # of an onnx pair: the open_clip architecture whose tokens the text tower takes; None: CLIP's own


@dataclass(frozen=True)
class ElementSpec:
    """How visual elements are cut (METHOD §2)."""

    kind: ElementKind = "patches"
    images_per_class: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ELEMENT_KINDS:
            raise SettingError(f"There are no elements {self.kind!r}; choose one of {', '.join(ELEMENT_KINDS)}.", param="elements.kind")
        _require_seed(self.seed, "elements.seed")


@dataclass(frozen=True)
class LibrarySpec:
    """A concept library: its kind and M. `parts` only for combined, the cutoffs and `native` only for text (METHOD §2)."""

    kind: LibraryKind = "prototype"
    concept_count: int = 200  # M; of a text library the most that are kept
    parts: tuple[LibrarySpec, ...] = ()
    clip_cutoff: float = 0.25  # a phrase's mean of its five highest cosines with training images must reach it
    interpretability_cutoff: float = 0.45  # and so must the similarity of its activation on held-out images
    native: bool = False  # the backbone is the vision-language model's own image tower: text embeddings are the vectors


@dataclass(frozen=True)
class ScoreSpec:
    """Everything that decides a score beside the backbone and the data."""

    library: LibrarySpec = field(default_factory=LibrarySpec)
    elements: ElementSpec = field(default_factory=ElementSpec)
    protocol: ProtocolName = "exact"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOL_NAMES:
            raise SettingError(f"There is no protocol {self.protocol!r}; choose one of {', '.join(PROTOCOL_NAMES)}.", param="protocol")
        _require_seed(self.seed, "seed")


@dataclass(frozen=True)
class FinetuneSpec:
    """How a network is fine-tuned by interpretability maximisation (eq. 8), beside its data, its seed and the weight λ.

    Attributes
    ----------
    library, elements : what g_𝒞 is made of; prototype, cluster, end2end or random
    sparsity : s of g_s, below 1
    batch_size : images per forward pass; an optimiser's step takes `accumulation_steps` of them, `STEP_IMAGES_MAX` images at most
    warmup_epochs : over which the learning rate rises linearly, before it falls along a cosine
    trains : `head` (h and g_cls, f stays as it is), `last` (the last stage of f, what follows it, and the heads) or `all`
    rebuild_every : epochs after which the library is made anew from the elements under the current f; None keeps the first one
    patience : epochs without a better validation accuracy after which training stops; None goes through all epochs
    precision : `auto` (half precision where a GPU has it) or `full` (float32)
    """

    library: LibrarySpec = field(default_factory=LibrarySpec)
    elements: ElementSpec = field(default_factory=ElementSpec)
    sparsity: float = 0.1
    epochs: int = 10
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    batch_size: int = 64
    accumulation_steps: int = 1
    warmup_epochs: int = 1
    trains: TrainedPart = "all"
    rebuild_every: int | None = None
    patience: int | None = None
    precision: PrecisionName = "auto"

    def __post_init__(self) -> None:
        _require_name(self.library.kind, FINETUNE_LIBRARY_KINDS, "library to fine-tune with", "library.kind")
        _require_name(self.optimizer, OPTIMIZER_NAMES, "optimiser", "optimizer")
        _require_name(self.trains, TRAINED_PARTS, "part of a network to train", "trains")
        _require_name(self.precision, PRECISION_NAMES, "precision", "precision")
        for name in ("epochs", "batch_size", "accumulation_steps"):
            _require_at_least(1, getattr(self, name), name)
        if (images := self.batch_size * self.accumulation_steps) > STEP_IMAGES_MAX:
            raise SettingError(
                f"batch_size x accumulation_steps, {images} images, would make one step; {STEP_IMAGES_MAX} are the most, so give less of"
                " either.",
                param="accumulation_steps",
            )
        for name in ("rebuild_every", "patience"):
            if getattr(self, name) is not None:
                _require_at_least(1, getattr(self, name), name)
        if not 0 <= self.sparsity < 1:
            raise SettingError(f"sparsity must be at least 0 and below 1; it is {self.sparsity!r}.", param="sparsity")
        if not 0 < self.learning_rate < float("inf"):
            raise SettingError(f"learning_rate must be a number above 0; it is {self.learning_rate!r}.", param="learning_rate")
        if not 0 <= self.weight_decay < float("inf"):
            raise SettingError(f"weight_decay must be a number, 0 or above; it is {self.weight_decay!r}.", param="weight_decay")
        if not 0 <= self.warmup_epochs <= self.epochs:
            raise SettingError(
                f"warmup_epochs must lie between 0 and the {self.epochs} epochs; it is {self.warmup_epochs!r}.", param="warmup_epochs"
            )


def _require_seed(seed: int, param: str) -> None:
    if seed not in SEEDS:
        raise SettingError(f"A seed is a whole number from 0 to {SEEDS[-1]}; {param} is {seed!r}.", param=param)


def _require_name(value: str, known: Sequence[str], what: str, param: str) -> None:
    if value not in known:
        raise SettingError(f"There is no {what} {value!r}; choose one of {', '.join(known)}.", param=param)


def _require_at_least(least: int, value: int, param: str) -> None:
    if value < least:
        raise SettingError(f"{param} must be at least {least}; it is {value!r}.", param=param)
