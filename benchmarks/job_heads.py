"""All heads of one score job on one core and on all cores, and the authors' procedure for as many curves.

A job measures five library seeds and five seeds of each control (15 curves), with the selection of strengths and the refined nodes. The
authors' procedure is timed for one curve at the paper's eight sparsities and three learning rates, with all cores; 15 curves take 15 times
as long.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

import torch
from torch.utils.data import TensorDataset

from benchmarks.authors import curve_like_authors
from benchmarks.golden import golden_features
from benchmarks.timing import exit_on_signals, machine, print_ratio, timed
from iis_engine import protocols
from iis_engine.features.feature_set import FeatureSet
from iis_engine.scoring.ensemble import LibraryEnsemble, build_libraries
from iis_engine.scoring.measure import matched_libraries, measure_isotropic, measure_library, measure_matched
from iis_engine.scoring.measurement import Measurement
from iis_engine.specs import LibrarySpec, ScoreSpec

CONCEPT_COUNT = 200  # M
ROUNDS = 3


def main(names: Sequence[str]) -> None:
    """Time the given representations, or both."""
    exit_on_signals()
    cores = torch.get_num_threads()
    print(machine(), flush=True)
    for name in names or ("digits_trained", "cifar_resnet20"):
        features = golden_features(name)
        if features is None:
            sys.exit(f"The representation {name} is missing.")
        compare(name, features, cores)


def compare(name: str, features: FeatureSet, cores: int) -> None:
    """Print the lines of one representation."""
    spec = ScoreSpec(library=LibrarySpec("prototype", CONCEPT_COUNT))
    ensemble = build_libraries(features, spec)
    controls = matched_libraries(features, ensemble, spec)
    seconds: dict[int, list[float]] = {1: [], cores: []}
    found: dict[int, list[Measurement]] = {}
    measure(features, ensemble, controls, spec)  # warms up
    for _ in range(ROUNDS):
        for threads, times in seconds.items():
            torch.set_num_threads(threads)
            elapsed, found[threads] = timed(lambda: measure(features, ensemble, controls, spec))
            times.append(elapsed.wall)
    torch.set_num_threads(cores)
    one, many = (statistics.median(seconds[threads]) for threads in (1, cores))
    print_ratio(f"heads_of_job_{name}_on_{cores}_cores_against_1", many, one)
    same = all(torch.equal(a.correct, b.correct) for a, b in zip(found[1], found[cores], strict=True))
    print(
        f"BENCH heads_of_job_{name} same_decisions={same} evaluations={sum(one.solver['evaluations'] for one in found[1]):.0f}", flush=True
    )
    train, test = TensorDataset(features.X_train, features.y_train), TensorDataset(features.X_test, features.y_test)
    vectors = ensemble.primary.vectors
    authors, _ = timed(
        lambda: curve_like_authors(train, test, vectors, protocols.PAPER_SPARSITIES, protocols.LEARNING_RATES, features.class_count)
    )
    curves = sum(len(measured.correct) for measured in found[1])
    print_ratio(f"heads_of_job_{name}_against_authors_{curves}_curves", many, curves * authors.wall)


def measure(features: FeatureSet, ensemble: LibraryEnsemble, controls: LibraryEnsemble, spec: ScoreSpec) -> list[Measurement]:
    """The curves of the library and of both controls."""
    return [
        measure_library(features, ensemble, spec),
        measure_isotropic(features, ensemble.primary.origins, spec),
        measure_matched(features, controls, spec),
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
