"""How answers are written: classes, verdicts, nodes of the curve and bytes as JSON. Computes nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from worker.subjects import Subject


def node_form(subject: Subject) -> dict[str, Any]:
    from iis_engine.predictor import sparsity_of

    family, predictor = subject.family, subject.predictor
    count = len(family.library)
    nodes = [{"kept": kept, "sparsity": sparsity_of(kept, count)} for kept in family.nodes]
    return {"kept": predictor.kept, "sparsity": predictor.sparsity, "concept_count": count, "nodes": nodes}


def verdict_form(names: Sequence[str], verdict: Any) -> dict[str, Any]:
    return {**class_form(names, verdict.label, verdict.probability), "top": [class_form(names, *each) for each in verdict.top]}


def class_form(names: Sequence[str], label: int, probability: float) -> dict[str, Any]:
    return {"class": names[label], "index": label, "probability": probability}


def present(noun: str, look: Callable[[], Any]) -> Any:
    """What `look` gives; its refusal becomes one of something that is not at the address asked for."""
    from iis_engine.errors import SettingError

    try:
        return look()
    except SettingError as error:
        raise SettingError(str(error), code=f"{noun}_absent") from error


def text_form(content: bytes) -> str:
    return base64.b64encode(content).decode()
