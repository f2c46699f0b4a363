"""Requests to the engine as frozen dataclasses: backbone, concept library, elements, score, fine-tuning. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from iis_engine.errors import SettingError
from iis_engine.setting_checks import require_name

LibraryKind = Literal["prototype", "cluster", "end2end", "nmf", "sae", "vectors", "text", "random", "combined"]
ElementKind = Literal["patches", "segments", "patches_and_segments"]
Quantity = Literal["accuracy", "mean_average_precision"]
"""What a score retains: accuracy, or mean average precision of multi-label data."""
ProtocolName = Literal["exact", "reference"]
ActivationsName = Literal["calibrated", "layernorm"]
Interpolation = Literal["bilinear", "bicubic", "nearest"]
CropMode = Literal["center", "squash", "border"]
ChannelOrder = Literal["rgb", "bgr"]
PoolingName = Literal["class", "patches", "all", "map"]
OptimizerName = Literal["adamw", "sgd"]
TrainedPart = Literal["head", "last", "all"]
PrecisionName = Literal["auto", "full"]

LIBRARY_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "nmf", "sae", "vectors", "text", "random", "combined")
VISUAL_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "nmf", "sae")
"""Libraries built from visual elements; each concept is shown by crops."""
ELEMENT_KINDS: tuple[ElementKind, ...] = ("patches", "segments", "patches_and_segments")
DEFAULT_SCALES = (1,)
"""Scales of a request that names none: whole images, which the study of docs/results.md favours."""
IMAGES_PER_CLASS_MIN = 10
ELEMENTS_SOUGHT = 1000
"""Elements to cut where a request names no number of images per class."""
EARLIER_SCALES = (4,)
"""Scales of stored requests without scales, which this and earlier releases write for a 4 x 4 grid."""
SCALE_MAX = 8
"""Patches per side of the finest grid."""
SEGMENT_LEVELS = (10, 20, 30)
"""n_segments of SLIC at each level."""
SEGMENTS_PER_LEVEL = 5
PROTOCOL_NAMES: tuple[ProtocolName, ...] = ("exact", "reference")
ACTIVATIONS_NAMES: tuple[ActivationsName, ...] = ("calibrated", "layernorm")
"""Of the exact protocol: the second edition, and the first as an ablation."""
FINETUNE_LIBRARY_KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster", "end2end", "random")
"""Libraries that depend on the network alone, so that they can be rebuilt during training."""
OPTIMIZER_NAMES: tuple[OptimizerName, ...] = ("adamw", "sgd")
TRAINED_PARTS: tuple[TrainedPart, ...] = ("head", "last", "all")
PRECISION_NAMES: tuple[PrecisionName, ...] = ("auto", "full")
INTERPOLATIONS: tuple[Interpolation, ...] = ("bilinear", "bicubic", "nearest")
CROP_MODES: tuple[CropMode, ...] = ("center", "squash", "border")
CHANNEL_ORDERS: tuple[ChannelOrder, ...] = ("rgb", "bgr")
VALUE_RANGES = (1, 255)
"""Largest values of a pixel before mean and std are applied."""
DEFAULT_TAG = "default"
"""Pretrained tag that selects the library's own default weights."""
POOLING_NAMES: tuple[PoolingName, ...] = ("class", "patches", "all", "map")
STEP_IMAGES_MAX = 65_536
"""Images per optimiser step of fine-tuning; larger batches are not known to help training."""
SEEDS = range(2**32)
"""Seeds that all random generators in use accept."""
ARCHITECTURE_FAMILIES = ("timm", "torchvision", "open_clip", "hf", "transformers", "onnx")
FILE_FAMILIES = ("transformers", "onnx")
"""Families whose file describes the whole network, so that they have no names, arguments or tags."""


