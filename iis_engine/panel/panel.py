"""The panel beside the score: metrics of code, concepts and library, each beside its value for matched directions (METHOD §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.nodes import choose_node
from iis_engine.panel.concept_metrics import ConceptMetrics, ConceptTable, centred_units, class_purity, mono_scores, top_images
from iis_engine.panel.degenerate import degenerate_warnings
from iis_engine.panel.effective_concepts import AccuracyAtNEC, accuracy_at_nec, contributing_concepts
from iis_engine.panel.geometry import Stability, centred_vectors, effective_rank, nearest_concepts, stability
from iis_engine.panel.samples import stratified
from iis_engine.panel.selectivity import Selectivity, measure_selectivity
from iis_engine.panel.sparse_code import SparseCode, kept_mask
from iis_engine.progress import ProgressCallback, no_progress

CODE_KEPT = 10  # the sparse code is measured at the node nearest to it: few enough to read
TRAINING_ROWS, TRAINING_ROWS_PER_CLASS = 2000, 20  # the larger of the two numbers bounds those that fit NEC and selectivity


@dataclass(frozen=True)
class LibraryMetrics:
    """Metrics of one library, or means over the draws of matched directions.

    Attributes
    ----------
    code : of the test images
    effective_rank : of the centred concept vectors
    mono_score, class_purity, firing_rate : medians over the concepts; the first is None where it is defined for none
    duplicated_share : share of the concepts that have a near-duplicate
    """

    code: SparseCode
    effective_rank: float
    mono_score: float | None
    class_purity: float
    firing_rate: float
    duplicated_share: float


@dataclass(frozen=True)
class EffectiveConcepts:
    """NEC of the library and of one draw of matched directions.

    Attributes
    ----------
    accuracies, matched_accuracies : test accuracy at 5 to 30 non-zero weights per class
    anec, matched_anec : their means
    training_rows : number of rows that the L1 path was fitted to
    """

    accuracies: tuple[AccuracyAtNEC, ...]
    matched_accuracies: tuple[AccuracyAtNEC, ...]
    anec: float
    matched_anec: float
    training_rows: int


@dataclass(frozen=True)
class ContributingConcepts:
    """NCC at .95 of the class scores, mean over test images and classes, at the default node, which keeps `kept` concepts."""

    kept: int
    ncc: float


@dataclass(frozen=True)
class Panel:
    """The panel of one score.

    Attributes
    ----------
    concept_count : M
    library, matched : metrics of the first library seed and of matched directions
    stability : None with a single library seed
    effective_concepts : NEC and ANEC
    contributing_concepts : NCC; None under the reference protocol, which stores no heads
    selectivity : at the default node
    concepts : metrics of each concept of the first library seed
    warnings : one sentence per degenerate value
    """

    concept_count: int
    library: LibraryMetrics
    matched: LibraryMetrics
    stability: Stability | None
    effective_concepts: EffectiveConcepts
    contributing_concepts: ContributingConcepts | None
    selectivity: Selectivity
    concepts: tuple[ConceptMetrics, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values of the library; those of each concept are in `concepts`."""
        values = asdict(replace(self, concepts=()))
        del values["concepts"]
        values["warnings"] = list(self.warnings)
        for name in ("accuracies", "matched_accuracies"):
            values["effective_concepts"][name] = list(values["effective_concepts"][name])
        return values


def measure_panel(
    features: FeatureSet,
    libraries: Sequence[ConceptLibrary],
    matched: Sequence[ConceptLibrary],
    nodes: Sequence[int],
    heads: Tensor,
    *,
    device: torch.device,
    progress: ProgressCallback = no_progress,
) -> Panel:
    """Measure the panel from stored artifacts; nothing depends on the order of the rows.

    Parameters
    ----------
    features : representations and labels of both splits
    libraries : the library seeds; the first, whose heads are stored, is described
    matched : draws of directions with the library's mean and covariance, at least one
    nodes : K numbers of kept concepts at the measured nodes
    heads : (K, M + 1, C) of the first library at these nodes, the last row being the bias; empty where they are not stored
    """
    steps = _Steps(progress, total=len(matched) + 4)
    features = in_canonical_order(features)
    primary, kept = libraries[0], _nearest(nodes, CODE_KEPT)
    test = _TestImages.of(features, device)

    table, own = _library_metrics(test, primary, kept)
    steps.advance()
    controls: list[LibraryMetrics] = []
    for library in matched:
        controls.append(_library_metrics(test, library, kept)[1])
        steps.advance()
    agreement = stability(libraries, matched)
    steps.advance()
    sample = _sampled(features)
    effective = _effective_concepts(sample, primary, matched[0], device)
    steps.advance()
    node = choose_node(nodes, len(primary))
    contributing = None
    if heads.numel():  # the reference protocol stores none
        head = heads[nodes.index(node)]
        contributing = ContributingConcepts(node, contributing_concepts(primary.activations(test.X), node, head))
    selectivity = measure_selectivity(sample, primary, node, device)
    steps.advance()
    return Panel(
        concept_count=len(primary),
        library=own,
        matched=_mean(controls),
        stability=agreement,
        effective_concepts=effective,
        contributing_concepts=contributing,
        selectivity=selectivity,
        concepts=table.rows(features.class_names),
        warnings=degenerate_warnings(own.code, own.effective_rank, len(primary), primary.vectors.shape[1]),
    )


