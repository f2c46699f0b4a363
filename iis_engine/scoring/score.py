"""Score a representation: from features, or a backbone and images, to a report or a classifier; in one call or stage by stage."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from iis_engine import protocols
from iis_engine.backbones.devices import choose_device
from iis_engine.errors import SettingError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.text import TextSource
from iis_engine.libraries.vectors import OwnVectors
from iis_engine.panel.panel import Panel
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.report import IISReport
from iis_engine.scoring.ensemble import LibraryEnsemble, build_libraries
from iis_engine.scoring.measure import matched_libraries, measure_isotropic, measure_library, measure_matched, measure_score_panel
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.predictor import Predictor, PredictorFamily
from iis_engine.scoring.summary import Controls, summarise
from iis_engine.specs import VISUAL_KINDS, ElementSpec, LibrarySpec, ScoreSpec
from iis_engine.versions import ENGINE_VERSION

MULTI_LABEL_NOTE = (
    "The data are multi-label: the heads are one-vs-rest, and every accuracy of this report, ARR and IIS are of the mean average "
    "precision over the labels that have a test image. Balanced accuracy and the panel are of single-label data alone."
)

if TYPE_CHECKING:
    from iis_engine.backbones.backbone import Backbone
    from iis_engine.data.image_dataset import ImageDataset
    from iis_engine.libraries.naming import ConceptName
    from iis_engine.vision_language.model import VisionLanguageModel
    from iis_engine.vocabularies.phrases import Phrase


def assemble(
    features: FeatureSet,
    ensemble: LibraryEnsemble,
    measured: Measurement,
    controls: Controls,
    spec: ScoreSpec,
    names: Sequence[ConceptName | None] | None = None,
    panel: Panel | None = None,
) -> IISReport:
    """The report from the measurements, with a summary of the concepts' phrases or names.

    Parameters
    ----------
    measured, controls : of the ensemble and of its controls
    names : per concept of the primary library; None where concepts were not named
    panel : measures beside the score
    """
    primary = ensemble.primary
    library: dict[str, Any] = {"kind": primary.kind, "concept_count": len(primary), "seeds": len(ensemble.libraries)}
    if spec.library.parts:
        library["parts"] = [{"kind": kind, "concept_count": count} for kind, count in Counter(primary.origins).items()]
    if features.element_refs and set(primary.origins) & set(VISUAL_KINDS):
        library["elements"] = _elements(spec)
    if primary.text_report is not None:
        library["text"] = primary.text_report.summary()
    if names is not None:
        nameable = [name for name in names if name is not None]
        named = sum(name.named for name in nameable)
        library["names"] = {"named": named, "unnamed": len(nameable) - named}
    scales = spec.elements.scales if set(kinds_of(spec.library)) & set(VISUAL_KINDS) else ()
    report = summarise(features, measured, controls, spec.protocol, library, edition=spec.edition, scales=scales)
    configuration = score_configuration(spec)
    if features.is_multi_label:
        configuration |= {"task": "multi_label", "quantity": measured.quantity, "heads": "one-vs-rest"}
    report = replace(report, configuration=configuration, notes=(*features.notes, *_notes(measured, ensemble, spec)))
    if panel is not None:
        report = replace(report, panel=panel.to_dict(), warnings=(*report.warnings, *panel.warnings))
    return report if primary.text_report is None else replace(report, warnings=(*report.warnings, *primary.text_report.warnings))


def score_configuration(spec: ScoreSpec) -> dict[str, Any]:
    """What the engine's part of a score depends on, beside features and library, and where it is assembled."""
    elements = _elements(spec) if set(kinds_of(spec.library)) & set(VISUAL_KINDS) else None
    device = choose_device().type
    return {
        "engine_version": ENGINE_VERSION,
        "protocol": spec.protocol,
        "activations": spec.activations if spec.protocol == "exact" else None,
        "seed": spec.seed,
        "elements": elements,
        "library_seeds": protocols.LIBRARY_SEEDS if spec.protocol == "exact" else 1,
        "control_seeds": protocols.CONTROL_SEEDS,
        "device": device,
        "precision": "float32" if device == "cpu" else "float32; of the network bfloat16 or float16",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _elements(spec: ScoreSpec) -> dict[str, Any]:
    """The settings of the elements as JSON values."""
    return asdict(spec.elements) | {"scales": list(spec.elements.scales)}


def kinds_of(library: LibrarySpec) -> tuple[str, ...]:
    """The kinds of a library's parts; its own kind where it has none."""
    return tuple(part.kind for part in library.parts or (library,))


def _notes(measured: Measurement, ensemble: LibraryEnsemble, spec: ScoreSpec) -> tuple[str, ...]:
    notes = [MULTI_LABEL_NOTE] if measured.quantity == "mean_average_precision" else list[str]()
    if at_end := int(measured.solver.get("nodes_at_end_of_grid", 0)):
        nodes = f"{at_end} of {len(measured.kept)} nodes"
        notes.append(f"At {nodes} the last L2 strength of the widened grid was selected; a further one might do better.")
    if "text" in ensemble.primary.origins and spec.protocol == "exact" and len(ensemble.libraries) == 1:
        notes.append(
            "The text library was fitted before, so its matched control is drawn like its directions, not fitted to random targets."
        )
    return tuple(notes)


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

    kinds = set(kinds_of(spec.library))
    phrases, text_source = embed_phrases(vlm, vocabulary), None
    if "text" in kinds:
        with_classes = join(phrases, embed_classes(vlm, features.class_names))
        text_source = TextSource(with_classes, _extract(vlm.images, dataset, None, progress))
    ensemble = build_libraries(features, spec, text_source=text_source, device=device)
    names = None
    if kinds & set(VISUAL_KINDS):
        from iis_engine.libraries.naming import embed_exemplars, name_concepts

        names = name_concepts(ensemble.primary, embed_exemplars(vlm.images, dataset, features, ensemble.primary), phrases)
    return _score_ensemble(features, ensemble, spec, names, device, progress, text_source)


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
    return _score_ensemble(features, ensemble, spec, None, device, progress, text_source)


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
    text_source: TextSource | None,
) -> IISReport:
    measured = measure_library(features, ensemble, spec, progress, device=device)
    return complete_report(features, ensemble, measured, spec, names, text_source=text_source, device=device)[0]


