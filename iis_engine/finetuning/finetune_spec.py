"""Settings of fine-tuning as a frozen dataclass. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field

from iis_engine.errors import SettingError
from iis_engine.setting_checks import require_at_least, require_name
from iis_engine.specs import (
    FINETUNE_LIBRARY_KINDS,
    OPTIMIZER_NAMES,
    PRECISION_NAMES,
    STEP_IMAGES_MAX,
    TRAINED_PARTS,
    ElementSpec,
    LibrarySpec,
    OptimizerName,
    PrecisionName,
    TrainedPart,
)


@dataclass(frozen=True)
class FinetuneSpec:
    """Settings of fine-tuning by interpretability maximisation (eq. 8), apart from the data, the seed and the weight λ.

    Attributes
    ----------
    library, elements : concept library of g_𝒞: prototype, cluster, end2end or random
    sparsity : s of g_s, below 1
    batch_size : images per forward pass
    accumulation_steps : forward passes per optimiser step, which has at most `STEP_IMAGES_MAX` images
    warmup_epochs : epochs of linear warm-up, followed by cosine decay
    trains : `head` (h and g_cls), `last` (the last stage of f, the layers after it, and the heads) or `all`
    rebuild_every : epochs between rebuilds of the library from the elements under the current f; None keeps the first library
    patience : epochs without a higher validation accuracy before training stops; None trains for all epochs
    precision : `auto` (half precision on a GPU that supports it) or `full` (float32)
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
        require_name(self.library.kind, FINETUNE_LIBRARY_KINDS, "a library for fine-tuning", "library.kind")
        require_name(self.optimizer, OPTIMIZER_NAMES, "an optimiser", "optimizer")
        require_name(self.trains, TRAINED_PARTS, "a part of a network to train", "trains")
        require_name(self.precision, PRECISION_NAMES, "a precision", "precision")
        for name in ("epochs", "batch_size", "accumulation_steps"):
            require_at_least(1, getattr(self, name), name)
        if (images := self.batch_size * self.accumulation_steps) > STEP_IMAGES_MAX:
            raise SettingError(
                f"One step has batch_size x accumulation_steps = {images} images, above the limit of {STEP_IMAGES_MAX}; lower either.",
                param="accumulation_steps",
            )
        for name in ("rebuild_every", "patience"):
            if getattr(self, name) is not None:
                require_at_least(1, getattr(self, name), name)
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
