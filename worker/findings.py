"""What an engine's verdicts, contributions and counterfactuals are as JSON: classes by name, concepts by number. In the compute process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def class_json(names: Sequence[str], label: int, probability: float) -> dict[str, Any]:
    """A class and how likely it is."""
    return {"class": names[label], "index": label, "probability": probability}


def verdict_json(names: Sequence[str], verdict: Any) -> dict[str, Any]:
    """What a head says."""
    return {**class_json(names, verdict.label, verdict.probability), "top": [class_json(names, *each) for each in verdict.top]}


def contributions_json(found: Any, top: int) -> dict[str, Any]:
    """Up to `top` contributions for and as many against, largest first, and the sum and number of those that are not listed."""
    values = found.contributions
    listed = [i for i in values.abs().argsort(descending=True, stable=True).tolist() if values[i] != 0]
    shown = {
        "supporting": [i for i in listed if values[i] > 0][:top],
        "opposing": [i for i in listed if values[i] < 0][:top],
    }
    named = {i for members in shown.values() for i in members}
    return {
        **{
            sign: [{"concept": i, "activation": float(found.activations[i]), "contribution": float(values[i])} for i in members]
            for sign, members in shown.items()
        },
        "remainder": float(sum(values[i] for i in listed if i not in named)),
        "remaining": len(listed) - len(named),
    }


def counterfactual_json(names: Sequence[str], found: Any) -> dict[str, Any] | None:
    """The fewest concepts whose removal changes the prediction, and to what."""
    if found.counterfactual is None:
        return None
    other = found.counterfactual
    removed = [{"concept": i, "contribution": float(found.contributions[i])} for i in other.removed]
    return {"removed": removed, **class_json(names, other.label, other.probability)}
