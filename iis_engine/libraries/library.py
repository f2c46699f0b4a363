"""The concept library 𝒞, its file, and its projection g_𝒞. How each kind is built is in a module of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.libraries.phrase_report import TextReport

EXEMPLARS_PER_CONCEPT = 5
ROWS_AT_ONCE = 8192
RELATIVE_NOISE = 1e-12  # a deviation below this share of the largest magnitude is rounding
NORMALISATION = ("centre", "means", "deviations")
TENSORS = ("vectors", *NORMALISATION)
WITHOUT_LAYER_NORM = frozenset({"text"})
"""Origins whose raw activations are standardised concept by concept alone."""


@dataclass(frozen=True)
class ConceptLibrary:
    """M concept vectors in representation space, 𝒞.

    Attributes
    ----------
    kind : prototype, cluster, end2end, nmf, sae, vectors, text, random or combined
    vectors : (M, d) float32, unit rows
    origins : per concept the kind of its library; consecutive equal names form one block
    exemplars : per concept its nearest elements, best first, as (element index, cosine); empty for random directions
    means, deviations : (M,) float64, of the activation over the training images, for concepts that are standardised one by one;
        NaN for the others, None where no concept is
    text_report : of the phrases of the text concepts, in their order; None without text concepts
    centre : (d,) float64 μ, the training mean of f, which is subtracted before the projection; None leaves f(x) as it is
    labels : names of a user's own vectors; empty for other libraries
    """

    kind: str
    vectors: Tensor
    origins: tuple[str, ...]
    exemplars: tuple[tuple[tuple[int, float], ...], ...]
    means: Tensor | None = None
    deviations: Tensor | None = None
    text_report: TextReport | None = None
    centre: Tensor | None = None
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)

    def blocks(self) -> list[slice]:
        """Consecutive concepts of one origin, which are normalised together."""
        starts = [i for i in range(len(self)) if i == 0 or self.origins[i] != self.origins[i - 1]]
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(self)], strict=True)]

    def activations(self, X: Tensor) -> Tensor:
        """g_𝒞(f(x)) (eq. 3; METHOD §3): (f(x) - μ)·cᵀ, LayerNorm over the concepts of a block, then the affine of each concept.

        Text concepts have no LayerNorm. Without a centre μ is zero, and concepts without moments have no affine: the first edition.
        Computed in float64 and rounded once, so that neither the scale of X nor the order of concepts changes a rank.

        Parameters
        ----------
        X : (n, d) float32

        Returns
        -------
        (n, M) float32 on the device of X
        """
        out = torch.empty(len(X), len(self), device=X.device)
        for start in range(0, len(X), ROWS_AT_ONCE):
            for block, values in self.before_affine(X[start : start + ROWS_AT_ONCE]):
                out[start : start + ROWS_AT_ONCE, block] = self._affine(values, block).float()
        return out

    def before_affine(self, X: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Each block with its activations (n, m) float64 before the affine of each concept."""
        raw = self.centred(X) @ self.vectors.to(X.device).double().T
        for block in self.blocks():
            yield block, standardise_rows(raw[:, block]) if self.has_layer_norm(block) else raw[:, block]

    def centred(self, X: Tensor) -> Tensor:
        """f(x) - μ (n, d) float64; differences that are rounding beside the values become zero."""
        exact = X.double()
        if self.centre is None:
            return exact
        centre = self.centre.to(X.device)
        difference = exact - centre
        return torch.where(difference.abs() > RELATIVE_NOISE * centre.abs(), difference, 0.0)

    def offsets(self) -> Tensor:
        """μ·cᵀ (M,) float64, which centring takes off each raw activation; zeros without a centre."""
        vectors = self.vectors.double()
        return torch.zeros(len(self), dtype=torch.float64) if self.centre is None else vectors @ self.centre

    def normalisation(self) -> dict[str, Tensor]:
        """The tensors of `NORMALISATION` that the library has, by name."""
        return {name: tensor for name in NORMALISATION if (tensor := getattr(self, name)) is not None}

    def has_layer_norm(self, block: slice) -> bool:
        """Whether the activations of a block are normalised within each image."""
        return self.origins[block.start] not in WITHOUT_LAYER_NORM

    def _affine(self, values: Tensor, block: slice) -> Tensor:
        if (moments := self.moments(block)) is None:
            return values
        mean, deviation = (moment.to(values.device) for moment in moments)
        return torch.where(deviation > 0, (values - mean) / deviation.clamp_min(torch.finfo(values.dtype).tiny), torch.zeros_like(values))

    def moments(self, block: slice) -> tuple[Tensor, Tensor] | None:
        """Mean and deviation (m,) float64 of a block whose concepts are standardised one by one; None for other blocks.

        A deviation that is rounding beside the mean becomes zero, and so do the activations of its concept.
        """
        if self.means is None or self.deviations is None or bool(self.deviations[block.start].isnan()):
            return None
        mean, deviation = self.means[block], self.deviations[block]
        return mean, torch.where(deviation > RELATIVE_NOISE * mean.abs(), deviation, 0.0)

    def on_other_images(self) -> ConceptLibrary:
        """The library for use on another data set than the fitted one."""
        return self if self.text_report is None else replace(self, text_report=self.text_report.on_other_images())

    def save(self, path: Path) -> None:
        """Write one safetensors file; kind, origins, exemplars and the text report are in its header."""
        header = {
            "kind": self.kind,
            "origins": list(self.origins),
            "exemplars": [[list(e) for e in row] for row in self.exemplars],
            "words": None if self.text_report is None else self.text_report.to_dict(),
            "labels": list(self.labels),
        }
        tensors = {name: tensor.contiguous() for name in TENSORS if (tensor := getattr(self, name)) is not None}
        save_file(tensors, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> ConceptLibrary:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["iis"])
            exemplars = tuple(tuple((int(index), float(cosine)) for index, cosine in row) for row in header["exemplars"])
            tensors = {name: file.get_tensor(name) for name in TENSORS if name in file.keys()}  # noqa: SIM118 (safe_open is not a mapping)
            report = TextReport.from_dict(header["words"]) if header.get("words") else None  # older files lack the key
            labels = tuple(header.get("labels", ()))
            return ConceptLibrary(
                header["kind"], origins=tuple(header["origins"]), exemplars=exemplars, text_report=report, labels=labels, **tensors
            )


