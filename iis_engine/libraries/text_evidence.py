"""The evidence for text concepts: training rows that both networks have read, split into rows that fit, choose and judge (METHOD §3).

Which phrases become concepts is decided in `text`; the fit of one direction is in `fitting`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine import protocols
from iis_engine.errors import LibraryError
from iis_engine.features.canonical_order import canonical_training_rows, held_out_halves, validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.fitting import cos_cubed, imitate, ridge_similarity

TOP_IMAGES = 5
ENTRIES_AT_ONCE = 2**24
"""Images x phrases in memory at once."""
FITTING_SHARE = 0.8
"""Of the rows left for the fit; the seed of a library draws them, so that its seeds differ by the fit's rows and by nothing else."""


@dataclass(frozen=True)
class Evidence:
    """Training rows that both networks have read, in canonical order.

    The masks are disjoint, and alike for every library seed. The rows that select L2 strengths (`validation_rows`) are in none of them:
    to text concepts they are unseen images, as the test images are.

    Attributes
    ----------
    X : (n, d) float32
    images : (n, e) float32, unit rows, embeddings of a vision-language model
    choosing : (n,) bool, rows that select strength and stopping point of each direction, and phrases
    judging : (n,) bool, rows that confirm the phrases, and give the reported similarity
    fitting : (n,) bool, rows that directions may be fitted to
    """

    X: Tensor
    images: Tensor
    choosing: Tensor
    judging: Tensor
    fitting: Tensor

    @property
    def choosing_count(self) -> int:
        """Images of the choosing half."""
        return int(self.choosing.sum())

    @property
    def judging_count(self) -> int:
        """Images of the judging half."""
        return int(self.judging.sum())

    def top5(self, vectors: Tensor) -> Tensor:
        """Mean of the five highest cosines of each unit vector (P, e) with the training images: (P,) float64."""
        best = torch.empty(0, len(vectors))
        for rows in self.images.split(max(TOP_IMAGES, ENTRIES_AT_ONCE // max(1, len(vectors)))):
            together = torch.cat([best, rows @ vectors.T])
            best = together.topk(min(TOP_IMAGES, len(together)), dim=0).values
        return best.double().mean(dim=0)

    def fit(self, vectors: Tensor, seed: int, device: torch.device) -> Fitted:
        """Fit directions of f whose projections imitate the images' cosines with `vectors` (M, e).

        Parameters
        ----------
        seed : of the draw of the rows to fit
        """
        X, images, choosing = self._fitted_rows(seed, device)
        fitted = imitate(X, images, vectors.to(device), choosing)
        directions = fitted.vectors.cpu()
        return Fitted(directions, fitted.similarity.cpu(), self._similarity(directions, vectors, self.judging))

    def as_they_are(self, vectors: Tensor) -> Fitted:
        """The similarities of `vectors` (M, e) that are directions of f themselves, for an f that is the model's image tower."""
        directions = vectors.double()
        chosen, judged = (self._similarity(directions, vectors, rows) for rows in (self.choosing, self.judging))
        return Fitted(directions, chosen, judged)

    def screen(self, vectors: Tensor, seed: int, device: torch.device) -> Tensor:
        """Similarity (M,) on the choosing half of the solutions from which `fit` starts."""
        X, images, choosing = self._fitted_rows(seed, device)
        return ridge_similarity(X, images, vectors.to(device), choosing).cpu()

    def _fitted_rows(self, seed: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """X, images and the mask `choosing` of the rows to fit and of the choosing half."""
        rows = self.fitting.nonzero().flatten()
        drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[: round(FITTING_SHARE * len(rows))]
        used = self.choosing.clone()
        used[rows[drawn]] = True
        return self.X[used].to(device), self.images[used].to(device), self.choosing[used].to(device)

    def _similarity(self, directions: Tensor, vectors: Tensor, rows: Tensor) -> Tensor:
        """Cos-cubed similarity (M,) float64 on some rows (n,) bool."""
        X, images = self.X[rows].double(), self.images[rows].double()
        width = max(1, ENTRIES_AT_ONCE // max(1, len(X)))
        blocks = zip(directions.split(width), vectors.double().split(width), strict=True)
        return torch.cat([cos_cubed(X @ own.T, images @ target.T) for own, target in blocks])


@dataclass(frozen=True)
class Fitted:
    """Directions with their similarity to the given cosines.

    Attributes
    ----------
    vectors : (M, d) float64
    chosen : (M,) float64, similarity on the choosing half, the highest of several strengths and stopping points
    judged : (M,) float64, similarity on the judging half, which selected nothing
    """

    vectors: Tensor
    chosen: Tensor
    judged: Tensor


def read_evidence(features: FeatureSet, images: FeatureSet, split_seed: int) -> Evidence:
    """The evidence of features and of a vision-language model's image embeddings of the same data set.

    Parameters
    ----------
    split_seed : of the draws of the strength's validation rows and of the held-out rows

    Raises
    ------
    LibraryError
        For ready features, which have no images.
    """
    if features.train_rows is None or images.train_rows is None:
        raise LibraryError("A text library needs the images themselves; ready features do not have them.", param="library.kind")
    order = canonical_training_rows(features)
    y = features.y_train[order]
    validation = validation_rows(y, protocols.VALIDATION_SHARE, split_seed)
    choosing, judging = held_out_halves(y, validation, protocols.TEXT_HELD_OUT_SHARE, split_seed)
    row_of = {int(row): place for place, row in enumerate(images.train_rows.tolist())}
    pairs = [(place, row_of[row]) for place, row in enumerate(features.train_rows[order].tolist()) if row in row_of]
    own, other = (torch.tensor(rows, dtype=torch.int64) for rows in ([own for own, _ in pairs], [other for _, other in pairs]))
    return Evidence(
        X=features.X_train[order[own]],
        images=normalize(images.X_train[other], dim=1),
        choosing=choosing[own],
        judging=judging[own],
        fitting=~(validation | choosing | judging)[own],
    )
