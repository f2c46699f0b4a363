"""Plain requests to the engine: which backbone, which library, which settings. No torch here, so a service may import it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from iis_engine.errors import SettingError

LibraryKind = Literal["prototype", "cluster", "end2end", "text", "random", "combined"]
ElementKind = Literal["patches", "segments"]
ProtocolName = Literal["exact", "reference"]
Interpolation = Literal["bilinear", "bicubic", "nearest"]

LIBRARY_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "text", "random", "combined")
VISUAL_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end")
"""Made of visual elements, so that crops show each concept."""
ELEMENT_KINDS: tuple[ElementKind, ...] = ("patches", "segments")
PROTOCOL_NAMES: tuple[ProtocolName, ...] = ("exact", "reference")
INTERPOLATIONS: tuple[Interpolation, ...] = ("bilinear", "bicubic", "nearest")
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


def _require_seed(seed: int, param: str) -> None:
    if seed not in SEEDS:
        raise SettingError(f"A seed is a whole number from 0 to {SEEDS[-1]}; {param} is {seed!r}.", param=param)
