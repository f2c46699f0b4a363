"""Queries about all test images: outcomes, classes and concepts."""

from __future__ import annotations

from collections.abc import Sequence

from worker.handlers.scored_job import CACHE, ScoredJob, with_absent_code
from worker.sandbox.messages import JsonObject
from worker.stages.serialisation import class_to_json, node_to_json

TOP_CLASSES = 5
TOP_IMAGES = 8
LEVEL_IMAGES = 4
MAX_CONFUSION_CLASSES = 60  # a matrix of more classes is too large to send and to show


def outcomes(job: ScoredJob, query: JsonObject) -> JsonObject:
    """Test images after index `after` that match the filters, up to one more than `limit`."""
    import torch

    from iis_engine.errors import SettingError
    from iis_engine.explanations.explain import class_label

    test_set, predicted, names = job.test_set, job.outcomes, job.family.class_names
    matching = torch.arange(len(test_set)) > (-1 if query["after"] is None else query["after"])
    if query["wrong"] and test_set.label_matrix is not None:
        raise SettingError("An image of multi-label data has no wrong class; leave wrong out.", code="multi_label", param="wrong")
    if query["wrong"]:
        matching &= predicted.labels != test_set.labels
    if query["disagree"]:
        matching &= predicted.labels != test_set.top_labels[:, 0]
    if query["class"] is not None:
        matching &= test_set.has_label(class_label(names, query["class"], "class"))
    filtered = {"predicted": predicted.labels, "predicted_by_representation": test_set.top_labels[:, 0]}
    for field, labels in filtered.items():
        if query[field] is not None:
            matching &= labels == class_label(names, query[field], field)
    if query["min_confidence"] is not None:
        matching &= predicted.probabilities >= query["min_confidence"]
    if query["max_confidence"] is not None:
        matching &= predicted.probabilities <= query["max_confidence"]
    rows = matching.nonzero().flatten()[: query["limit"] + 1].tolist()
    return {
        "data": [
            {
                "index": row,
                "name": test_set.names[row] if test_set.names else None,
                **_true_labels(job, row),
                "representation": class_to_json(names, int(test_set.top_labels[row, 0]), float(test_set.top_probabilities[row, 0])),
                "interpretation": class_to_json(names, int(predicted.labels[row]), float(predicted.probabilities[row])),
            }
            for row in rows
        ],
        "total": int(matching.sum()),
    }


def classes(job: ScoredJob, query: JsonObject) -> JsonObject:
    """Number of test images and accuracies of every class; both confusion matrices unless there are many classes or several labels."""
    from iis_engine.explanations.test_set import class_accuracies, confusion_counts

    accuracies = class_accuracies(job.test_set, job.outcomes, job.predictor)
    count = len(job.family.class_names)
    confusion = None
    if count <= MAX_CONFUSION_CLASSES and _quantity(job) == "accuracy":
        heads = {"representation": job.test_set.top_labels[:, 0], "interpretation": job.outcomes.labels}
        confusion = {name: confusion_counts(job.test_set.labels, predicted, count) for name, predicted in heads.items()}
    return {
        **node_to_json(job.family, job.predictor),
        "data": [
            {
                "class": name,
                "index": label,
                "test_images": images,
                "quantity": _quantity(job),
                "accuracy": {"representation": baseline, "interpretation": accuracy},
            }
            for label, (name, (images, baseline, accuracy)) in enumerate(zip(job.family.class_names, accuracies, strict=True))
        ],
        "confusion": confusion,
    }


