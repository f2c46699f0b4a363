"""Time to explain the prediction for a stored test image, with ten and a thousand classes, and its largest parts.

Activations are given, as for a scored job. Heads and activations are random, since their values do not affect the time. Prints medians of
wall time, and processor time of all threads, which other programs on the same cores do not lengthen.
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
IMAGE_COUNT = 100


def main() -> None:
    """Print a line for each number of classes and of kept concepts."""
    for classes in CLASS_COUNTS:
        for kept in KEPT_COUNTS:
            print_milliseconds(classes, kept)


def print_milliseconds(classes: int, kept: int) -> None:
    """Time the explanation of every image, then its two most expensive parts alone."""
    generator = torch.Generator().manual_seed(0)
    library = ConceptLibrary("random", torch.eye(CONCEPT_COUNT), ("random",) * CONCEPT_COUNT, ())
    names = tuple(str(label) for label in range(classes))
    head = 0.3 * torch.randn(CONCEPT_COUNT + 1, classes, generator=generator)
    predictor = Predictor(library, kept, head, names, (None,) * CONCEPT_COUNT)
    activations = torch.randn(IMAGE_COUNT, CONCEPT_COUNT, generator=generator)
    explain(predictor, activations[0])  # warms up
    whole: list[float] = []
    processor: list[float] = []
    curves: list[float] = []
    removals: list[float] = []
    for row in activations:
        spent, found = timed(lambda row=row: explain_completely(predictor, row))
        whole.append(spent.wall)
        processor.append(spent.cpu)
        label = found.prediction.label
        curves.append(timed(lambda f=found, c=label: faithfulness(predictor, f.activations, c, f.contributions))[0].wall)
        removals.append(timed(lambda f=found, c=label: counterfactual(predictor, f.activations, c))[0].wall)
    total, cpu, faithful, counter = (1e3 * statistics.median(times) for times in (whole, processor, curves, removals))
    print(
        f"EXPLAIN classes {classes} kept {kept} of {CONCEPT_COUNT}: {total:.2f} ms ({cpu:.2f} of processor time); "
        f"faithfulness {faithful:.2f} ms ({faithful / total:.0%}), counterfactual {counter:.2f} ms ({counter / total:.0%})",
        flush=True,
    )


def explain_completely(predictor: Predictor, activations: torch.Tensor) -> Explanation:
    """An explanation with its faithfulness and counterfactual, which are computed on first access."""
    found = explain(predictor, activations)
    _ = found.faithfulness, found.counterfactual
    return found


if __name__ == "__main__":
    main()
