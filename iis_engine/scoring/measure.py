"""Measure the curves of a library and of its two controls under the protocol of a score, and the panel beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from iis_engine import protocols
from iis_engine.backbones.devices import choose_device
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.calibration import calibrate
from iis_engine.libraries.controls import isotropic, matched, with_block
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.matched_text import build_matched_text
from iis_engine.libraries.text import TextSource
from iis_engine.panel.panel import Panel, measure_panel
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.scoring.ensemble import LibraryEnsemble
from iis_engine.scoring.exact import choose_strengths, measure_exact, measure_seeds
from iis_engine.scoring.exact_parts import SeedCurve, StrengthChoice
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.reference import measure_reference
from iis_engine.specs import ScoreSpec


def measure_library(
    features: FeatureSet, ensemble: LibraryEnsemble, spec: ScoreSpec, progress: ProgressCallback = no_progress, *, device: str = "auto"
) -> Measurement:
    """Measure the curve of an ensemble under the protocol of `spec`."""
    return measure_libraries(features, ensemble.libraries, spec.library.kind, spec, progress, device=device)


def measure_isotropic(
    features: FeatureSet, origins: Sequence[str], spec: ScoreSpec, progress: ProgressCallback = no_progress, *, device: str = "auto"
) -> Measurement:
    """Measure the isotropic control: Gaussian directions under the protocol and seed of `spec`.

    It depends on nothing else of the library, so that libraries with the same blocks share it.

    Parameters
    ----------
    origins : of the library's concepts; its blocks are normalised in the same way
    """
    return measure_libraries(features, isotropic_controls(features, origins, spec), "random", spec, progress, device=device)


def isotropic_controls(features: FeatureSet, origins: Sequence[str], spec: ScoreSpec) -> list[ConceptLibrary]:
    """The libraries of the isotropic control, one for each of its seeds."""
    return [isotropic(origins, features.X_train.shape[1], seed) for seed in _control_seeds(spec)]


def measure_matched(
    features: FeatureSet,
    controls: LibraryEnsemble,
    spec: ScoreSpec,
    progress: ProgressCallback = no_progress,
    *,
    device: str = "auto",
) -> Measurement:
    """Measure the matched control under the protocol and seed of `spec`.

    Parameters
    ----------
    controls : of `matched_libraries`
    """
    return measure_libraries(features, controls.libraries, "random", spec, progress, device=device)


def measure_libraries(
    features: FeatureSet,
    libraries: Sequence[ConceptLibrary],
    kind: str,
    spec: ScoreSpec,
    progress: ProgressCallback = no_progress,
    *,
    device: str = "auto",
) -> Measurement:
    """Measure the curves of library seeds of one kind under the protocol of `spec`."""
    where = choose_device(device)
    if spec.protocol == "exact":
        return measure_exact(features, libraries, spec.seed, where, calibrated=spec.edition == 2, progress=progress)
    return measure_reference(features, libraries, kind, spec.seed, where, progress)


def choose_library_strengths(features: FeatureSet, first: ConceptLibrary, spec: ScoreSpec, *, device: str = "auto") -> StrengthChoice:
    """The part of `measure_libraries` under `exact` that all seeds share.

    Parameters
    ----------
    first : the library of the first seed
    """
    return choose_strengths(features, first, spec.seed, choose_device(device), calibrated=spec.edition == 2)


def measure_library_seeds(
    features: FeatureSet, libraries: Mapping[int, ConceptLibrary], choice: StrengthChoice, spec: ScoreSpec, *, device: str = "auto"
) -> list[SeedCurve]:
    """The part of `measure_libraries` under `exact` that is of some seeds, by number; `exact_parts.joined` joins all."""
    return measure_seeds(features, libraries, choice, spec.seed, choose_device(device))


def matched_libraries(
    features: FeatureSet, ensemble: LibraryEnsemble, spec: ScoreSpec, *, text_source: TextSource | None = None, device: str = "auto"
) -> LibraryEnsemble:
    """The control libraries that match an ensemble, each drawn like one of its libraries in turn (METHOD §2).

    Parameters
    ----------
    text_source : embeddings for text concepts, whose control is fitted to random targets; without them, as for a library that was fitted
        before, it is drawn like the fitted directions
    """
    where = choose_device(device)
    texts = [part for part in spec.library.parts or (spec.library,) if part.kind == "text"]
    controls: list[ConceptLibrary] = []
    for library, seed in zip(cycle(ensemble.libraries), _control_seeds(spec), strict=False):
        control = matched(library, seed)
        if text_source is not None and texts:
            words = build_matched_text(features, text_source, library, texts[0], seed, where)
            control = with_block(control, "text", words.vectors)
        controls.append(control)
    return LibraryEnsemble(tuple(controls))


def measure_score_panel(
    features: FeatureSet,
    ensemble: LibraryEnsemble,
    controls: LibraryEnsemble,
    measured: Measurement,
    spec: ScoreSpec,
    progress: ProgressCallback = no_progress,
    *,
    device: str = "auto",
) -> Panel | None:
    """Measure the panel of a score: its libraries and matched controls with the activations of its edition; None for multi-label data."""
    if features.is_multi_label:
        return None
    libraries, matched_ones = ensemble.libraries, controls.libraries
    if spec.edition == 2:
        libraries, matched_ones = _calibrated(features, libraries), _calibrated(features, matched_ones)
    where = choose_device(device)
    return measure_panel(features, libraries, matched_ones, measured.kept, measured.heads, device=where, progress=progress)


def _calibrated(features: FeatureSet, libraries: Sequence[ConceptLibrary]) -> Sequence[ConceptLibrary]:
    """Libraries with the activations of the second edition. The ordered copy of the features ends here, since the panel makes its own."""
    X = in_canonical_order(features).X_train
    return [calibrate(library, X).apply(library) for library in libraries]


def _control_seeds(spec: ScoreSpec) -> range:
    first = spec.seed + protocols.CONTROL_SEED_OFFSET
    return range(first, first + protocols.CONTROL_SEEDS)
