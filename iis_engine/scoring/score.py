"""Score a representation: from features, or a backbone and images, to a report or a classifier; in one call or stage by stage."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iis_engine import protocols
from iis_engine.backbones.devices import choose_device
from iis_engine.errors import SettingError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.build import authors_prototype, build_library, check_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.random import build_control
from iis_engine.libraries.text import TextSource
from iis_engine.libraries.vectors import OwnVectors
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.report import IISReport
from iis_engine.scoring.exact import measure_exact
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.predictor import Predictor, PredictorFamily
from iis_engine.scoring.reference import measure_reference
from iis_engine.scoring.summary import summarise
from iis_engine.specs import SEEDS, VISUAL_KINDS, ElementSpec, ScoreSpec

if TYPE_CHECKING:
    from iis_engine.backbones.backbone import Backbone
    from iis_engine.data.datasets import ImageDataset
    from iis_engine.libraries.naming import ConceptName
    from iis_engine.vision_language.model import VisionLanguageModel
    from iis_engine.vocabularies.phrases import Phrase


@dataclass(frozen=True)
class LibraryEnsemble:
    """One library built with several seeds. The first is the primary: stored heads and explanations use it."""

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
        """Read a folder written by `save`."""
        files = sorted(folder.glob("*.safetensors"), key=lambda path: int(path.stem))
        return LibraryEnsemble(tuple(ConceptLibrary.load(path) for path in files))


def build_libraries(
    features: FeatureSet,
    spec: ScoreSpec,
    progress: ProgressCallback = no_progress,
    *,
    text_source: TextSource | None = None,
    own_vectors: OwnVectors | None = None,
    device: str = "auto",
) -> LibraryEnsemble:
    """Build the library with each seed of the protocol: three under `exact`, one under `reference` and of own vectors.

    Parameters
    ----------
    text_source : embeddings for text concepts; the first seed selects the phrases, further seeds keep them

    Raises
    ------
    LibraryError
        When it cannot be built from these features and this source.
    """
    check_library(features, spec.library, text_source, own_vectors)
    where = choose_device(device)
    if spec.protocol == "reference" and spec.library.kind == "prototype":
        return LibraryEnsemble((authors_prototype(features, spec.library.concept_count),))
    seeds = protocols.LIBRARY_SEEDS if spec.protocol == "exact" and spec.library.kind != "vectors" else 1
    libraries: list[ConceptLibrary] = []
    for number in range(seeds):
        progress(number, seeds)
        seed = (spec.seed + number) % len(SEEDS)  # scikit-learn accepts no larger seed
        like = libraries[0] if libraries else None
        libraries.append(build_library(features, spec.library, seed, where, text_source=text_source, own_vectors=own_vectors, like=like))
    progress(seeds, seeds)
    return LibraryEnsemble(tuple(libraries))


def measure_library(
    features: FeatureSet, ensemble: LibraryEnsemble, spec: ScoreSpec, progress: ProgressCallback = no_progress, *, device: str = "auto"
) -> Measurement:
    """Measure the curve of an ensemble under the protocol of `spec`."""
    where = choose_device(device)
    if spec.protocol == "exact":
        return measure_exact(features, ensemble.libraries, spec.seed, where, progress=progress)
    return measure_reference(features, ensemble.libraries, spec.library.kind, spec.seed, where, progress)


def measure_control(
    features: FeatureSet,
    concept_count: int,
    spec: ScoreSpec,
    progress: ProgressCallback = no_progress,
    *,
    standardised: int = 0,
    device: str = "auto",
) -> Measurement:
    """Measure the random control: as many Gaussian directions as the library has concepts, under the protocol and seed of `spec`.

    It depends on nothing else of the library, so that libraries of one size share it.

    Parameters
    ----------
    standardised : number of directions that are standardised one by one, as text concepts are; the library's number of text concepts
    """
    where = choose_device(device)
    first = spec.seed + protocols.CONTROL_SEED_OFFSET
    libraries = [build_control(features.X_train, concept_count, standardised, first + number) for number in range(protocols.CONTROL_SEEDS)]
    if spec.protocol == "exact":
        return measure_exact(features, libraries, spec.seed, where, progress=progress)
    return measure_reference(features, libraries, "random", spec.seed, where, progress)


def assemble(
    features: FeatureSet,
    ensemble: LibraryEnsemble,
    measured: Measurement,
    control: Measurement,
    spec: ScoreSpec,
    names: Sequence[ConceptName | None] | None = None,
) -> IISReport:
    """The report from both measurements, with a summary of the concepts' phrases or names.

    Parameters
    ----------
    measured, control : of the ensemble and of the random control
    names : per concept of the primary library; None where concepts were not named
    """
    primary = ensemble.primary
    library: dict[str, Any] = {"kind": primary.kind, "concept_count": len(primary), "seeds": len(ensemble.libraries)}
    if spec.library.parts:
        library["parts"] = [{"kind": kind, "concept_count": count} for kind, count in Counter(primary.origins).items()]
    if primary.text_report is not None:
        library["text"] = primary.text_report.summary()
    if names is not None:
        nameable = [name for name in names if name is not None]
        named = sum(name.named for name in nameable)
        library["names"] = {"named": named, "unnamed": len(nameable) - named}
    report = summarise(features, measured, control, spec.protocol, library)
    return report if primary.text_report is None else replace(report, warnings=(*report.warnings, *primary.text_report.warnings))


def score(
    source: FeatureSet | Backbone,
    spec: ScoreSpec | None = None,
    *,
    dataset: ImageDataset | None = None,
    vlm: VisionLanguageModel | None = None,
    vocabulary: Sequence[Phrase] = (),
    own_vectors: OwnVectors | None = None,
    device: str = "auto",
    progress: ProgressCallback = no_progress,
) -> IISReport:
    """Score a representation: ready features, or a backbone together with a data set.

    Parameters
    ----------
    source : features as `read_features` gives them, or a backbone as `load_backbone` does
    spec : library, elements, protocol and seed; Prototype with M = 200 under `exact` by default
    dataset : the images, where `source` is a backbone
    vlm, vocabulary : a vision-language model and phrases, for instance `shipped("birds").phrases`: they give text concepts, and names
        to visual concepts
    own_vectors : concept vectors as `read_vectors` gives them, for a library of kind `vectors`

    Raises
    ------
    EngineError
        When the input cannot be scored; the message says why and what to send instead.

    References
    ----------
    Shen et al., "Enhancing Pre-trained Representation Classifiability can Boost its Interpretability", ICLR 2025, eqs. 3-7.
    """
    spec = spec or ScoreSpec()
    choose_device(device)  # fails before the work, not after it
    if isinstance(source, FeatureSet):
        return score_features(source, spec, own_vectors=own_vectors, device=device, progress=progress)
    if dataset is None:
        raise TypeError("score() needs dataset=… when it is given a backbone.")
    features = _extract(source, dataset, spec.elements, progress)
    if vlm is None:
        return score_features(features, spec, own_vectors=own_vectors, device=device, progress=progress)
    from iis_engine.vision_language.phrase_embeddings import embed_classes, embed_phrases, join

    kinds = {part.kind for part in spec.library.parts or (spec.library,)}
    phrases, text_source = embed_phrases(vlm, vocabulary), None
    if "text" in kinds:
        with_classes = join(phrases, embed_classes(vlm, features.class_names))
        text_source = TextSource(with_classes, _extract(vlm.images, dataset, None, progress))
    ensemble = build_libraries(features, spec, text_source=text_source, device=device)
    names = None
    if kinds & set(VISUAL_KINDS):
        from iis_engine.libraries.naming import embed_exemplars, name_concepts

        names = name_concepts(ensemble.primary, embed_exemplars(vlm.images, dataset, features, ensemble.primary), phrases)
    return _score_ensemble(features, ensemble, spec, names, device, progress)


def score_features(
    features: FeatureSet,
    spec: ScoreSpec,
    *,
    text_source: TextSource | None = None,
    own_vectors: OwnVectors | None = None,
    device: str = "auto",
    progress: ProgressCallback = no_progress,
) -> IISReport:
    """Score ready features: library, heads, control and report, without any network.

    Parameters
    ----------
    text_source : embeddings for text concepts
    own_vectors : concept vectors of a file
    """
    ensemble = build_libraries(features, spec, text_source=text_source, own_vectors=own_vectors, device=device)
    return _score_ensemble(features, ensemble, spec, None, device, progress)


def fit_predictor(
    features: FeatureSet,
    spec: ScoreSpec | None = None,
    *,
    kept: int | None = None,
    sparsity: float | None = None,
    text_source: TextSource | None = None,
    device: str = "auto",
    progress: ProgressCallback = no_progress,
) -> Predictor:
    """Fit the classifier at one node of the curve that `score` reports for the same features and settings.

    Parameters
    ----------
    kept, sparsity : the node by k or by s; without either the node nearest to max(5, M/10)
    text_source : embeddings for text concepts; their phrases become concept names of the predictor

    Raises
    ------
    EngineError
        When the library cannot be built, the curve has no such node, or the protocol is not `exact`: `reference` stores no heads.
    """
    spec = spec or ScoreSpec()
    if spec.protocol != "exact":
        raise SettingError("The reference protocol stores no heads; fit a predictor with protocol exact.", param="protocol")
    ensemble = build_libraries(features, spec, text_source=text_source, device=device)
    measured = measure_library(features, ensemble, spec, progress, device=device)
    library = ensemble.primary
    phrases = iter(library.text_report.concepts if library.text_report is not None else ())
    names = tuple(next(phrases).phrase if origin == "text" else None for origin in library.origins)
    return replace(PredictorFamily.of(library, measured, features.class_names).at(kept, sparsity=sparsity), concept_names=names)


def _score_ensemble(
    features: FeatureSet,
    ensemble: LibraryEnsemble,
    spec: ScoreSpec,
    names: Sequence[ConceptName | None] | None,
    device: str,
    progress: ProgressCallback,
) -> IISReport:
    measured = measure_library(features, ensemble, spec, progress, device=device)
    primary = ensemble.primary
    control = measure_control(features, len(primary), spec, standardised=primary.origins.count("text"), device=device)
    return assemble(features, ensemble, measured, control, spec, names)


def _extract(backbone: Backbone, dataset: ImageDataset, elements: ElementSpec | None, progress: ProgressCallback) -> FeatureSet:
    from iis_engine.features.extraction import extract_features

    with tempfile.TemporaryDirectory() as folder:
        return extract_features(backbone, dataset, elements, shard_folder=Path(folder), progress=progress)
