"""g_cls ∘ g_s ∘ g_𝒞 as an interpretable classifier of representations, and the family of them that a scored job stores."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.errors import DataError
from iis_engine.heads.sparsify import sparsify
from iis_engine.libraries.library import NORMALISATION, ConceptLibrary
from iis_engine.nodes import choose_node, sparsity_of
from iis_engine.scoring.measurement import Measurement

FORMAT = "iis-predictor/2"
MULTI_LABEL_FORMAT = "iis-predictor/3"
FORMATS = ("iis-predictor/1", FORMAT, MULTI_LABEL_FORMAT)
"""Files that can be read; the first format has no centre, and the heads of the last are one-vs-rest."""
_MOMENTS = ("means", "deviations")


@dataclass(frozen=True)
class Predictor:
    """A linear classifier of the `kept` strongest concept activations of a representation.

    Attributes
    ----------
    library : M concept vectors and how their activations are normalised
    kept : k, number of concepts that each sample keeps
    head : (M + 1, C) float32, the last row being the bias
    class_names : C names in label order
    concept_names : (M,) phrases or names; None for a concept without one
    is_multi_label : whether each class is a label with a head of its own (one-vs-rest), so that probabilities do not add up to 1
    """

    library: ConceptLibrary
    kept: int
    head: Tensor
    class_names: tuple[str, ...]
    concept_names: tuple[str | None, ...]
    is_multi_label: bool = False

    @property
    def num_features(self) -> int:
        """d of the representation."""
        return self.library.vectors.shape[1]

    @property
    def sparsity(self) -> float:
        """s = 1 - k/M."""
        return sparsity_of(self.kept, len(self.library))

    @cached_property
    def weights(self) -> Tensor:
        """(M, C) float64, centred over the classes: softmax is invariant to a shift shared by all classes (METHOD §4).

        As they are for multi-label data, whose labels have a logistic function each.
        """
        exact = self.head[:-1].double()
        return exact if self.is_multi_label else exact - exact.mean(dim=1, keepdim=True)

    @cached_property
    def bias(self) -> Tensor:
        """(C,) float64, centred over the classes; as it is for multi-label data."""
        exact = self.head[-1].double()
        return exact if self.is_multi_label else exact - exact.mean()

    def activations(self, X: Tensor) -> Tensor:
        """g_s ∘ g_𝒞 of representations: (n, d) float32 -> (n, M) float32, k of each row kept.

        Raises
        ------
        DataError
            When the representations have another width.
        """
        if X.ndim != 2 or X.shape[1] != self.num_features:
            raise DataError(f"The representation must be (n, {self.num_features}); it is {tuple(X.shape)}.", param="X")
        return sparsify(self.library.activations(X.float()), self.kept)

    def logits(self, activations: Tensor) -> Tensor:
        """Centred logits (n, C) float64 of sparse activations (n, M)."""
        return activations.double() @ self.weights.to(activations.device) + self.bias.to(activations.device)

    def probabilities(self, activations: Tensor) -> Tensor:
        """Probabilities (n, C) float64 of sparse activations (n, M)."""
        return probabilities_of(self.logits(activations), is_multi_label=self.is_multi_label)

    def predict_proba(self, X: Tensor) -> Tensor:
        """Probabilities (n, C) float64 of representations (n, d)."""
        return self.probabilities(self.activations(X))

    def predict(self, X: Tensor) -> Tensor:
        """Labels (n,) int64 of representations (n, d); of multi-label data the most probable label of each."""
        return self.logits(self.activations(X)).argmax(dim=1)

    def save(self, path: Path) -> None:
        """Write one safetensors file; its schema is in docs/predictors.md."""
        header = {
            "format": MULTI_LABEL_FORMAT if self.is_multi_label else FORMAT,
            "kept": self.kept,
            "origins": list(self.library.origins),
            "class_names": list(self.class_names),
            "concept_names": list(self.concept_names),
        }
        tensors = {"vectors": self.library.vectors, "weights": self.head[:-1], "bias": self.head[-1]} | self.library.normalisation()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> Predictor:
        """Read a file written by `save`.

        Raises
        ------
        DataError
            When the file is not a predictor.
        """
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("iis", "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is not a mapping)
        except (SafetensorError, OSError, ValueError) as error:
            raise DataError(f"{path.name} is not a readable safetensors file; send the export of a predictor.") from error
        if not isinstance(header, dict) or cast("dict[str, Any]", header).get("format") not in FORMATS:
            raise DataError(f"{path.name} is not a predictor of format {FORMAT}; send the export of a predictor.")
        try:
            return _checked(tensors, cast("dict[str, Any]", header))
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"{path.name} is damaged: its tensors and its metadata do not match; export it again.") from error


@dataclass(frozen=True)
class PredictorFamily:
    """The predictors of one scored job, one for each node of its curve, beside h.

    Attributes
    ----------
    nodes : K numbers of kept concepts, falling
    heads : (K, M + 1, C) float32
    baseline : (d + 1, C) float64, h
    is_multi_label : as in `Predictor`
    """

    library: ConceptLibrary
    nodes: tuple[int, ...]
    heads: Tensor
    baseline: Tensor
    class_names: tuple[str, ...]
    is_multi_label: bool = False

    @staticmethod
    def of(library: ConceptLibrary, measured: Measurement, class_names: tuple[str, ...]) -> PredictorFamily:
        """The predictors of a measurement under the `exact` protocol."""
        if measured.calibration is not None:
            library = measured.calibration.apply(library)
        return PredictorFamily(
            library=replace(library, exemplars=(), text_report=None),
            nodes=measured.kept,
            heads=measured.heads,
            baseline=measured.baseline,
            class_names=class_names,
            is_multi_label=measured.quantity == "mean_average_precision",
        )

    def at(self, kept: int | None = None, *, sparsity: float | None = None) -> Predictor:
        """The predictor at a node of the curve; by default the node nearest to max(5, M/10).

        Raises
        ------
        SettingError
            When the curve has no such node.
        """
        count = len(self.library)
        kept = choose_node(self.nodes, count, kept, sparsity=sparsity)
        head = self.heads[self.nodes.index(kept)]
        return Predictor(self.library, kept, head, self.class_names, (None,) * count, self.is_multi_label)

    def baseline_logits(self, X: Tensor) -> Tensor:
        """Logits (n, C) float64 of h on representations (n, d)."""
        return X.double() @ self.baseline[:-1].to(X.device) + self.baseline[-1].to(X.device)

    def baseline_probabilities(self, X: Tensor) -> Tensor:
        """Probabilities (n, C) float64 of h on representations (n, d)."""
        return probabilities_of(self.baseline_logits(X), is_multi_label=self.is_multi_label)

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        header: dict[str, Any] = {
            "origins": list(self.library.origins),
            "nodes": list(self.nodes),
            "class_names": list(self.class_names),
        }
        if self.is_multi_label:
            header["is_multi_label"] = True
        tensors = {"vectors": self.library.vectors, "heads": self.heads, "baseline": self.baseline} | self.library.normalisation()
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> PredictorFamily:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["iis"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is not a mapping)
        library = _library(tensors, header["origins"])
        nodes, names = tuple(header["nodes"]), tuple(header["class_names"])
        return PredictorFamily(library, nodes, tensors["heads"], tensors["baseline"], names, header.get("is_multi_label", False))


def probabilities_of(logits: Tensor, *, is_multi_label: bool) -> Tensor:
    """Probabilities (..., C) of logits: softmax over the classes, or the logistic function of each label of multi-label data."""
    return logits.sigmoid() if is_multi_label else logits.softmax(dim=-1)


def _checked(tensors: dict[str, Tensor], header: dict[str, Any]) -> Predictor:
    """The predictor of a file's content; raises LookupError for a missing part and ValueError for shapes that do not match."""
    library = _library(tensors, header["origins"])
    predictor = Predictor(
        library=library,
        kept=header["kept"],
        head=torch.cat([tensors["weights"], tensors["bias"].unsqueeze(0)]),
        class_names=tuple(header["class_names"]),
        concept_names=tuple(header["concept_names"]),
        is_multi_label=header["format"] == MULTI_LABEL_FORMAT,
    )
    (concepts, _), classes = library.vectors.shape, len(predictor.class_names)
    moments = [tensor.shape for name, tensor in library.normalisation().items() if name in _MOMENTS]
    centred = library.centre is None or library.centre.shape == (library.vectors.shape[1],)
    sizes = predictor.head.shape == (concepts + 1, classes) and len(library.origins) == len(predictor.concept_names) == concepts
    if not sizes or not centred or moments not in ([], [(concepts,)] * 2) or predictor.kept not in range(concepts + 1):
        raise ValueError("The shapes of the predictor's parts do not match.")
    return predictor


def _library(tensors: dict[str, Tensor], origins: list[str]) -> ConceptLibrary:
    kinds = dict.fromkeys(origins)
    normalisation: dict[str, Any] = {name: tensors[name] for name in NORMALISATION if name in tensors}
    return ConceptLibrary("combined" if len(kinds) > 1 else origins[0], tensors["vectors"], tuple(origins), (), **normalisation)
