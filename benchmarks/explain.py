"""Milliseconds to explain the prediction of a stored test image, at ten and at a thousand classes, and what takes them.

The activations are there already, as they are for a scored job; heads and activations are drawn at random, for their values change
nothing. Medians; processor time of all threads stands beside the wall's, which others lengthen where they share the cores. A thousand
classes are those of ImageNet.
"""

from __future__ import annotations

import statistics

import torch

from benchmarks.timing import timed
from iis_engine.explanations.explain import Explanation, counterfactual, explain, faithfulness
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.scoring.predictor import Predictor

CONCEPT_COUNT = 200  # M
CLASS_COUNTS = (10, 1000)
KEPT_COUNTS = (20, 200)
IMAGES = 100


def main() -> None:
    """Print one line for each number of classes and of kept concepts."""
    for classes in CLASS_COUNTS:
        for kept in KEPT_COUNTS:
            print_milliseconds(classes, kept)


def print_milliseconds(classes: int, kept: int) -> None:
    """Explain every image once; then take the two costly parts alone."""
    generator = torch.Generator().manual_seed(0)
    library = ConceptLibrary("random", torch.eye(CONCEPT_COUNT), ("random",) * CONCEPT_COUNT, ())
    names = tuple(str(label) for label in range(classes))
    head = 0.3 * torch.randn(CONCEPT_COUNT + 1, classes, generator=generator)
    predictor = Predictor(library, kept, head, names, (None,) * CONCEPT_COUNT)
    activations = torch.randn(IMAGES, CONCEPT_COUNT, generator=generator)
    explain(predictor, activations[0])  # warms up
    whole: list[float] = []
    processor: list[float] = []
    curves: list[float] = []
    removals: list[float] = []
    for row in activations:
        spent, found = timed(lambda row=row: explained_whole(predictor, row))
        whole.append(spent.wall)
        processor.append(spent.cpu)
        label = found.prediction.label
        curves.append(timed(lambda f=found, c=label: faithfulness(predictor, f.activations, c, f.contributions))[0].wall)
        removals.append(timed(lambda f=found, c=label: counterfactual(predictor, f.activations, c))[0].wall)
    all_of_it, cpu, faithful, counter = (1e3 * statistics.median(times) for times in (whole, processor, curves, removals))
    print(
        f"EXPLAIN classes {classes} kept {kept} of {CONCEPT_COUNT}: {all_of_it:.2f} ms ({cpu:.2f} of processor time); "
        f"faithfulness {faithful:.2f} ms ({faithful / all_of_it:.0%}), counterfactual {counter:.2f} ms ({counter / all_of_it:.0%})",
        flush=True,
    )


def explained_whole(predictor: Predictor, activations: torch.Tensor) -> Explanation:
    """An explanation with its curves and its counterfactual, which are computed when they are asked for."""
    found = explain(predictor, activations)
    _ = found.faithfulness, found.counterfactual
    return found


if __name__ == "__main__":
    main()