@dataclass
class _Steps:
    """Report progress after each of `total` steps."""

    progress: ProgressCallback
    total: int
    done: int = 0

    def advance(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)


@dataclass(frozen=True)
class _TestImages:
    """Test images in canonical order.

    Attributes
    ----------
    X : (n, d) float32
    units : (n, d) float32, less the training mean and of length one
    y : (n,)
    class_count : C
    """

    X: Tensor
    units: Tensor
    y: Tensor
    class_count: int

    @staticmethod
    def of(features: FeatureSet, device: torch.device) -> _TestImages:
        X, mean = features.X_test.to(device), features.X_train.double().mean(dim=0).to(device)
        return _TestImages(X, centred_units(X, mean), features.y_test.to(device), features.class_count)


def _library_metrics(test: _TestImages, library: ConceptLibrary, kept: int) -> tuple[ConceptTable, LibraryMetrics]:
    activations = library.activations(test.X)
    purity, top_class = class_purity(activations, test.y, test.class_count, top_images(len(test.y), test.class_count))
    table = ConceptTable(
        mono_score=mono_scores(activations, test.units).cpu(),
        class_purity=purity.cpu(),
        top_class=top_class.cpu(),
        firing_rate=kept_mask(activations, kept).double().mean(dim=0).cpu(),
        nearest=nearest_concepts(library),
    )
    defined = table.mono_score[~table.mono_score.isnan()]
    metrics = LibraryMetrics(
        code=SparseCode.of(activations, kept),
        effective_rank=effective_rank(centred_vectors(library)),
        mono_score=float(defined.quantile(0.5)) if len(defined) else None,
        class_purity=float(table.class_purity.quantile(0.5)),
        firing_rate=float(table.firing_rate.quantile(0.5)),
        duplicated_share=float((table.nearest.duplicates > 0).double().mean()),
    )
    return table, metrics


def _effective_concepts(sample: FeatureSet, primary: ConceptLibrary, control: ConceptLibrary, device: torch.device) -> EffectiveConcepts:
    rows = [part.to(device) for part in (sample.X_train, sample.y_train, sample.X_test, sample.y_test)]
    own, other = (
        accuracy_at_nec(library.activations(rows[0]), rows[1], library.activations(rows[2]), rows[3], sample.class_count)
        for library in (primary, control)
    )
    anec, matched_anec = (fmean(point.accuracy for point in points) for points in (own, other))
    return EffectiveConcepts(own, other, anec, matched_anec, training_rows=len(rows[1]))


def _sampled(features: FeatureSet) -> FeatureSet:
    """The features with a sample of the training rows, stratified by class, where the limit is exceeded."""
    rows = stratified(features.y_train, max(TRAINING_ROWS, TRAINING_ROWS_PER_CLASS * features.class_count))
    return replace(features, X_train=features.X_train[rows], y_train=features.y_train[rows], train_rows=None)


def _mean(controls: Sequence[LibraryMetrics]) -> LibraryMetrics:
    """Means over the draws of matched directions."""
    scores = [control.mono_score for control in controls if control.mono_score is not None]
    return LibraryMetrics(
        code=SparseCode(
            kept=controls[0].code.kept,
            concepts_used=fmean(control.code.concepts_used for control in controls),
            overlap=fmean(control.code.overlap for control in controls),
            positive_share=fmean(control.code.positive_share for control in controls),
        ),
        effective_rank=fmean(control.effective_rank for control in controls),
        mono_score=fmean(scores) if scores else None,
        class_purity=fmean(control.class_purity for control in controls),
        firing_rate=fmean(control.firing_rate for control in controls),
        duplicated_share=fmean(control.duplicated_share for control in controls),
    )


def _nearest(nodes: Sequence[int], kept: int) -> int:
    """The node nearest to `kept`, the lower one on a tie."""
    return min(nodes, key=lambda node: (abs(node - kept), node))
