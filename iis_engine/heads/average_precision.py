"""Mean average precision of multi-label scores, and its values per image, of which it is the mean."""

from __future__ import annotations

import torch
from torch import Tensor

ENTRIES_AT_ONCE = 1 << 24  # scores ranked at once: bounds memory


def average_precisions(scores: Tensor, labels: Tensor) -> Tensor:
    """Average precision of each label: (C,) float64, nan for a label without a positive image.

    AP = Σ_t (R_t - R_{t-1}) P_t over the thresholds t by falling score, where P_t and R_t are precision and recall of the images with a
    score of at least t; nothing is interpolated, and equal scores are one threshold.

    Parameters
    ----------
    scores : (n, C), higher where the label is more likely
    labels : (n, C) of 0 and 1

    References
    ----------
    Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008, section 8.4; scikit-learn's average_precision_score.

    Examples
    --------
    >>> scores, labels = torch.tensor([[0.9], [0.8], [0.7]]), torch.tensor([[1], [0], [1]])
    >>> average_precisions(scores, labels).tolist()
    [0.8333333333333333]
    """
    size = labels_at_once(len(labels))
    parts = zip(scores.split(size, dim=1), labels.split(size, dim=1), strict=True)
    return torch.cat([_Ranked(*part).average_precision for part in parts])


def mean_average_precision(scores: Tensor, labels: Tensor) -> float:
    """Mean average precision (mAP): the mean over the labels that have a positive image. Parameters as in `average_precisions`."""
    return float(average_precisions(scores, labels).nanmean())


def average_precision_values(scores: Tensor, labels: Tensor) -> Tensor:
    """Values (n,) float32 per image whose mean is mAP, and whose spread gives its variance: mAP + n times the influence of the image.

    The influence of image l on the AP of a label is the derivative with respect to its weight, at weights 1/n,

        n · IF_l = n/n₊ · [ y_l (P_l - AP) + Σ_{i positive, s_i ≤ s_l} (y_l - P_i) / N_i ]

    where P_i is the precision and N_i the number of images at the threshold s_i, and n₊ the number of positives. These are the values
    of the infinitesimal jackknife (Efron, "The Jackknife, the Bootstrap and Other Resampling Plans", 1982, chapter 6): with them the
    variance of mAP is that of a mean over images, as of an accuracy, and it agrees with the bootstrap over images.

    Parameters
    ----------
    scores, labels : as in `average_precisions`
    """
    total = torch.zeros(len(labels), dtype=torch.float64, device=scores.device)
    present = (labels > 0).any(dim=0).nonzero().flatten()
    for part in present.split(labels_at_once(len(labels))):
        total += _Ranked(scores[:, part], labels[:, part]).values().sum(dim=0)
    return (total / len(present)).float().cpu()


def labels_at_once(image_count: int) -> int:
    """Number of labels whose scores are ranked at once, at least one."""
    return max(1, ENTRIES_AT_ONCE // max(1, image_count))


class _Ranked:
    """Images of each label by falling score, with precision and number of images at the threshold of each.

    Attributes
    ----------
    positive : (C, n) float64 of 0 and 1, in the order of the scores
    precision, reached : (C, n) float64, P_i and N_i
    average_precision : (C,) float64
    """

    def __init__(self, scores: Tensor, labels: Tensor) -> None:
        falling, self._order = (-scores.T.double()).contiguous().sort(dim=1, stable=True)
        self.positive = labels.T.double().to(scores.device).gather(1, self._order)
        self._last = torch.searchsorted(falling, falling, right=True) - 1  # of the images with an equal score
        self._first = torch.searchsorted(falling, falling)
        self.reached = (self._last + 1).double()
        self.precision = self.positive.cumsum(dim=1).gather(1, self._last) / self.reached
        self._positives = self.positive.sum(dim=1, keepdim=True)
        self.average_precision = (self.positive * self.precision).sum(dim=1) / self._positives.squeeze(1)

    def values(self) -> Tensor:
        """AP + n · IF of each image, in the order of the images: (C, n)."""
        n = self.positive.shape[1]
        average = self.average_precision.unsqueeze(1)
        # Sums over the positive images whose score is at most that of each image.
        inverse, ratio = (self._from_here(self.positive * part) for part in (1 / self.reached, self.precision / self.reached))
        own = self.positive * (self.precision - average)
        values = average + n / self._positives * (own + self.positive * inverse - ratio)
        return torch.empty_like(values).scatter_(1, self._order, values)

    def _from_here(self, terms: Tensor) -> Tensor:
        return terms.flip(1).cumsum(dim=1).flip(1).gather(1, self._first)
