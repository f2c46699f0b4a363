"""How answers are written: classes, verdicts, nodes of the curve and bytes as JSON. Computes nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any


def prediction_form(names: Sequence[str], prediction: Any) -> dict[str, Any]:
    return {**class_form(names, prediction.label, prediction.probability), "top": [class_form(names, *each) for each in prediction.top]}


def class_form(names: Sequence[str], label: int, probability: float) -> dict[str, Any]:
    return {"class": names[label], "index": label, "probability": probability}


def text_form(content: bytes) -> str:
    return base64.b64encode(content).decode()


def contributions_form(found: Any, top: int) -> dict[str, Any]:
    """Up to `top` contributions for and as many against, largest first, and the sum and number of those that are not listed."""
    values: list[float] = found.contributions.tolist()
    listed = [i for i in found.contributions.abs().argsort(descending=True, stable=True).tolist() if values[i] != 0]
    shown = {
        "supporting": [i for i in listed if values[i] > 0][:top],
        "opposing": [i for i in listed if values[i] < 0][:top],
    }
    named = {i for members in shown.values() for i in members}
    return {
        **{
            sign: [{"concept": i, "activation": float(found.activations[i]), "contribution": values[i]} for i in members]
            for sign, members in shown.items()
        },
        "remainder": float(sum(values[i] for i in listed if i not in named)),
        "remaining": len(listed) - len(named),
    }


def counterfactual_form(names: Sequence[str], found: Any) -> dict[str, Any] | None:
    """The fewest concepts whose removal changes the prediction, and to what."""
    if found.counterfactual is None:
        return None
    other = found.counterfactual
    removed = [{"concept": i, "contribution": float(found.contributions[i])} for i in other.removed]
    return {"removed": removed, **class_form(names, other.label, other.probability)}
