"""Plan what of a score's heads is kept on the device, by arithmetic on shapes: features and activations as far as they fit.

The peaks are upper bounds of what torch allocates at once in h (the linear probe) and in the curves (g_cls), worked out from the tensors
that `linear_probe`, `logistic`, `solver` and `model_selection` hold. Numbers of bytes are those of float32 unless a line says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from iis_engine import protocols
from iis_engine.heads.average_precision import labels_at_once
from iis_engine.heads.logistic import ROWS_PER_UNKNOWN
from iis_engine.heads.model_selection import nodes_per_stack, stack_bytes
from iis_engine.heads.sparse_blocks import BLOCK_ELEMENTS, ROWS_AT_ONCE, rows_per_block

FLOAT = 4
DOUBLE = 8
USABLE_SHARE = 0.9  # of the free memory: the caching allocator of torch leaves gaps
BLOCK_COPIES = 5  # of one block's activations, logits and residuals at once
LOGIT_COPIES = 3  # logits, their permuted copy and log-softmax in the validation loss
CURVATURE_COPIES = 4 * DOUBLE + FLOAT  # bytes of each entry: Hessians, their selection, factors, inverses; the inverse in float32
SORT_BYTES = 4 * DOUBLE  # of each entry while a range of rows is ranked
RANKING_BYTES = 14 * DOUBLE  # of each score that is ranked for average precision, with the terms of its values
SORT_KEY_COLUMNS = 64
SORT_KEY_BYTES = 16  # of each entry of the leading columns while the canonical order is found
STRENGTHS = max(len(grid) for grid in (protocols.L2_STRENGTHS, protocols.STRONGER_L2_STRENGTHS, protocols.WEAKER_L2_STRENGTHS))


@dataclass(frozen=True)
class HeadSizes:
    """Shapes of a measurement.

    Attributes
    ----------
    train_rows, test_rows : n of both splits
    dimension : d
    class_count : C
    concept_count : M
    library_seeds : S libraries that are measured together
    is_multi_label : whether labels are matrices (n, C) and the heads one-vs-rest
    """

    train_rows: int
    test_rows: int
    dimension: int
    class_count: int
    concept_count: int
    library_seeds: int
    is_multi_label: bool = False


@dataclass(frozen=True)
class HeadPlan:
    """Where the inputs of the heads are kept, and how the work is divided.

    Attributes
    ----------
    features_on_device : whether X is copied to the device whole; else it stays in host memory and is read in blocks
    activations_on_device : the same of the activations g_𝒞 ∘ f and their ranks, of all library seeds
    rows_per_block : rows of h that are multiplied at once
    blocks : number of such blocks
    nodes_per_stack : nodes of a curve whose problems are solved together
    problems_per_stack : nodes times L2 strengths
    device_bytes, host_bytes : largest number of bytes in use at once
    budget_bytes : of the device; None without a bound
    """

    features_on_device: bool
    activations_on_device: bool
    rows_per_block: int
    blocks: int
    nodes_per_stack: int
    problems_per_stack: int
    device_bytes: int
    host_bytes: int
    budget_bytes: int | None

    @property
    def fits(self) -> bool:
        """Whether the usable part of the budget holds the peak."""
        return self.budget_bytes is None or self.device_bytes <= USABLE_SHARE * self.budget_bytes


def plan_heads(sizes: HeadSizes, budget_bytes: int | None) -> HeadPlan:
    """Keep features and activations on the device if the budget holds both, else activations alone, else neither.

    Parameters
    ----------
    budget_bytes : free memory of the device; None without a bound, as on a CPU

    Returns
    -------
    The first of the three plans that fits; the last one if none does
    """
    plans = [_plan(sizes, budget_bytes, features=features, activations=on_device) for features, on_device in _PLACEMENTS]
    return next((plan for plan in plans if plan.fits), plans[-1])


_PLACEMENTS = ((True, True), (False, True), (False, False))


def device_budget_bytes(device: torch.device) -> int | None:
    """Free memory of a GPU in bytes, what torch caches included; None for a CPU, whose memory holds the features already."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _plan(sizes: HeadSizes, budget_bytes: int | None, *, features: bool, activations: bool) -> HeadPlan:
    rows = sizes.train_rows + sizes.test_rows
    curve_nodes = len(protocols.exact_nodes(sizes.concept_count))
    nodes = min(curve_nodes, nodes_per_stack(sizes.concept_count, sizes.class_count, STRENGTHS))
    block = rows_per_block(1, sizes.dimension, STRENGTHS * sizes.class_count)
    labels = _label_bytes(sizes)
    matrix = FLOAT * sizes.train_rows * sizes.dimension
    # X, standardised X, and the copies of its fitting and validation rows; all four at once
    features_bytes = 3 * matrix + FLOAT * sizes.test_rows * sizes.dimension if features else 0
    probe = features_bytes + _solving_bytes(sizes, sizes.dimension, problems=STRENGTHS, groups=1)
    of_seeds = 2 * FLOAT * sizes.library_seeds * rows * sizes.concept_count  # activations and ranks
    selected = 2 * FLOAT * sizes.train_rows * sizes.concept_count  # fitting and validation rows of one seed
    kept_features = FLOAT * rows * sizes.dimension if features else 0
    curves = kept_features + _solving_bytes(sizes, sizes.concept_count, problems=nodes * STRENGTHS, groups=nodes)
    curves += SORT_BYTES * min(ROWS_AT_ONCE, rows) * sizes.concept_count
    curves += of_seeds + selected if activations else 0
    # X as it was read and in canonical order; keys of its leading columns
    host = 2 * FLOAT * rows * sizes.dimension + SORT_KEY_BYTES * rows * min(SORT_KEY_COLUMNS, sizes.dimension)
    host += 0 if activations else of_seeds
    return HeadPlan(
        features_on_device=features,
        activations_on_device=activations,
        rows_per_block=block,
        blocks=-(-sizes.train_rows // block),
        nodes_per_stack=nodes,
        problems_per_stack=nodes * STRENGTHS,
        device_bytes=labels + max(probe, curves),
        host_bytes=host + labels,
        budget_bytes=budget_bytes,
    )


def _label_bytes(sizes: HeadSizes) -> int:
    """Labels of both splits; of multi-label data also those of the fitting and validation rows, whose matrices (n, C) are copies."""
    rows = sizes.train_rows + sizes.test_rows
    return (rows + sizes.train_rows) * sizes.class_count if sizes.is_multi_label else rows * DOUBLE  # uint8, int64


def _solving_bytes(sizes: HeadSizes, width: int, *, problems: int, groups: int) -> int:
    """Peak of solving `problems` heads of `width` concepts in `groups` groups: state, and the largest of the phases."""
    state = stack_bytes(width, sizes.class_count, problems)
    of_row = groups * max(width, STRENGTHS * sizes.class_count)
    label_copies = 1 if sizes.is_multi_label else 0  # labels as float32, beside the logits
    block = FLOAT * (BLOCK_COPIES + label_copies) * min(max(BLOCK_ELEMENTS, of_row), sizes.train_rows * of_row)
    block += 3 * DOUBLE * min(ROWS_AT_ONCE, sizes.train_rows) * width  # standardised in float64
    size = width + 1
    sample_rows = min(sizes.train_rows, 2 * ROWS_PER_UNKNOWN * size)
    curvature = problems * size * size * CURVATURE_COPIES
    curvature += FLOAT * sample_rows * (2 * width + 3 * STRENGTHS * sizes.class_count)
    held_out = max(round(protocols.VALIDATION_SHARE * sizes.train_rows), sizes.test_rows)
    validation = FLOAT * held_out * (2 * width + (LOGIT_COPIES + label_copies) * STRENGTHS * sizes.class_count)
    ranking = 0
    if sizes.is_multi_label:  # mean average precision of the logits of one head
        ranked = held_out * min(sizes.class_count, labels_at_once(held_out))
        ranking = FLOAT * held_out * (2 * width + sizes.class_count) + RANKING_BYTES * ranked
    return state + max(block, curvature, validation, ranking)
