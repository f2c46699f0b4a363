"""Warnings of a report: chance-level accuracy, ARR above 1, small classes, the optimistic protocol."""

from __future__ import annotations

from iis_engine.features.feature_set import FeatureSet
from iis_engine.report import IISReport

OPTIMISTIC = "The reference protocol selects epochs and learning rates on the test set, so its numbers are optimistic."
FEW_TRAINING_IMAGES = 5  # of a class: with fewer the report warns
CLASSES_NAMED = 5


def report_warnings(report: IISReport, features: FeatureSet) -> tuple[str, ...]:
    """The warnings of the features, then those of the report."""
    found = (_chance_level(report), _arr_above_one(report), _small_classes(features), OPTIMISTIC if report.optimistic else None)
    return (*features.warnings, *(warning for warning in found if warning is not None))


def _chance_level(report: IISReport) -> str | None:
    if report.accuracy_representation_low > report.chance:
        return None
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
    few = [name for label, name in enumerate(features.class_names) if int((features.y_train == label).sum()) < FEW_TRAINING_IMAGES]
    if not few:
        return None
    return f"{len(few)} classes have fewer than five training images ({', '.join(few[:CLASSES_NAMED])})."
