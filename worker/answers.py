"""Questions about a scored job, answered in the compute process from files at hand. What the parent fetches for them: `worker.questions`.

Each kind takes a `Subject`, what is asked about, and the question's own fields; it returns JSON. Numbers of concepts, not their names:
names and crops are rows of the database, which the API adds.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from worker.extracting import Reporter
from worker.findings import class_json, contributions_json, counterfactual_json, verdict_json
from worker.subjects import WARM, Subject

SERVED = 5
TOP_IMAGES = 8


Kind = Callable[[Subject, dict[str, Any]], dict[str, Any]]


def answer(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The stage: one question of the kind that `arguments` names."""
    WARM.limit_bytes = arguments["warm_bytes"]
    about = arguments["about"]
    subject = Subject(
        arguments["files"],
        arguments["model"],
        arguments["dataset_folder"],
        arguments["dataset"],
        about.get("kept"),
        about.get("sparsity"),
        about.get("image"),
    )
    return KINDS[arguments["kind"]](subject, about)


def outcomes(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """Test images behind index `after` that the filters let through, one more than `limit`."""
    import torch

    from iis_engine.explain import class_label

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
                "representation": class_json(names, int(tested.top_labels[row, 0]), float(tested.top_probabilities[row, 0])),
                "interpretation": class_json(names, int(found.labels[row]), float(found.probabilities[row])),
            }
            for row in rows
        ],
        "total": int(wanted.sum()),
    }


