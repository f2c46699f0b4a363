"""Questions about one image, or a few posted ones. Each takes what is asked about and the question's own fields; it returns JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from worker.handlers.subject import WARM, Subject, node_form, present
from worker.stages.serialisation import class_form, contributions_form, counterfactual_form, prediction_form, text_form


def explain(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """The explanation of one image."""
    import iis_engine.explanations.explain as why

    family, predictor, names = subject.family, subject.predictor, subject.family.class_names
    index = subject.index
    contrast = None if about["contrast"] is None else why.class_label(names, about["contrast"], "contrast")
    found = why.explain(predictor, subject.activations, contrast=contrast)
    if index is None:
        representation = why.prediction_of(family.baseline_logits(subject.representation)[0].softmax(dim=0))
    else:
        representation = subject.tested.representation(index)
    label = None if index is None else int(subject.tested.labels[index])
    correct = (
        None if label is None else {"representation": representation.label == label, "interpretation": found.prediction.label == label}
    )
    return {
        "image": {
            "index": index,
            "name": None if index is None or not subject.tested.names else subject.tested.names[index],
            "label": None if label is None else names[label],
        },
        **node_form(subject),
        "class_names": list(names),
        "representation": prediction_form(names, representation),
        "interpretation": prediction_form(names, found.prediction),
        "agree": representation.label == found.prediction.label,
        "correct": correct,
        "explained": {"class": names[found.prediction.label], "index": found.prediction.label},
        "contrast": None if contrast is None else {"class": names[contrast], "index": contrast},
        "logit": found.logit,
        "bias": found.bias,
        **contributions_form(found, about["top"]),
        "faithfulness": {name: list(getattr(found.faithfulness, name)) for name in found.faithfulness.__dataclass_fields__},
        "counterfactual": counterfactual_form(names, found),
    }


def intervene(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """The prediction before and after changes to the activations."""
    import iis_engine.explanations.explain as why

    predictor, names = subject.predictor, subject.family.class_names
    changes = why.Changes({int(c): v for c, v in about["set"]}, {int(c): v for c, v in about["scale"]})
    before, after = why.intervene(predictor, subject.activations, changes)
    was, becomes = (predictor.logits(a.unsqueeze(0))[0].softmax(dim=0) for a in (before, after))
    verdicts = why.prediction_of(was), why.prediction_of(becomes)
    changed = sorted({*changes.set, *changes.scale})
    return {
        **node_form(subject),
        "before": prediction_form(names, verdicts[0]),
        "after": prediction_form(names, verdicts[1]),
        "changed": verdicts[0].label != verdicts[1].label,
        "probabilities": [{"class": name, "index": i, "before": float(was[i]), "after": float(becomes[i])} for i, name in enumerate(names)],
        "activations": [{"concept": c, "before": float(before[c]), "after": float(after[c])} for c in changed],
    }


def predict(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """The class, probabilities and weightiest concepts of posted images."""
    import torch

    from iis_engine.explanations.explain import prediction_of

    predictor, names, data = subject.predictor, subject.family.class_names, list[dict[str, Any]]()
    for image in about["images"]:
        sparse = predictor.activations(replace(subject, image=image).representation)
        probabilities = predictor.logits(sparse)[0].softmax(dim=0)
        prediction = prediction_of(probabilities)
        shares = predictor.weights[:, prediction.label] * sparse[0].double()
        weightiest = [i for i in torch.argsort(shares.abs(), descending=True, stable=True)[: about["top"]].tolist() if shares[i] != 0]
        data.append(
            {
                **class_form(names, prediction.label, prediction.probability),
                "probabilities": [class_form(names, label, float(probabilities[label])) for label in range(len(names))],
                "concepts": [{"concept": i, "activation": float(sparse[0, i]), "contribution": float(shares[i])} for i in weightiest],
            }
        )
    return {"data": data}


def picture(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """The image as the network sees it, as PNG."""
    from iis_engine.explanations.heatmaps import png_bytes

    return {"png": text_form(png_bytes(subject.view))}


def heat_map(subject: Subject, about: dict[str, Any]) -> dict[str, Any]:
    """Where one concept is: numbers, and a layer to lay over the picture."""
    from iis_engine.explanations.explain import require_concept
    from iis_engine.explanations.heatmaps import overlay, png_bytes

    concept = about["concept"]
    present("concept", lambda: require_concept(len(subject.family.library), concept, "concept"))
    found, values = heat_maps_of(subject)
    return {
        "concept": concept,
        "exact": found.exact,
        "method": found.method,
        "note": found.note,
        "values": values[concept].tolist(),
        "mean": float(values[concept].double().mean()),
        "activation": float(subject.activations[concept]),
        "raw_mean": float(found.values[concept].double().mean()),
        "raw_activation": float(found.activations[concept]),
        "png": text_form(png_bytes(overlay(values[concept], subject.backbone.input_size))),
    }


def heat_maps_of(subject: Subject) -> tuple[Any, Any]:
    """The heat maps of every concept, raw and on the scale of activations: (HeatMaps, (M, h, w)).

    Computed together, since occlusion takes dozens of forward passes whatever the number of concepts.
    """
    from iis_engine.explanations.heatmaps import heat_maps, normalised_maps

    def look() -> tuple[Any, Any]:
        library = subject.family.library
        found = heat_maps(subject.backbone, library.vectors, subject.batch)
        return found, normalised_maps(found, library)

    return WARM.get(("maps", subject.files["predictors"], *subject.image_key), look)