def training_moments(X: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (M,) float64 of f(x)·cᵀ over the rows of X (n, d), in one pass (Chan et al. 1979)."""
    exact = vectors.double()
    mean, squares, n = torch.zeros(len(vectors), dtype=torch.float64), torch.zeros(len(vectors), dtype=torch.float64), 0
    for rows in X.split(ROWS_AT_ONCE):
        raw = rows.double() @ exact.T
        n += len(raw)
        shift = raw.mean(dim=0) - mean
        squares += (raw - raw.mean(dim=0)).square().sum(dim=0) + shift.square() * (n - len(raw)) * len(raw) / n
        mean += shift * len(raw) / n
    return mean, (squares / n).sqrt()


def standardise_rows(raw: Tensor) -> Tensor:
    """Zero mean and unit population variance within each row (n, M); a constant row, and its gradient, become zeros."""
    centred = raw - raw.mean(dim=1, keepdim=True)
    variance = centred.square().mean(dim=1, keepdim=True)
    # A single concept, or equal concepts, leave rounding noise where the variance should be zero.
    noise = RELATIVE_NOISE * raw.detach().abs().amax(dim=1, keepdim=True)
    varies = variance.detach().sqrt() > noise
    # The root of zero has no finite derivative, and NaN in a branch that `where` drops would still reach the gradient.
    return torch.where(varies, centred / torch.where(varies, variance, 1.0).sqrt(), torch.zeros_like(centred))


def nearest_elements(vectors: Tensor, units: Tensor, numbers: Tensor) -> tuple[tuple[tuple[int, float], ...], ...]:
    """The elements nearest to each vector by cosine: exemplars of concepts that are not elements themselves.

    Parameters
    ----------
    vectors : (M, d) unit rows
    units : (E, d) unit rows, the elements
    numbers : (E,) their indices among all elements

    Returns
    -------
    Per concept up to `EXEMPLARS_PER_CONCEPT` of (element index, cosine), best first
    """
    nearest = (vectors.double() @ units.double().T).topk(min(EXEMPLARS_PER_CONCEPT, len(units)), dim=1)
    return tuple(
        tuple((int(numbers[i]), round(float(v), 6)) for i, v in zip(places.tolist(), values.tolist(), strict=True))
        for places, values in zip(nearest.indices, nearest.values, strict=True)
    )
