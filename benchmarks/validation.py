"""Representations with planted concepts, scored through right, entangled and wrong directions. No network: see recovery.py.

    python -m benchmarks.validation [entanglement] [distraction] [recovery] [labels]

prints the tables of docs/validation.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.timing import machine
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.report import IISReport
from iis_engine.scoring.ensemble import LibraryEnsemble, build_libraries
from iis_engine.scoring.measure import matched_libraries, measure_isotropic, measure_library, measure_matched
from iis_engine.scoring.score import assemble
from iis_engine.scoring.summary import Controls
from iis_engine.specs import LibrarySpec, ScoreSpec

DIMENSION = 64
CONCEPTS = 40
CLASSES = 8
CONCEPTS_PER_CLASS = 5
ANGLES_DEGREES = (0, 15, 30, 45, 60, 75, 90)
DISTRACTOR_DEVIATIONS = (0.0, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class World:
    """A representation with known concepts.

    Attributes
    ----------
    directions : (K, d) the true concepts, orthonormal
    features : rows f = offset + concepts present · directions + distractors + noise; elements show one concept each
    """

    directions: Tensor
    features: FeatureSet


def plant(
    *,
    seed: int = 0,
    offset: float = 3.0,
    distractors: float = 1.0,
    correlated: bool = False,
    hierarchical: bool = False,
    train: int = 1600,
    test: int = 1200,
) -> World:
    """Draw a world in which every class shows a few concepts of its own more often than others.

    Parameters
    ----------
    offset : length of a constant added to f
    distractors : standard deviation along the axes without concepts
    correlated : whether concepts come in pairs that are present together
    hierarchical : whether half of the concepts are present only with a parent of the other half
    """
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=generator, dtype=torch.float64)).Q.float()
    directions, others = basis[:CONCEPTS], basis[CONCEPTS:]
    constant = offset * normalize(torch.randn(DIMENSION, generator=generator), dim=0)
    rate = torch.full((CLASSES, CONCEPTS), 0.05)
    for label in range(CLASSES):
        rate[label, torch.arange(CONCEPTS_PER_CLASS) + CONCEPTS_PER_CLASS * label] = 0.6

    def present(y: Tensor) -> Tensor:
        shown = (torch.rand(len(y), CONCEPTS, generator=generator) < rate[y]).float()
        if correlated:
            shown[:, 1::2] = torch.where(torch.rand(len(y), CONCEPTS // 2, generator=generator) < 0.8, shown[:, ::2], shown[:, 1::2])
        if hierarchical:
            shown[:, 1::2] *= shown[:, ::2]
        return shown

    def rows(shown: Tensor) -> Tensor:
        noise = 0.1 * torch.randn(len(shown), DIMENSION, generator=generator)
        return constant + shown @ directions + distractors * torch.randn(len(shown), len(others), generator=generator) @ others + noise

    y_train, y_test = torch.arange(train) % CLASSES, torch.arange(test) % CLASSES
    crops = torch.eye(CONCEPTS).repeat(6, 1)
    elements = constant + crops @ directions + 0.15 * torch.randn(len(crops), DIMENSION, generator=generator)
    names = tuple(f"class {label}" for label in range(CLASSES))
    features = FeatureSet(rows(present(y_train)), y_train, rows(present(y_test)), y_test, names, elements)
    return World(directions, features)


def score_directions(features: FeatureSet, draws: Sequence[Tensor]) -> IISReport:
    """The report of ready directions, one library for each draw."""
    libraries = tuple(
        ConceptLibrary("random", normalize(vectors, dim=1), ("random",) * len(vectors), ((),) * len(vectors)) for vectors in draws
    )
    return score_ensemble(features, LibraryEnsemble(libraries), ScoreSpec(LibrarySpec("random", len(draws[0]))))


def turned(directions: Tensor, degrees: float, seed: int) -> Tensor:
    """Each direction turned by an angle towards a random mixture of all the others: 0 is disentangled, 90 fully entangled."""
    generator = torch.Generator().manual_seed(seed)
    mixture = torch.randn(len(directions), len(directions), generator=generator)
    mixture.fill_diagonal_(0)
    others = normalize(mixture @ directions, dim=1)
    angle = math.radians(degrees)
    return math.cos(angle) * directions + math.sin(angle) * others


def recovery(found: Tensor, directions: Tensor) -> float:
    """Mean cosine of the true directions with their best distinct match among the found ones (Hungarian matching)."""
    cosines = (normalize(found.double(), dim=1) @ directions.double().T).numpy()
    return float(cosines[linear_sum_assignment(-cosines)].mean())


def score_ensemble(features: FeatureSet, ensemble: LibraryEnsemble, spec: ScoreSpec) -> IISReport:
    """The report of ready libraries with both controls, without the panel."""
    measured = measure_library(features, ensemble, spec, device="cpu")
    isotropic = measure_isotropic(features, ensemble.primary.origins, spec, device="cpu")
    matched = measure_matched(features, matched_libraries(features, ensemble, spec, device="cpu"), spec, device="cpu")
    return assemble(features, ensemble, measured, Controls(isotropic, matched), spec)


def table_row(name: str, report: IISReport, *more: str) -> str:
    """A line of the table below `HEAD`, with further columns."""
    matched, isotropic = report.controls["matched"], report.controls["isotropic"]
    columns = (
        name,
        f"{report.few_concepts_mean:.3f}",
        f"{matched.few_gain:+.3f} [{matched.few_gain_low:+.3f}, {matched.few_gain_high:+.3f}]",
        f"{isotropic.few_gain:+.3f} [{isotropic.few_gain_low:+.3f}, {isotropic.few_gain_high:+.3f}]",
        "withheld" if report.iis is None else f"{report.iis:.3f}",
        report.verdict["code"],
        *more,
    )
    return f"| {' | '.join(columns)} |"


HEAD = "| library | few | over matched | over isotropic | IIS | verdict |"


def entanglement() -> None:
    """The true directions, turned further and further into each other: every number must fall."""
    world = plant()
    print("\nEntanglement: true directions turned towards the others\n" + HEAD)
    for degrees in ANGLES_DEGREES:
        draws = [turned(world.directions, degrees, seed) for seed in range(5)]
        print(table_row(f"{degrees} degrees", score_directions(world.features, draws)), flush=True)


def distraction() -> None:
    """The true directions beside more and more variance on axes without concepts: the controls must fall, the true directions hardly."""
    print("\nDistraction: true directions, deviation of the axes without concepts\n" + HEAD + " accuracy of h |")
    for deviation in DISTRACTOR_DEVIATIONS:
        world = plant(distractors=deviation)
        report = score_directions(world.features, [world.directions])
        print(table_row(f"deviation {deviation:g}", report, f"{report.accuracy_representation:.3f}"), flush=True)


def recovered() -> None:
    """Libraries built from crops that show one concept each, in worlds of several kinds."""
    worlds: dict[str, Callable[[], World]] = {
        "plain": plant,
        "offset 100": lambda: plant(offset=100.0),
        "no distractors": lambda: plant(distractors=0.0),
        "correlated": lambda: plant(correlated=True),
        "hierarchical": lambda: plant(hierarchical=True),
    }
    print("\nRecovery: true directions and libraries of crops\n" + HEAD + " cosine with the true |")
    for name, draw in worlds.items():
        world = draw()
        report = score_directions(world.features, [world.directions])
        print(table_row(f"{name}: true directions", report, "1.000"), flush=True)
        for kind in ("cluster", "prototype", "random"):
            spec = ScoreSpec(LibrarySpec(kind, CONCEPTS))
            ensemble = build_libraries(world.features, spec, device="cpu")
            found = recovery(ensemble.primary.vectors, world.directions)
            print(table_row(f"{name}: {kind}", score_ensemble(world.features, ensemble, spec), f"{found:.3f}"), flush=True)


def labels_without_concepts() -> None:
    """The same representation with permuted training labels: there is nothing to read."""
    world = plant()
    y = world.features.y_train[torch.randperm(len(world.features.y_train), generator=torch.Generator().manual_seed(0))]
    report = score_directions(replace(world.features, y_train=y), [world.directions])
    print("\nPermuted labels: the true directions\n" + HEAD + " accuracy of h |")
    print(table_row("true directions", report, f"{report.accuracy_representation:.3f}"), flush=True)


TABLES: dict[str, Callable[[], None]] = {
    "entanglement": entanglement,
    "distraction": distraction,
    "recovery": recovered,
    "labels": labels_without_concepts,
}


def main() -> None:
    """Print the tables that are named, all by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}")
    names: list[str] = parser.parse_args().tables
    torch.set_num_threads(1)
    print(machine())
    for name, table in TABLES.items():
        if not names or name in names:
            table()


if __name__ == "__main__":
    main()
