"""Explanation of the labels of one image of multi-label data: each label has a head of its own, so that it is explained by itself.

A label c is a classification of two classes, with and without it, at logits z_c and 0; softmax over these is the logistic function of z_c.
contribution_j = W[c,j] · a_j, uncentred: they add up with the bias to z_c exactly. Images of single-label data are in `explain`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from iis_engine.errors import SettingError
from iis_engine.explanations.explain import (
    Counterfactual,
    Explanation,
    Faithfulness,
    Prediction,
    counterfactual,
    faithfulness,
    kept_only,
    prediction_of,
)
from iis_engine.scoring.predictor import Predictor

LABELS_EXPLAINED = 20
"""Labels of an image that are explained, the most probable ones."""


@dataclass(frozen=True)
class LabelExplanation(Explanation):
    """Contributions of the concepts to one label of an image.

    Attributes
    ----------
    prediction : of the image: its most probable labels
    label : the explained one
    """

    label: int = 0

    @property
    def probability(self) -> float:
        """Of the label."""
        return float(torch.tensor(self.logit, dtype=torch.float64).sigmoid())

    @cached_property
    def binary(self) -> Predictor:
        """The head of the label as a predictor of two classes, with and without it."""
        head = self.predictor.head[:, self.label : self.label + 1]
        name = self.predictor.class_names[self.label]
        return replace(
            self.predictor, head=torch.cat([head, torch.zeros_like(head)], dim=1), class_names=(name, f"not {name}"), is_multi_label=False
        )

    @cached_property
    def faithfulness(self) -> Faithfulness:
        """Deletion and sufficiency curves of the label's probability."""
        return faithfulness(self.binary, self.activations, 0, self.contributions)

    @cached_property
    def counterfactual(self) -> Counterfactual | None:
        """The smallest set of concepts whose removal takes the label's probability to the other side of 1/2; None without any.

        `Counterfactual.label` is a class of `binary`.
        """
        return counterfactual(self.binary, self.activations, 0 if self.logit >= 0 else 1)


def explain_labels(predictor: Predictor, activations: Tensor, *, contrast: int | None = None) -> tuple[LabelExplanation, ...]:
    """Explain the `LABELS_EXPLAINED` most probable labels of one image, the most probable first.

    Parameters
    ----------
    activations : (M,), dense or sparse; the predictor's k largest magnitudes are kept
    contrast : None

    Raises
    ------
    SettingError
        For a contrast: labels do not exclude each other.
    """
    if contrast is not None:
        raise SettingError(
            "A contrast needs one class per image, and these data are multi-label; leave it out: each label is explained alone.",
            code="multi_label",
            param="contrast",
        )
    sparse = kept_only(predictor, activations)
    probabilities = predictor.probabilities(sparse.unsqueeze(0))[0]
    prediction = prediction_of(probabilities)
    order: list[int] = torch.argsort(probabilities, descending=True, stable=True)[:LABELS_EXPLAINED].tolist()
    return tuple(_explained(predictor, sparse, label, prediction) for label in order)


def _explained(predictor: Predictor, sparse: Tensor, label: int, prediction: Prediction) -> LabelExplanation:
    contributions, bias = predictor.weights[:, label] * sparse, float(predictor.bias[label])
    return LabelExplanation(
        predictor=predictor,
        prediction=prediction,
        contrast=None,
        activations=sparse,
        contributions=contributions,
        bias=bias,
        logit=float(contributions.sum()) + bias,
        label=label,
    )
