"""Questions about all test images: outcomes, classes and concepts. Each takes what is asked about and the question's own fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.handlers.subject import WARM, Subject, node_form, present
from worker.stages.serialisation import class_form

SERVED = 5
TOP_IMAGES = 8


def outcomes(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """Test images behind index `after` that the filters let through, one more than `limit`."""
    import torch

    from iis_engine.explanations.explain import class_label

    tested, found, names = subject.tested, subject.outcomes, subject.family.class_names
    wanted = torch.arange(len(tested)) > (-1 if about["after"] is None else about["after"])
    if about["wrong"]:
        wanted &= found.labels != tested.labels
    if about["disagree"]:
        wanted &= found.labels != tested.top_labels[:, 0]
    for field, labels in (("class", tested.labels), ("predicted", found.labels)):
        if about[field] is not None:
            wanted &= labels == class_label(names, about[field], field)
    rows = wanted.nonzero().flatten()[: about["limit"] + 1].tolist()
    return {
        "data": [
            {
                "index": row,
                "name": tested.names[row] if tested.names else None,
                "label": names[int(tested.labels[row])],
                "representation": class_form(names, int(tested.top_labels[row, 0]), float(tested.top_probabilities[row, 0])),
                "interpretation": class_form(names, int(found.labels[row]), float(found.probabilities[row])),
            }
            for row in rows
        ],
        "total": int(wanted.sum()),
    }


def classes(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """Test images and accuracies of every class."""
    from iis_engine.explanations.test_set import class_accuracies

    found = class_accuracies(subject.tested, subject.outcomes, len(subject.family.class_names))
    return {
        **node_form(subject),
        "data": [
            {"class": name, "index": label, "test_images": images, "accuracy": {"representation": theirs, "interpretation": ours}}
            for label, (name, (images, theirs, ours)) in enumerate(zip(subject.family.class_names, found, strict=True))
        ],
    }


def class_view(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """What one class is made of."""
    from iis_engine.explanations.explain import class_label
    from iis_engine.explanations.test_set import class_profile

    names = subject.family.class_names
    label = present("class", lambda: class_label(names, about["class"], "class"))
    found = class_profile(subject.tested, subject.outcomes, subject.predictor, label)
    weighed = [(i, float(w), float(c)) for i, (w, c) in enumerate(zip(found.weights, found.mean_contributions, strict=True))]
    signs = {"supporting": sorted(weighed, key=lambda one: -one[1]), "opposing": sorted(weighed, key=lambda one: one[1])}
    return {
        **node_form(subject),
        "class": names[label],
        "index": label,
        "test_images": found.images,
        "accuracy": {"representation": found.baseline_accuracy, "interpretation": found.accuracy},
        "bias": found.bias,
        **{
            sign: [
                {"concept": i, "weight": weight, "mean_contribution": mean}
                for i, weight, mean in ordered[: about["top"]]
                if (weight > 0) == (sign == "supporting") and weight != 0
            ]
            for sign, ordered in signs.items()
        },
        "confused_with": [{"class": names[other], "index": other, "count": count} for other, count in found.confused_with],
    }


def concepts(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """How the concepts behind index `after` are used, one more than `limit` of them."""
    first = 0 if about["after"] is None else about["after"] + 1
    count = len(subject.family.library)
    return {**node_form(subject), "data": _concepts(subject, range(first, min(first + about["limit"] + 1, count)))}


def concept_view(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """One concept: how it is used, which classes it serves, and the test images that activate it most."""
    from iis_engine.explanations.explain import require_concept

    concept, names, tested = about["concept"], subject.family.class_names, subject.tested
    present("concept", lambda: require_concept(len(subject.family.library), concept, "concept"))
    weights = subject.predictor.weights[concept]
    order = weights.argsort(descending=True, stable=True).tolist()
    served = [{"class": names[label], "index": label, "weight": float(weights[label])} for label in order]
    column = tested.activations[:, concept]
    top = column.argsort(descending=True, stable=True)[:TOP_IMAGES].tolist()
    return {
        **node_form(subject),
        **_concepts(subject, [concept])[0],
        "serves": [one for one in served[:SERVED] if one["weight"] > 0],
        "hinders": [one for one in served[::-1][:SERVED] if one["weight"] < 0],
        "top_images": [
            {
                "index": i,
                "name": tested.names[i] if tested.names else None,
                "label": names[int(tested.labels[i])],
                "activation": float(column[i]),
            }
            for i in top
        ],
    }


def _concepts(subject: Subject, wanted: Sequence[int]) -> list[dict[str, Any]]:
    from iis_engine.explanations.test_set import concept_use, near_duplicates

    use = WARM.get(
        ("use", *subject.scored, subject.predictor.kept),
        lambda: concept_use(subject.tested, subject.outcomes, subject.predictor),
    )
    return [
        {
            "concept": concept,
            "firing_rate": float(use.firing_rates[concept]),
            "never_fires": float(use.firing_rates[concept]) == 0,
            "importance": float(use.importances[concept]),
            "duplicates": [{"concept": other, "cosine": cosine} for other, cosine in near],
        }
        for concept, near in zip(wanted, near_duplicates(subject.predictor, wanted), strict=True)
    ]