def complete_report(
    features: FeatureSet,
    ensemble: LibraryEnsemble,
    measured: Measurement,
    spec: ScoreSpec,
    names: Sequence[ConceptName | None] | None = None,
    *,
    text_source: TextSource | None = None,
    device: str = "auto",
    progress: ProgressCallback = no_progress,
) -> tuple[IISReport, Panel | None]:
    """Measure both controls and the panel beside a measured library; return the report, and the panel with its concepts.

    Multi-label data have no panel.

    Parameters
    ----------
    names : per concept of the primary library; None where concepts were not named
    text_source : embeddings for text concepts
    progress : of the controls
    """
    matched = matched_libraries(features, ensemble, spec, text_source=text_source, device=device)
    controls = Controls(
        isotropic=measure_isotropic(features, ensemble.primary.origins, spec, progress, device=device),
        matched=measure_matched(features, matched, spec, progress, device=device),
    )
    panel = measure_score_panel(features, ensemble, matched, measured, spec, device=device)
    return assemble(features, ensemble, measured, controls, spec, names, panel), panel


def _extract(backbone: Backbone, dataset: ImageDataset, elements: ElementSpec | None, progress: ProgressCallback) -> FeatureSet:
    from iis_engine.features.extraction import extract_features

    with tempfile.TemporaryDirectory() as folder:
        return extract_features(backbone, dataset, elements, shard_folder=Path(folder), progress=progress)
