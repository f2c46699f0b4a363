"""Build the rows of a batch of explanations, one per image. `worker.stages.explanation_files` writes and counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.serialisation import contributions_to_json, counterfactual_to_json

if TYPE_CHECKING:
    from torch import Tensor

    from iis_engine.explanations.explain import Explanation, Prediction
    from iis_engine.scoring.predictor import Predictor

EXPLANATION_FIELDS = (
    *("representation", "representation_probability", "interpretation", "interpretation_probability"),
    *("agree", "representation_correct", "interpretation_correct", "contrast"),
    *("logit", "bias", "concepts", "remainder", "remaining", "counterfactual"),
)


@dataclass(frozen=True)
class EmbeddedImage:
    """A readable image, ready to be explained.

    Attributes
    ----------
    label : the true class, None where it is unknown, and of multi-label data
    activations : (M,) float32, dense
    representation : the prediction of the network's own head h
    labels : the true labels of multi-label data, none where they are unknown
    """

    index: int
    name: str | None
    label: int | None
    activations: Tensor
    representation: Prediction
    labels: Sequence[int] = ()


@dataclass(frozen=True)
class UnreadableImage:
    """An image that could not be read, with the reason."""

    index: int
    name: str
    error: str


class RowBuilder:
    """Builds rows.

    Parameters
    ----------
    contrast : explain each prediction against this class where it differs; None explains it alone
    top : number of supporting and of opposing concepts in a row
    concepts : (label, origin) of each concept
    """

    def __init__(self, predictor: Predictor, contrast: int | None, top: int, concepts: Sequence[Sequence[str | None]]) -> None:
        self._predictor, self._contrast, self._top, self._concepts = predictor, contrast, top, concepts

    def row(self, image: EmbeddedImage | UnreadableImage) -> JsonObject:
        """The row of one image, with all fields of `explanation_files.SCHEMA` in their order."""
        if isinstance(image, UnreadableImage):
            head = {"index": image.index, "name": as_utf8(image.name), "label": None, "error": image.error}
            return head | dict.fromkeys(EXPLANATION_FIELDS) | {"concepts": []}
        name = None if image.name is None else as_utf8(image.name)
        names = self._predictor.class_names
        label = "|".join(names[each] for each in image.labels) or None if image.label is None else names[image.label]
        head = {"index": image.index, "name": name, "label": label, "error": None}
        return head | dict(zip(EXPLANATION_FIELDS, self._explain(image), strict=True))

    def _explain(self, image: EmbeddedImage) -> tuple[object, ...]:
        """Values of `EXPLANATION_FIELDS`."""
        from iis_engine.explanations.explain import explain
        from iis_engine.explanations.explain_labels import explain_labels

        predictor, names, representation = self._predictor, self._predictor.class_names, image.representation
        explanation = explain_labels(predictor, image.activations)[0] if predictor.is_multi_label else explain(predictor, image.activations)
        prediction, contrast = explanation.prediction, self._contrast
        if contrast == prediction.label or predictor.is_multi_label:
            contrast = None
        elif contrast is not None:
            explanation = explain(predictor, image.activations, contrast=contrast)
        contributions = contributions_to_json(explanation, self._top)
        largest = sorted(
            [*contributions["supporting"], *contributions["opposing"]], key=lambda contribution: -abs(contribution["contribution"])
        )
        return (
            names[representation.label],
            representation.probability,
            names[prediction.label],
            prediction.probability,
            representation.label == prediction.label,
            *_compare(image.label, representation.label, prediction.label),
            None if contrast is None else names[contrast],
            explanation.logit,
            explanation.bias,
            [self._named(contribution) for contribution in largest],
            contributions["remainder"],
            contributions["remaining"],
            self._counterfactual(explanation),
        )

    def _named(self, contribution: JsonObject) -> JsonObject:
        label, origin = self._concepts[contribution["concept"]]
        return {"concept": contribution["concept"], "label": label, "origin": origin} | contribution

    def _counterfactual(self, explanation: Explanation) -> JsonObject | None:
        found = counterfactual_to_json(self._predictor.class_names, explanation)
        if found is None:
            return None
        removed = [{"concept": one["concept"], "label": self._concepts[one["concept"]][0]} | one for one in found["removed"]]
        return {"removed": removed, "class": found["class"], "probability": found["probability"]}


def _compare(label: int | None, representation: int, interpretation: int) -> tuple[bool | None, bool | None]:
    """Whether each prediction is correct, None without a label."""
    return (None, None) if label is None else (representation == label, interpretation == label)


def as_utf8(name: str) -> str:
    """A file name with the bytes that are not UTF-8 replaced."""
    return name.encode(errors="replace").decode()
