"""One call from features, or a backbone and images, to the report; and the same in stages for those who keep what each leaves."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iis_engine import protocols
from iis_engine.devices import choose_device
from iis_engine.exact import measure_exact
from iis_engine.features import FeatureSet, Progress, no_progress
from iis_engine.libraries.build import build_library, check_library, first_elements
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.random import build_random
from iis_engine.measurement import Measurement
from iis_engine.reference import measure_reference
from iis_engine.report import IISReport
from iis_engine.specs import SEEDS, LibrarySpec, ScoreSpec
from iis_engine.strengths import ExactSettings
from iis_engine.summary import summarise

if TYPE_CHECKING:
    from iis_engine.backbones import Backbone
    from iis_engine.datasets import ImageDataset


@dataclass(frozen=True)
class LibraryEnsemble:
    """One library drawn with several seeds; the first is the one that is shown, kept and explained with."""

    libraries: tuple[ConceptLibrary, ...]

    @property
    def primary(self) -> ConceptLibrary:
        return self.libraries[0]

    def save(self, folder: Path) -> None:
        """Write one safetensors file per seed into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, library in enumerate(self.libraries):
            library.save(folder / f"{number}.safetensors")

    @staticmethod
    def load(folder: Path) -> LibraryEnsemble:
        """Read what `save` wrote."""
        files = sorted(folder.glob("*.safetensors"), key=lambda path: int(path.stem))
        return LibraryEnsemble(tuple(ConceptLibrary.load(path) for path in files))


def concept_total(spec: LibrarySpec) -> int:
    """M of a library, the sum over the parts of a combined one."""
    return sum(concept_total(part) for part in spec.parts) if spec.kind == "combined" else spec.concept_count


def build_libraries(features: FeatureSet, spec: ScoreSpec, progress: Progress = no_progress, *, device: str = "auto") -> LibraryEnsemble:
    """Build the library with as many seeds as the protocol wants.

    Raises
    ------
    LibraryError
        When the features cannot give it.
    """
    check_library(features, spec.library)
    where = choose_device(device)
    if spec.protocol == "reference" and spec.library.kind == "prototype":
        return LibraryEnsemble((first_elements(features, spec.library.concept_count),))
    seeds = protocols.LIBRARY_SEEDS if spec.protocol == "exact" else 1
    libraries: list[ConceptLibrary] = []
    for number in range(seeds):
        progress(number, seeds)
        seed = (spec.seed + number) % len(SEEDS)  # scikit-learn takes none beyond
        libraries.append(build_library(features, spec.library, seed, where))
    progress(seeds, seeds)
    return LibraryEnsemble(tuple(libraries))


def measure_library(
    features: FeatureSet, ensemble: LibraryEnsemble, spec: ScoreSpec, progress: Progress = no_progress, *, device: str = "auto"
) -> Measurement:
    """Measure the curve of an ensemble under the protocol of `spec`."""
    where = choose_device(device)
    if spec.protocol == "exact":
        return measure_exact(features, ensemble.libraries, ExactSettings(spec.seed), where, refine=True, progress=progress)
    return measure_reference(features, ensemble.libraries, spec.library.kind, spec.seed, where, progress)


def measure_control(features: FeatureSet, spec: ScoreSpec, progress: Progress = no_progress, *, device: str = "auto") -> Measurement:
    """Measure random directions, as many as the library has concepts, under the same protocol.

    It depends on no other trait of the library, so libraries of one size share it.
    """
    where = choose_device(device)
    first, M = spec.seed + protocols.CONTROL_SEED_OFFSET, concept_total(spec.library)
    libraries = [build_random(features.X_train.shape[1], M, first + number) for number in range(protocols.CONTROL_SEEDS)]
    if spec.protocol == "exact":
        return measure_exact(features, libraries, ExactSettings(spec.seed), where, refine=True, progress=progress)
    return measure_reference(features, libraries, "random", spec.seed, where, progress)


def assemble(features: FeatureSet, ensemble: LibraryEnsemble, measured: Measurement, control: Measurement, spec: ScoreSpec) -> IISReport:
    """The report from both measurements."""
    library: dict[str, Any] = {"kind": ensemble.primary.kind, "concept_count": len(ensemble.primary), "seeds": len(ensemble.libraries)}
    if spec.library.parts:
        library["parts"] = [{"kind": part.kind, "concept_count": part.concept_count} for part in spec.library.parts]
    return summarise(features, measured, control, spec.protocol, library)


def score(
    source: FeatureSet | Backbone,
    spec: ScoreSpec | None = None,
    *,
    dataset: ImageDataset | None = None,
    device: str = "auto",
    progress: Progress = no_progress,
) -> IISReport:
    """Score a representation: ready features, or a backbone together with a data set.

    Parameters
    ----------
    source : features as `read_features` gives them, or a backbone as `load_backbone` does
    spec : library, elements, protocol and seed; Prototype with M = 200 under `exact` by default
    dataset : the images, where `source` is a backbone

    Raises
    ------
    EngineError
        With a sentence for whoever sent the input.

    References
    ----------
    Shen et al., "Enhancing Pre-trained Representation Classifiability can Boost its Interpretability", ICLR 2025, eqs. 3-7.
    """
    spec = spec or ScoreSpec()
    choose_device(device)  # refused before the work, not after it
    if isinstance(source, FeatureSet):
        features = source
    elif dataset is None:
        raise TypeError("score() needs dataset=… when it is given a backbone.")
    else:
        from iis_engine.extraction import extract_features

        with tempfile.TemporaryDirectory() as folder:
            features = extract_features(source, dataset, spec.elements, shard_folder=Path(folder), progress=progress)
    ensemble = build_libraries(features, spec, device=device)
    measured = measure_library(features, ensemble, spec, progress, device=device)
    control = measure_control(features, spec, device=device)
    return assemble(features, ensemble, measured, control, spec)
