"""Warnings of a report: chance-level accuracy, ARR above 1, small classes, the optimistic protocol."""

from __future__ import annotations

import torch

from iis_engine.features.feature_set import FeatureSet
from iis_engine.report import IISReport

OPTIMISTIC = "The reference protocol selects epochs and learning rates on the test set, so its numbers are optimistic."
FEW_TRAINING_IMAGES = 5  # of a class: with fewer the report warns
FEW_TEST_IMAGES = 20  # of a label: with fewer the report warns, as average precision is biased
CLASSES_NAMED = 5


def report_warnings(report: IISReport, features: FeatureSet) -> tuple[str, ...]:
    """The warnings of the features, then those of the report."""
    optimistic = OPTIMISTIC if report.optimistic else None
    found = (_chance_level(report), _arr_above_one(report), _small_classes(features), _few_positives(features), optimistic)
    return (*features.warnings, *(warning for warning in found if warning is not None))


def _chance_level(report: IISReport) -> str | None:
    if report.accuracy_representation_low > report.chance:
        return None
    if report.quantity != "accuracy":
        return (
            f"The representation classifies no better than chance (mean average precision {report.accuracy_representation:.3f}, 95 % "
            f"interval {report.accuracy_representation_low:.3f} to {report.accuracy_representation_high:.3f}; equal scores for all images "
            f"give {report.chance:.3f}), so its ARR and IIS carry no information."
        )
    return (
        f"The representation classifies no better than chance ({report.accuracy_representation:.3f}, 95 % interval "
        f"{report.accuracy_representation_low:.3f} to {report.accuracy_representation_high:.3f}; always predicting the most frequent class "
        f"gives {report.chance:.3f}), so its ARR and IIS carry no information."
    )


def _arr_above_one(report: IISReport) -> str | None:
    above = sum(point.arr_low > 1 for point in report.points)
    if not above:
        return None
    return (
        f"ARR exceeds 1 at {above} of {len(report.points)} nodes beyond its interval: there the sparse head generalises better than "
        "the head on the whole representation."
    )


def _small_classes(features: FeatureSet) -> str | None:
    labels, singular, plural = features.labels_train, "class", "classes"
    if labels is None:
        counts = [int((features.y_train == label).sum()) for label in range(features.class_count)]
    else:
        counts, singular, plural = labels.sum(dim=0, dtype=torch.int64).tolist(), "label", "labels"
    few = [name for name, count in zip(features.class_names, counts, strict=True) if count < FEW_TRAINING_IMAGES]
    if not few:
        return None
    subject = f"1 {singular} has" if len(few) == 1 else f"{len(few)} {plural} have"
    return f"{subject} fewer than five training images ({', '.join(few[:CLASSES_NAMED])})."


def _few_positives(features: FeatureSet) -> str | None:
    """The labels of multi-label data with few test images, whose average precision lies above its limit for many images."""
    if features.labels_test is None:
        return None
    counts: list[int] = features.labels_test.sum(dim=0, dtype=torch.int64).tolist()
    few = [name for name, count in zip(features.class_names, counts, strict=True) if 0 < count < FEW_TEST_IMAGES]
    if not few:
        return None
    subject, pronoun = ("1 label has", "Its") if len(few) == 1 else (f"{len(few)} labels have", "Their")
    return (
        f"{subject} fewer than {FEW_TEST_IMAGES} test images ({', '.join(few[:CLASSES_NAMED])}). {pronoun} average precision is "
        "higher than it would be with more images; the intervals are of test sets of this size."
    )