@dataclass(frozen=True)
class Preprocessing:
    """Overrides of the architecture's own preprocessing; None keeps its value.

    Attributes
    ----------
    input_size : side of the square input in pixels, or height and width
    mean, std : per channel in the network's order, for pixel values in 0..`value_range`
    crop_pct : share of each side that the centre crop keeps
    crop_mode : `center` fits the short side and crops, `squash` ignores the aspect ratio, `border` fits the long side and pads
    channel_order : `bgr` for networks trained on images that OpenCV read
    value_range : 1 or 255; with 255, mean and std are 0 and 1 unless given
    """

    input_size: int | tuple[int, int] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Interpolation | None = None
    crop_pct: float | None = None
    crop_mode: CropMode | None = None
    channel_order: ChannelOrder | None = None
    value_range: Literal[1, 255] | None = None


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone f by name.

    Attributes
    ----------
    architecture : `timm:NAME`, `timm:hf-hub:ORG/NAME`, `torchvision:NAME`, `open_clip:NAME`, `hf:ORG/NAME`, `transformers` or `onnx`
    arguments : keyword arguments of the architecture's factory
    pretrained : tag of published weights, or revision of a repository of the Hub; excludes a checkpoint file
    weights_of : tag of the published weights that a checkpoint file has or was trained from, which decides preprocessing and activation
    layer : name of a module (torch) or of a value in the graph (onnx); None for the pooled penultimate representation
    initial_seed : seed of the untrained network; excludes a checkpoint file and published weights
    pooling : for a named layer with several positions, the tokens that are averaged; None averages all but registers
    """

    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    pretrained: str | None = None
    layer: str | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    initial_seed: int | None = None
    weights_of: str | None = None
    pooling: PoolingName | None = None

    def __post_init__(self) -> None:
        if self.initial_seed is not None:
            _require_seed(self.initial_seed, "initial_seed")
        if self.pooling is not None:
            require_name(self.pooling, POOLING_NAMES, "a pooling", "pooling")
            if self.layer is None:
                raise SettingError("pooling applies to a named layer; name one, or leave pooling out.", param="pooling")


@dataclass(frozen=True)
class VisionLanguageSpec:
    """A vision-language model by name.

    Attributes
    ----------
    architecture : `open_clip:NAME`, or `onnx` for a pair of towers in two files
    arguments : keyword arguments of `open_clip.create_model`
    pretrained : tag of open_clip's published weights; excludes checkpoint files
    tokenizer : for `onnx`, the open_clip architecture with the text tower's tokenizer; None for CLIP's own
    weights_of : tag of the published weights that the checkpoint file has or was trained from
    """

    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    pretrained: str | None = None
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    tokenizer: str | None = None
    weights_of: str | None = None


@dataclass(frozen=True)
class ElementSpec:
    """Cutting of visual elements (METHOD §2).

    Attributes
    ----------
    kind : patches of grids, SLIC segments, or both
    images_per_class : training images per class to cut elements from; None for as many as give `ELEMENTS_SOUGHT` elements, but at least
        `IMAGES_PER_CLASS_MIN`
    seed : seed of the choice of images and of the elements' order
    scales : the grids, each by its patches per side: 1 is the whole image, 4 a 4 x 4 grid. Stored in rising order; empty for segments alone
    """

    kind: ElementKind = "patches"
    images_per_class: int | None = None
    seed: int = 0
    scales: tuple[int, ...] = DEFAULT_SCALES

    def __post_init__(self) -> None:
        if self.kind not in ELEMENT_KINDS:
            raise SettingError(f"{self.kind!r} is not a kind of elements; choose one of {', '.join(ELEMENT_KINDS)}.", param="elements.kind")
        _require_seed(self.seed, "elements.seed")
        object.__setattr__(self, "scales", _grid_scales(self.kind, tuple(self.scales)))

    @property
    def has_segments(self) -> bool:
        """Whether SLIC segments are cut."""
        return self.kind != "patches"

    @property
    def elements_per_image_max(self) -> int:
        """The largest number of elements that are cut from one image."""
        segments = len(SEGMENT_LEVELS) * SEGMENTS_PER_LEVEL if self.has_segments else 0
        return sum(scale**2 for scale in self.scales) + segments

    def images_of_each_class(self, class_count: int) -> int:
        """Images to cut elements from in each of `class_count` classes; a class with fewer gives all of its images."""
        if self.images_per_class is not None:
            return self.images_per_class
        return max(IMAGES_PER_CLASS_MIN, -(-ELEMENTS_SOUGHT // (max(1, class_count) * self.elements_per_image_max)))


@dataclass(frozen=True)
class LibrarySpec:
    """A concept library (METHOD §2).

    Attributes
    ----------
    concept_count : M; for a text library the largest number of phrases kept; not used for own vectors
    parts : libraries of a combined one
    clip_cutoff : for text, lower bound on the mean of a phrase's five highest cosines with training images
    interpretability_cutoff : for text, lower bound on the similarity of a phrase's activation to its cosines on held-out images
    native : for text, whether the backbone is the vision-language model's own image tower, so that text embeddings are the vectors
    """

    kind: LibraryKind = "prototype"
    concept_count: int = 200
    parts: tuple[LibrarySpec, ...] = ()
    clip_cutoff: float = 0.25
    interpretability_cutoff: float = 0.45
    native: bool = False


@dataclass(frozen=True)
class ScoreSpec:
    """Settings of a score, apart from the backbone and the data.

    Attributes
    ----------
    activations : of `exact`: centred by the training mean, LayerNorm and an affine of each concept (`calibrated`), or LayerNorm alone
        (`layernorm`, the first edition, for ablations); the `reference` protocol has its own
    """

    library: LibrarySpec = field(default_factory=LibrarySpec)
    elements: ElementSpec = field(default_factory=ElementSpec)
    protocol: ProtocolName = "exact"
    seed: int = 0
    activations: ActivationsName = "calibrated"

    @property
    def edition(self) -> int:
        """2 for calibrated activations under `exact`; 1 otherwise. Scores of two editions do not compare."""
        return 2 if self.protocol == "exact" and self.activations == "calibrated" else 1

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOL_NAMES:
            raise SettingError(f"{self.protocol!r} is not a protocol; choose one of {', '.join(PROTOCOL_NAMES)}.", param="protocol")
        require_name(self.activations, ACTIVATIONS_NAMES, "a kind of activations", "activations")
        if self.protocol == "reference" and self.activations != "calibrated":
            raise SettingError("The reference protocol has the authors' activations; leave activations out.", param="activations")
        _require_seed(self.seed, "seed")


def _grid_scales(kind: ElementKind, scales: tuple[int, ...]) -> tuple[int, ...]:
    if kind == "segments":
        if scales not in ((), DEFAULT_SCALES):
            raise SettingError("Segments have no grid: leave out scales, or choose the kind patches_and_segments.", param="elements.scales")
        return ()
    if not scales or len(set(scales)) < len(scales) or not set(scales) <= set(range(1, SCALE_MAX + 1)):
        raise SettingError(
            f"scales must be different whole numbers from 1 (the whole image) to {SCALE_MAX}; they are {list(scales)}.",
            param="elements.scales",
        )
    return tuple(sorted(scales))


def _require_seed(seed: int, param: str) -> None:
    if seed not in SEEDS:
        raise SettingError(f"{param} must be a whole number from 0 to {SEEDS[-1]}; it is {seed!r}.", param=param)
