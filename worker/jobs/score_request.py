"""A score job as plain values and rows, and what its stages depend on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.db.models import Dataset, Json, Model
from iis_engine.protocols import LIBRARY_SEEDS
from iis_engine.specs import VISUAL_KINDS


@dataclass(frozen=True)
class ScoreRequest:
    """A score job as plain values and rows.

    Attributes
    ----------
    spec : the job's request, with the settings of the library that is used
    library_key : artifact key of a library fitted before; None fits one
    library_dataset : the data set that a library is cut from and fitted on; None for the scored one
    vectors_sha256 : of the file of own vectors; None without one
    """

    spec: Json
    model: Model | None
    dataset: Dataset
    vlm: Model | None = None
    library_key: str | None = None
    library_dataset: Dataset | None = None
    vectors_sha256: str | None = None

    @property
    def fitting(self) -> ScoreRequest:
        """The request that fits the library: this one, or the same on the data set given for the library."""
        return self if self.library_dataset is None else replace(self, dataset=self.library_dataset, library_dataset=None)

    @property
    def origins(self) -> set[str]:
        """The kinds of concepts in the library."""
        library = self.spec["library"]
        return {part["kind"] for part in library.get("parts") or [library]}

    @property
    def made_of(self) -> Json:
        """What the library's concepts are made of: its settings, or the content of a user's own vectors."""
        library = self.spec["library"]
        return library if self.vectors_sha256 is None else {"kind": library["kind"], "sha256": self.vectors_sha256}

    @property
    def measured_as(self) -> Json:
        """Protocol, seed and activations, which every measurement depends on; exact jobs without activations are of the first edition."""
        protocol = self.spec["protocol"]
        activations = self.spec.get("activations", "layernorm" if protocol == "exact" else "calibrated")
        return {"protocol": protocol, "seed": self.spec["seed"], "activations": activations}

    @property
    def library_seeds(self) -> int:
        """Seeds with which the scored library is built; 1 for own vectors and for a library fitted before."""
        return LIBRARY_SEEDS if self.library_key is None and self.spec["library"].get("kind") != "vectors" else 1

    @property
    def has_words(self) -> bool:
        """Whether text concepts are to be fitted."""
        return "text" in self.origins and self.library_key is None

    @property
    def has_names(self) -> bool:
        """Whether visual concepts are to be named."""
        return self.vlm is not None and bool(self.origins & set(VISUAL_KINDS)) and self.library_key is None
