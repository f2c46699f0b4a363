"""Queries about one image, or several posted images: explanation, intervention, prediction, heat map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from worker.handlers.scored_job import CACHE, ScoredJob, with_absent_code
from worker.sandbox.messages import JsonObject
from worker.stages.serialisation import (
    bytes_to_base64,
    class_to_json,
    contributions_to_json,
    counterfactual_to_json,
    label_to_json,
    node_to_json,
    prediction_to_json,
)

if TYPE_CHECKING:
    from torch import Tensor

    from iis_engine.explanations.heatmaps import HeatMaps


def explain(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The explanation of one image."""
    import iis_engine.explanations.explain as explanations
    from iis_engine.explanations.explain_labels import explain_labels

    family, predictor, names = job.family, job.predictor, job.family.class_names
    index, novelty = job.index, job.novelty
    contrast = None if query["contrast"] is None else explanations.class_label(names, query["contrast"], "contrast")
    of_labels = explain_labels(predictor, job.activations, contrast=contrast) if family.is_multi_label else ()
    explanation = of_labels[0] if of_labels else explanations.explain(predictor, job.activations, contrast=contrast)
    prediction = explanation.prediction
    if index is None:
        representation = explanations.prediction_of(family.baseline_probabilities(job.representation)[0])
    else:
        representation = job.test_set.representation(index)
    label = None if index is None or family.is_multi_label else int(job.test_set.labels[index])
    true = None if index is None or not family.is_multi_label else [names[each] for each in job.test_set.labels_of(index)]
    correct = None if label is None else {"representation": representation.label == label, "interpretation": prediction.label == label}
    return {
        "image": {
            "index": index,
            "name": None if index is None or not job.test_set.names else job.test_set.names[index],
            "label": None if label is None else names[label],
            "labels": true,
            "test_images": None if index is None else len(job.test_set),
        },
        **node_to_json(family, predictor),
        "class_names": list(names),
        "representation": prediction_to_json(names, representation),
        "interpretation": prediction_to_json(names, prediction),
        "agree": representation.label == prediction.label,
        "correct": correct,
        "explained": {"class": names[prediction.label], "index": prediction.label},
        "contrast": None if contrast is None else {"class": names[contrast], "index": contrast},
        "logit": explanation.logit,
        "bias": explanation.bias,
        **contributions_to_json(explanation, query["top"]),
        "faithfulness": {name: list(getattr(explanation.faithfulness, name)) for name in explanation.faithfulness.__dataclass_fields__},
        "counterfactual": counterfactual_to_json(names, explanation),
        "labels": [label_to_json(each, query["top"], true) for each in of_labels] or None,
        "novelty": None if novelty is None else {**vars(novelty), "unlike": novelty.is_unlike},
    }


def intervene(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The prediction before and after changes to the activations."""
    import iis_engine.explanations.explain as explanations

    family, predictor, names = job.family, job.predictor, job.family.class_names
    changes = explanations.Changes({int(c): v for c, v in query["set"]}, {int(c): v for c, v in query["scale"]})
    before, after = explanations.intervene(predictor, job.activations, changes)
    probabilities_before, probabilities_after = (predictor.probabilities(a.unsqueeze(0))[0] for a in (before, after))
    prediction_before, prediction_after = map(explanations.prediction_of, (probabilities_before, probabilities_after))
    changed = sorted({*changes.set, *changes.scale})
    return {
        **node_to_json(family, predictor),
        "before": prediction_to_json(names, prediction_before),
        "after": prediction_to_json(names, prediction_after),
        "changed": prediction_before.label != prediction_after.label,
        "probabilities": [
            {"class": name, "index": i, "before": float(probabilities_before[i]), "after": float(probabilities_after[i])}
            for i, name in enumerate(names)
        ],
        "activations": [{"concept": c, "before": float(before[c]), "after": float(after[c])} for c in changed],
    }


def predict(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The class, probabilities and largest contributions of posted images."""
    import torch

    from iis_engine.explanations.explain import prediction_of

    predictor, names, data = job.predictor, job.family.class_names, list[JsonObject]()
    for image in query["images"]:
        sparse = predictor.activations(replace(job, image=image).representation)
        probabilities = predictor.probabilities(sparse)[0]
        prediction = prediction_of(probabilities)
        contributions = predictor.weights[:, prediction.label] * sparse[0].double()
        order = torch.argsort(contributions.abs(), descending=True, stable=True)[: query["top"]].tolist()
        largest = [i for i in order if contributions[i] != 0]
        data.append(
            {
                **class_to_json(names, prediction.label, prediction.probability),
                "probabilities": [class_to_json(names, label, float(probabilities[label])) for label in range(len(names))],
                "concepts": [{"concept": i, "activation": float(sparse[0, i]), "contribution": float(contributions[i])} for i in largest],
            }
        )
    return {"data": data}


def picture(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The image as the network sees it, as PNG."""
    from iis_engine.explanations.heatmaps import png_bytes

    return {"png": bytes_to_base64(png_bytes(job.view))}


def heat_map(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The heat map of one concept: numbers, and a transparent PNG to show over the image."""
    from iis_engine.explanations.heatmaps import overlay, png_bytes

    concept = query["concept"]
    numbers = _heat_map_numbers(job, concept)
    _, values = heat_maps_of(job)
    return numbers | {"png": bytes_to_base64(png_bytes(overlay(values[concept], job.backbone.input_size)))}


def several_heat_maps(job: ScoredJob, query: JsonObject) -> JsonObject:
    """The heat maps of several concepts as numbers."""
    return {"data": [_heat_map_numbers(job, concept) for concept in query["concepts"]]}


def _heat_map_numbers(job: ScoredJob, concept: int) -> JsonObject:
    from iis_engine.explanations.explain import require_concept

    with_absent_code("concept", lambda: require_concept(len(job.family.library), concept, "concept"))
    maps, values = heat_maps_of(job)
    return {
        "concept": concept,
        "exact": maps.exact,
        "method": maps.method,
        "note": maps.note,
        "values": values[concept].tolist(),
        "mean": float(values[concept].double().mean()),
        "activation": float(job.activations[concept]),
        "raw_mean": float(maps.values[concept].double().mean()),
        "raw_activation": float(maps.activations[concept]),
    }


def heat_maps_of(job: ScoredJob) -> tuple[HeatMaps, Tensor]:
    """Heat maps of every concept: raw, and (M, h, w) normalised to the scale of activations.

    All are computed together because occlusion takes the same forward passes for one concept as for all.
    """
    from iis_engine.explanations.heatmaps import heat_maps, normalised_maps

    def compute() -> tuple[HeatMaps, Tensor]:
        library = job.family.library
        maps = heat_maps(job.backbone, library.vectors, job.batch)
        return maps, normalised_maps(maps, library)

    return CACHE.get(("maps", job.files["predictors"], *job.image_key), compute)
