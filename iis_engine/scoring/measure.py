"""Measure the curves of a library and of its two controls under the protocol of a score."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from iis_engine import protocols
from iis_engine.backbones.devices import choose_device
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.controls import isotropic, matched
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.scoring.ensemble import LibraryEnsemble
from iis_engine.scoring.exact import measure_exact
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.reference import measure_reference
from iis_engine.specs import ScoreSpec


def measure_library(
    features: FeatureSet, ensemble: LibraryEnsemble, spec: ScoreSpec, progress: ProgressCallback = no_progress, *, device: str = "auto"
) -> Measurement:
    """Measure the curve of an ensemble under the protocol of `spec`."""
    return _measure(features, ensemble.libraries, spec.library.kind, spec, progress, device)


def measure_isotropic(
    features: FeatureSet, origins: Sequence[str], spec: ScoreSpec, progress: ProgressCallback = no_progress, *, device: str = "auto"
) -> Measurement:
    """Measure the isotropic control: Gaussian directions under the protocol and seed of `spec`.

    It depends on nothing else of the library, so that libraries with the same blocks share it.

    Parameters
    ----------
    origins : of the library's concepts; its blocks are normalised in the same way
    """
    dimension = features.X_train.shape[1]
    return _measure(features, [isotropic(origins, dimension, seed) for seed in _control_seeds(spec)], "random", spec, progress, device)


def measure_matched(
    features: FeatureSet,
    libraries: Sequence[ConceptLibrary],
    spec: ScoreSpec,
    progress: ProgressCallback = no_progress,
    *,
    device: str = "auto",
) -> Measurement:
    """Measure the matched control under the protocol and seed of `spec`.

    Parameters
    ----------
    libraries : of `matched_libraries`
    """
    return _measure(features, libraries, "random", spec, progress, device)


def matched_libraries(ensemble: LibraryEnsemble, spec: ScoreSpec) -> list[ConceptLibrary]:
    """The control libraries that match an ensemble, each drawn like one of its libraries in turn."""
    sources = cycle(ensemble.libraries)
    return [matched(library, seed) for library, seed in zip(sources, _control_seeds(spec), strict=False)]


def _control_seeds(spec: ScoreSpec) -> range:
    first = spec.seed + protocols.CONTROL_SEED_OFFSET
    return range(first, first + protocols.CONTROL_SEEDS)


def _measure(
    features: FeatureSet, libraries: Sequence[ConceptLibrary], kind: str, spec: ScoreSpec, progress: ProgressCallback, device: str
) -> Measurement:
    where = choose_device(device)
    if spec.protocol == "exact":
        return measure_exact(features, libraries, spec.seed, where, calibrated=spec.edition == 2, progress=progress)
    return measure_reference(features, libraries, kind, spec.seed, where, progress)