def class_view(job: ScoredJob, query: JsonObject) -> JsonObject:
    """Weights and mean contributions of the concepts of one class, its accuracies, and the classes it is confused with."""
    from iis_engine.explanations.explain import class_label
    from iis_engine.explanations.test_set import class_profile

    names = job.family.class_names
    label = with_absent_code("class", lambda: class_label(names, query["class"], "class"))
    profile = class_profile(job.test_set, job.outcomes, job.predictor, label)
    weights = [(i, float(w), float(c)) for i, (w, c) in enumerate(zip(profile.weights, profile.mean_contributions, strict=True))]
    signs = {"supporting": sorted(weights, key=lambda entry: -entry[1]), "opposing": sorted(weights, key=lambda entry: entry[1])}
    return {
        **node_to_json(job.family, job.predictor),
        "quantity": _quantity(job),
        "class": names[label],
        "index": label,
        "test_images": profile.images,
        "accuracy": {"representation": profile.baseline_accuracy, "interpretation": profile.accuracy},
        "bias": profile.bias,
        **{
            sign: [
                {"concept": i, "weight": weight, "mean_contribution": mean}
                for i, weight, mean in ordered[: query["top"]]
                if (weight > 0) == (sign == "supporting") and weight != 0
            ]
            for sign, ordered in signs.items()
        },
        "confused_with": [{"class": names[other], "index": other, "count": count} for other, count in profile.confused_with],
    }


def concepts(job: ScoredJob, query: JsonObject) -> JsonObject:
    """Use of the concepts after index `after`, up to one more than `limit`."""
    first = 0 if query["after"] is None else query["after"] + 1
    count = len(job.family.library)
    return {**node_to_json(job.family, job.predictor), "data": _concept_uses(job, range(first, min(first + query["limit"] + 1, count)))}


def concept_view(job: ScoredJob, query: JsonObject) -> JsonObject:
    """One concept: its use, the classes it supports and opposes most, its activations and the test images at each of their levels."""
    from iis_engine.explanations.explain import require_concept
    from iis_engine.explanations.test_set import activation_histogram, levels_of_activation

    concept, names, test_set = query["concept"], job.family.class_names, job.test_set
    with_absent_code("concept", lambda: require_concept(len(job.family.library), concept, "concept"))
    weights = job.predictor.weights[concept]
    order = weights.argsort(descending=True, stable=True).tolist()
    by_class = [{"class": names[label], "index": label, "weight": float(weights[label])} for label in order]
    column = test_set.activations[:, concept]
    top = column.argsort(descending=True, stable=True)[:TOP_IMAGES].tolist()
    edges, counts = activation_histogram(column)

    def images(rows: list[int]) -> list[JsonObject]:
        return [
            {
                "index": i,
                "name": test_set.names[i] if test_set.names else None,
                **_true_labels(job, i),
                "activation": float(column[i]),
            }
            for i in rows
        ]

    return {
        **node_to_json(job.family, job.predictor),
        **_concept_uses(job, [concept])[0],
        "serves": [one for one in by_class[:TOP_CLASSES] if one["weight"] > 0],
        "hinders": [one for one in by_class[::-1][:TOP_CLASSES] if one["weight"] < 0],
        "top_images": images(top),
        "histogram": {"edges": edges, "counts": counts},
        "levels": {level: images(rows) for level, rows in levels_of_activation(column, LEVEL_IMAGES).items()},
    }


def _quantity(job: ScoredJob) -> str:
    return "average_precision" if job.family.is_multi_label else "accuracy"


def _true_labels(job: ScoredJob, index: int) -> JsonObject:
    """The true class of a test image; of multi-label data its labels."""
    named = [job.family.class_names[label] for label in job.test_set.labels_of(index)]
    return {"label": None, "labels": named} if job.family.is_multi_label else {"label": named[0], "labels": None}


def _concept_uses(job: ScoredJob, concepts: Sequence[int]) -> list[JsonObject]:
    from iis_engine.explanations.test_set import concept_use, near_duplicates

    use = CACHE.get(
        ("use", *job.scored_files, job.predictor.kept),
        lambda: concept_use(job.test_set, job.outcomes, job.predictor),
    )
    return [
        {
            "concept": concept,
            "firing_rate": float(use.firing_rates[concept]),
            "never_fires": float(use.firing_rates[concept]) == 0,
            "importance": float(use.importances[concept]),
            "duplicates": [{"concept": other, "cosine": cosine} for other, cosine in near],
        }
        for concept, near in zip(concepts, near_duplicates(job.predictor, concepts), strict=True)
    ]
