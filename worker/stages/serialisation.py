"""JSON forms of predictions, explanations and bytes, shared by stages and query handlers. Computes nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject

if TYPE_CHECKING:
    from iis_engine.explanations.explain import Explanation, Prediction
    from iis_engine.explanations.explain_labels import LabelExplanation
    from iis_engine.scoring.predictor import Predictor, PredictorFamily


def class_to_json(names: Sequence[str], label: int, probability: float) -> JsonObject:
    """A class by name and index, with its probability."""
    return {"class": names[label], "index": label, "probability": probability}


def prediction_to_json(names: Sequence[str], prediction: Prediction) -> JsonObject:
    """The predicted class, and the most probable classes under `top`."""
    top = [class_to_json(names, *each) for each in prediction.top]
    return {**class_to_json(names, prediction.label, prediction.probability), "top": top}


def node_to_json(family: PredictorFamily, predictor: Predictor) -> JsonObject:
    """The predictor's node of the curve, and all nodes of its family."""
    from iis_engine.nodes import sparsity_of

    concept_count = len(family.library)
    nodes = [{"kept": kept, "sparsity": sparsity_of(kept, concept_count)} for kept in family.nodes]
    return {"kept": predictor.kept, "sparsity": predictor.sparsity, "concept_count": concept_count, "nodes": nodes}


def contributions_to_json(explanation: Explanation, top: int) -> JsonObject:
    """Up to `top` supporting and as many opposing contributions, largest first, and the sum and number of the others."""
    values: list[float] = explanation.contributions.tolist()
    ordered = [i for i in explanation.contributions.abs().argsort(descending=True, stable=True).tolist() if values[i] != 0]
    listed = {
        "supporting": [i for i in ordered if values[i] > 0][:top],
        "opposing": [i for i in ordered if values[i] < 0][:top],
    }
    listed_concepts = {i for concepts in listed.values() for i in concepts}
    return {
        **{
            sign: [{"concept": i, "activation": float(explanation.activations[i]), "contribution": values[i]} for i in concepts]
            for sign, concepts in listed.items()
        },
        "remainder": float(sum(values[i] for i in ordered if i not in listed_concepts)),
        "remaining": len(ordered) - len(listed_concepts),
    }


def counterfactual_to_json(names: Sequence[str], explanation: Explanation | LabelExplanation) -> JsonObject | None:
    """The fewest concepts whose removal changes the prediction, and the new prediction; None where no removal changes it."""
    from iis_engine.explanations.explain_labels import LabelExplanation

    counterfactual = explanation.counterfactual
    if counterfactual is None:
        return None
    removed = [{"concept": i, "contribution": float(explanation.contributions[i])} for i in counterfactual.removed]
    if isinstance(explanation, LabelExplanation):  # against the absence of the label
        names = explanation.binary.class_names
    return {"removed": removed, **class_to_json(names, counterfactual.label, counterfactual.probability)}


def label_to_json(explanation: LabelExplanation, top: int, true: Sequence[str] | None) -> JsonObject:
    """One label of an image of multi-label data, with its contributions.

    Parameters
    ----------
    true : labels of the image; None where they are not known
    """
    name = explanation.predictor.class_names[explanation.label]
    return {
        **class_to_json(explanation.predictor.class_names, explanation.label, explanation.probability),
        "is_true": None if true is None else name in true,
        "logit": explanation.logit,
        "bias": explanation.bias,
        **contributions_to_json(explanation, top),
    }


def bytes_to_base64(content: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(content).decode()