def explain(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """The explanation of one image."""
    import iis_engine.explain as why

    family, predictor, names = subject.family, subject.predictor, subject.family.class_names
    index = subject.index
    contrast = None if about["contrast"] is None else why.class_label(names, about["contrast"], "contrast")
    found = why.explain(predictor, subject.activations, contrast=contrast)
    if index is None:
        representation = why.verdict_of(family.baseline_logits(subject.seen.representation)[0].softmax(dim=0))
    else:
        representation = subject.tested.representation(index)
    label = None if index is None else int(subject.tested.labels[index])
    correct = None if label is None else {"representation": representation.label == label, "interpretation": found.verdict.label == label}
    return {
        "image": {
            "index": index,
            "name": None if index is None or not subject.tested.names else subject.tested.names[index],
            "label": None if label is None else names[label],
        },
        **_node(subject),
        "class_names": list(names),
        "representation": verdict_json(names, representation),
        "interpretation": verdict_json(names, found.verdict),
        "agree": representation.label == found.verdict.label,
        "correct": correct,
        "explained": {"class": names[found.verdict.label], "index": found.verdict.label},
        "contrast": None if contrast is None else {"class": names[contrast], "index": contrast},
        "logit": found.logit,
        "bias": found.bias,
        **contributions_json(found, about["top"]),
        "faithfulness": {name: list(getattr(found.faithfulness, name)) for name in found.faithfulness.__dataclass_fields__},
        "counterfactual": counterfactual_json(names, found),
    }


def intervene(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """The prediction before and after changes to the activations."""
    import iis_engine.explain as why

    predictor, names = subject.predictor, subject.family.class_names
    changes = why.Changes({int(c): v for c, v in about["set"]}, {int(c): v for c, v in about["scale"]})
    before, after = why.intervene(predictor, subject.activations, changes)
    was, becomes = (predictor.logits(a.unsqueeze(0))[0].softmax(dim=0) for a in (before, after))
    verdicts = why.verdict_of(was), why.verdict_of(becomes)
    changed = sorted({*changes.set, *changes.scale})
    return {
        **_node(subject),
        "before": verdict_json(names, verdicts[0]),
        "after": verdict_json(names, verdicts[1]),
        "changed": verdicts[0].label != verdicts[1].label,
        "probabilities": [{"class": name, "index": i, "before": float(was[i]), "after": float(becomes[i])} for i, name in enumerate(names)],
        "activations": [{"concept": c, "before": float(before[c]), "after": float(after[c])} for c in changed],
    }


def picture(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """The image as the network sees it, as PNG."""
    from iis_engine.heatmaps import png_bytes

    return {"png": _text(png_bytes(subject.seen.view))}


def heat_map(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """Where one concept is: numbers, and a layer to lay over the picture."""
    from iis_engine.explain import require_concept
    from iis_engine.heatmaps import heat_maps, overlay, png_bytes

    library, concept = subject.family.library, about["concept"]
    _present("concept", lambda: require_concept(len(library), concept, "concept"))
    backbone = subject.backbone
    found = heat_maps(backbone, library.vectors[concept : concept + 1], subject.seen.batch)
    return {
        "concept": concept,
        "exact": found.exact,
        "method": found.method,
        "note": found.note,
        "values": found.values[0].tolist(),
        "mean": float(found.values[0].double().mean()),
        "activation": float(found.activations[0]),
        "png": _text(png_bytes(overlay(found.values[0], backbone.input_size))),
    }


def classes(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """Test images and accuracies of every class."""
    from iis_engine.tested import class_accuracies

    found = class_accuracies(subject.tested, subject.outcomes, len(subject.family.class_names))
    return {
        **_node(subject),
        "data": [
            {"class": name, "index": label, "test_images": images, "accuracy": {"representation": theirs, "interpretation": ours}}
            for label, (name, (images, theirs, ours)) in enumerate(zip(subject.family.class_names, found, strict=True))
        ],
    }


def class_view(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """What one class is made of."""
    from iis_engine.explain import class_label
    from iis_engine.tested import class_profile

    names = subject.family.class_names
    label = _present("class", lambda: class_label(names, about["class"], "class"))
    found = class_profile(subject.tested, subject.outcomes, subject.predictor, label)
    weighed = [(i, float(w), float(c)) for i, (w, c) in enumerate(zip(found.weights, found.mean_contributions, strict=True))]
    signs = {"supporting": sorted(weighed, key=lambda one: -one[1]), "opposing": sorted(weighed, key=lambda one: one[1])}
    return {
        **_node(subject),
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
    return {**_node(subject), "data": _concepts(subject, range(first, min(first + about["limit"] + 1, count)))}


def concept_view(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """One concept: how it is used, which classes it serves, and the test images that activate it most."""
    from iis_engine.explain import require_concept

    concept, names, tested = about["concept"], subject.family.class_names, subject.tested
    _present("concept", lambda: require_concept(len(subject.family.library), concept, "concept"))
    weights = subject.predictor.weights[concept]
    order = weights.argsort(descending=True, stable=True).tolist()
    served = [{"class": names[label], "index": label, "weight": float(weights[label])} for label in order]
    column = tested.activations[:, concept]
    top = column.argsort(descending=True, stable=True)[:TOP_IMAGES].tolist()
    return {
        **_node(subject),
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


KINDS: dict[str, Kind] = {
    kind.__name__: kind for kind in (outcomes, explain, intervene, picture, heat_map, classes, class_view, concepts, concept_view)
}


def _concepts(subject: Subject, wanted: Sequence[int]) -> list[dict[str, Any]]:
    from iis_engine.tested import concept_use, near_duplicates

    use = WARM.get(
        ("use", subject.files["tested"], subject.predictor.kept),
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


def _node(subject: Subject) -> dict[str, Any]:
    from iis_engine.nodes import sparsity_of

    family, predictor = subject.family, subject.predictor
    count = len(family.library)
    nodes = [{"kept": kept, "sparsity": sparsity_of(kept, count)} for kept in family.nodes]
    return {"kept": predictor.kept, "sparsity": predictor.sparsity, "concept_count": count, "nodes": nodes}


def _present(noun: str, look: Callable[[], Any]) -> Any:
    """What `look` gives; its refusal becomes one of something that is not at the address asked for."""
    from iis_engine.errors import SettingError

    try:
        return look()
    except SettingError as error:
        raise SettingError(str(error), code=f"{noun}_absent") from error


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
