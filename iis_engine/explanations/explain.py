"""Explanation of one prediction: contributions, faithfulness, counterfactual and interventions (METHOD §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from iis_engine.errors import SettingError
from iis_engine.heads.sparsify import sparsify
from iis_engine.scoring.predictor import Predictor

RANDOM_ORDERS = 32
MOST_COUNTS = 30
MOST_CHANGES = 1000
LARGEST_CHANGE = 1e6  # activations are standardised; far larger values overflow the logits
TOP_CLASSES = 5
ROUNDING = 1e-12  # of sums of logits: a smaller margin may be a tie


@dataclass(frozen=True)
class Prediction:
    """Prediction of a head for one sample.

    Attributes
    ----------
    label, probability : of the predicted class
    top : (label, probability) of up to `TOP_CLASSES` classes, most probable first
    """

    label: int
    probability: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Faithfulness:
    """Probability of the explained class after deleting the top-m concepts, or keeping only them (METHOD §4).

    Attributes
    ----------
    counts : numbers m of concepts, rising from 0 to k
    deletion, sufficiency : probabilities after deleting the m most important concepts, and with only these
    deletion_random, sufficiency_random : the same for random orders of the kept concepts, mean over `RANDOM_ORDERS`
    """

    counts: tuple[int, ...]
    deletion: tuple[float, ...]
    deletion_random: tuple[float, ...]
    sufficiency: tuple[float, ...]
    sufficiency_random: tuple[float, ...]


@dataclass(frozen=True)
class Counterfactual:
    """The smallest set of concepts whose removal changes the prediction, and the new prediction."""

    removed: tuple[int, ...]
    label: int
    probability: float


@dataclass(frozen=True)
class Explanation:
    """Contributions of the concepts to one prediction; faithfulness and counterfactual are computed on first use.

    Attributes
    ----------
    prediction : of the predictor
    contrast : the class against which `contributions` are; None for the mean over all classes
    activations : (M,) float64, sparse
    contributions : (M,) float64; with `bias` they add up to `logit`
    logit : the centred logit of the predicted class, or its difference to that of `contrast`
    """

    predictor: Predictor
    prediction: Prediction
    contrast: int | None
    activations: Tensor
    contributions: Tensor
    bias: float
    logit: float

    @cached_property
    def faithfulness(self) -> Faithfulness:
        """Deletion and sufficiency curves of the predicted class."""
        return faithfulness(self.predictor, self.activations, self.prediction.label, self.contributions)

    @cached_property
    def counterfactual(self) -> Counterfactual | None:
        """The smallest set of concepts without which another class is predicted; None without any."""
        return counterfactual(self.predictor, self.activations, self.prediction.label)


@dataclass(frozen=True)
class Changes:
    """Interventions on sparse activations by concept: values to set, and factors to multiply by; suppression sets zero."""

    set: Mapping[int, float]
    scale: Mapping[int, float]


def prediction_of(probabilities: Tensor) -> Prediction:
    """The prediction of probabilities (C,); ties go to the lower label."""
    order = torch.argsort(probabilities, descending=True, stable=True)[:TOP_CLASSES].tolist()
    top = tuple((label, float(probabilities[label])) for label in order)
    return Prediction(*top[0], top)


def explain(predictor: Predictor, activations: Tensor, *, contrast: int | None = None) -> Explanation:
    """Explain the prediction of one sample.

    contribution_j = (W[c,j] - mean over classes W[:,j]) · a_j for the predicted class c, or (W[c,j] - W[c',j]) · a_j against the class c'
    of `contrast`; they add up with the bias to the logit exactly, up to float64 (METHOD §4).

    Parameters
    ----------
    activations : (M,), dense or sparse; the predictor's k largest magnitudes are kept
    contrast : a label other than the predicted one

    Raises
    ------
    SettingError
        When `contrast` is the predicted class, or not a class.
    """
    sparse = kept_only(predictor, activations)
    prediction = prediction_of(predictor.probabilities(sparse.unsqueeze(0))[0])
    weights, bias = predictor.weights[:, prediction.label], predictor.bias[prediction.label]
    if contrast is not None:
        _require_other(predictor, prediction.label, contrast)
        weights, bias = weights - predictor.weights[:, contrast], bias - predictor.bias[contrast]
    contributions = weights * sparse
    return Explanation(
        predictor=predictor,
        prediction=prediction,
        contrast=contrast,
        activations=sparse,
        contributions=contributions,
        bias=float(bias),
        logit=float(contributions.sum() + bias),
    )


def faithfulness(predictor: Predictor, sparse: Tensor, label: int, contributions: Tensor) -> Faithfulness:
    """Deletion and sufficiency curves of the class `label`: concepts by falling contribution, and in random orders.

    The activation of a deleted concept becomes zero; no other concept replaces it.

    Parameters
    ----------
    sparse, contributions : (M,) float64
    """
    kept = sparse.nonzero().flatten()
    counts = _counts(len(kept))
    effects = sparse[kept].unsqueeze(1) * predictor.weights[kept]  # (k, C): what each concept adds to the centred logits
    effects, bias = effects - effects[:, label].unsqueeze(1), predictor.bias - predictor.bias[label]
    by_contribution = torch.argsort(contributions[kept], descending=True, stable=True)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([torch.randperm(len(kept), generator=generator) for _ in range(RANDOM_ORDERS)])
    deletion, sufficiency = _curves(effects, bias, by_contribution.unsqueeze(0), counts)
    # A mean over random orders needs only float32, which takes a fifth of the time at a thousand classes.
    random = _curves(effects.float(), bias.float(), drawn, counts)
    curves = (deletion[0], random[0].double().mean(dim=0), sufficiency[0], random[1].double().mean(dim=0))
    return Faithfulness(tuple(counts), *(tuple(curve.tolist()) for curve in curves))


def counterfactual(predictor: Predictor, sparse: Tensor, label: int) -> Counterfactual | None:
    """The smallest set of concepts whose removal changes the predicted class; None without any.

    For a linear head the greedy set is the smallest: for each other class c' the concepts with the largest
    (W[c,j] - W[c',j]) · a_j are removed until the margin over c' is gone; the class with the smallest set is chosen.

    Parameters
    ----------
    sparse : (M,) float64
    label : the predicted class c
    """
    kept = sparse.nonzero().flatten()
    if not len(kept):
        return None
    weights, bias = predictor.weights, predictor.bias
    margins = (sparse[kept].unsqueeze(1) * (weights[kept, label].unsqueeze(1) - weights[kept])).T.contiguous()  # (C, k)
    # Only one class needs its order, and NumPy sorts values thirty times as fast as PyTorch sorts values with indices.
    ordered = -torch.from_numpy(np.sort(-margins.numpy(), axis=1))
    start = margins.sum(dim=1) + bias[label] - bias
    left = start.unsqueeze(1) - ordered.clamp_min(0).cumsum(dim=1)
    needed = (left >= -ROUNDING).sum(dim=1)  # margins never grow, so that these removals do not suffice
    needed[label] = len(kept)
    fewest = int(needed.min())
    if fewest == len(kept):
        return None
    ties = (needed == fewest).nonzero().flatten()
    other = int(ties[left[ties, fewest].argmin()])
    removed = kept[torch.argsort(margins[other], descending=True, stable=True)[: fewest + 1]]
    after = sparse.clone()
    after[removed] = 0
    probabilities = predictor.probabilities(after.unsqueeze(0))[0]
    winner = int(probabilities.argmax())
    return Counterfactual(tuple(removed.tolist()), winner, float(probabilities[winner]))


def intervene(predictor: Predictor, activations: Tensor, changes: Changes) -> tuple[Tensor, Tensor]:
    """Sparse activations (M,) before and after interventions, as inputs of `predictor.logits`.

    A concept that g_s zeroed stays zero when it is scaled; it can be set.

    Raises
    ------
    SettingError
        For more than `MOST_CHANGES` changes, an unknown concept, a concept changed twice, or a value that is not finite or exceeds
        `LARGEST_CHANGE`.
    """
    count = len(changes.set) + len(changes.scale)
    if count > MOST_CHANGES:
        raise SettingError(f"{count:,} concepts are changed; at most {MOST_CHANGES:,} are allowed at once.", code="too_many_changes")
    twice = sorted(changes.set.keys() & changes.scale.keys())
    if twice:
        raise SettingError(f"Concept {twice[0]} is changed twice; set it, suppress it or scale it.", code="concept_twice", param="set")
    before = kept_only(predictor, activations)
    after = before.clone()
    for param, values in (("set", changes.set), ("scale", changes.scale)):
        for concept, value in values.items():
            require_concept(len(predictor.library), concept, param)
            if not abs(value) <= LARGEST_CHANGE:
                advice = f"send one from {-LARGEST_CHANGE:,.0f} to {LARGEST_CHANGE:,.0f}"
                raise SettingError(f"{value} is not a valid activation or factor for concept {concept}; {advice}.", param=param)
            after[concept] = value if param == "set" else after[concept] * value
    return before, after


def require_concept(concept_count: int, concept: int, param: str) -> None:
    """Raise a SettingError unless `concept` is in 0..M-1."""
    if not 0 <= concept < concept_count:
        raise SettingError(f"There is no concept {concept}; concepts are 0 to {concept_count - 1}.", code="concept_unknown", param=param)


def class_label(class_names: Sequence[str], name: str, param: str) -> int:
    """The label of a class by its name.

    Raises
    ------
    SettingError
        When no class has that name.
    """
    if name not in class_names:
        few = ", ".join(class_names[:5]) + (", …" if len(class_names) > 5 else "")
        raise SettingError(f"There is no class {name!r}; the classes are {few}.", code="class_unknown", param=param)
    return class_names.index(name)


def kept_only(predictor: Predictor, activations: Tensor) -> Tensor:
    """g_s of the activations (M,) of one sample, float64."""
    return sparsify(activations.cpu().unsqueeze(0), predictor.kept)[0].double()


def _require_other(predictor: Predictor, label: int, contrast: int) -> None:
    if not 0 <= contrast < len(predictor.class_names):
        raise SettingError(f"There is no class {contrast}.", code="class_unknown", param="contrast")
    if contrast == label:
        name = predictor.class_names[label]
        raise SettingError(
            f"{name} is the predicted class itself; choose another class for the contrast.", code="contrast_predicted", param="contrast"
        )


def _counts(kept: int) -> list[int]:
    """Every number up to `MOST_COUNTS`, else about as many on a logarithmic scale."""
    if kept <= MOST_COUNTS:
        return list(range(kept + 1))
    spaced = torch.logspace(0, torch.log10(torch.tensor(float(kept))).item(), MOST_COUNTS, dtype=torch.float64).round().int().tolist()
    return sorted({0, *spaced, kept})


def _curves(effects: Tensor, bias: Tensor, orders: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Deletion and sufficiency (R, len(counts)) of one class in R orders of the concepts.

    Parameters
    ----------
    effects, bias : (k, C) and (C,), less those of the class, so that its probability is 1 / Σ exp(·)
    orders : (R, k) int64, permutations
    """
    kept = orders.shape[1]
    places = torch.empty_like(orders).scatter_(1, orders, torch.arange(kept).expand_as(orders))
    taken = (places.unsqueeze(1) < torch.tensor(counts).view(1, -1, 1)).to(effects.dtype)  # (R, len(counts), k)
    grown = taken.flatten(0, 1) @ effects
    deletion = ((bias + effects.sum(dim=0)) - grown).exp_().sum(dim=1).reciprocal()
    sufficiency = grown.add_(bias).exp_().sum(dim=1).reciprocal()
    return deletion.view(len(orders), -1), sufficiency.view(len(orders), -1)
