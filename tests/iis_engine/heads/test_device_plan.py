"""What is kept on the device: ImageNet within 24 GB by the plan's arithmetic, and the numbers of a plan that keeps less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from iis_engine.features.canonical_order import canonical_order
from iis_engine.heads.device_plan import HeadSizes, plan_heads
from iis_engine.heads.host_rows import HostSource
from iis_engine.heads.linear_probe import Standardisation
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.build import build_library
from iis_engine.scoring.exact import measure_exact
from iis_engine.specs import LibrarySpec
from support.scored import digit_features

IMAGENET = HeadSizes(train_rows=1_281_167, test_rows=50_000, dimension=2048, class_count=1000, concept_count=200, library_seeds=5)
GB = 10**9
CPU = torch.device("cpu")


def test_imagenet_fits_24_gb_of_device_memory_and_32_gb_of_host_memory() -> None:
    plan = plan_heads(IMAGENET, 24 * GB)
    assert plan.fits
    assert not plan.features_on_device
    assert plan.activations_on_device
    assert plan.device_bytes < 24 * GB
    elements_bytes = 4 * 100 * IMAGENET.class_count * IMAGENET.dimension  # 100 visual elements of each class
    assert plan.host_bytes + elements_bytes < 32 * GB
    assert plan.rows_per_block * plan.blocks >= IMAGENET.train_rows
    assert plan.nodes_per_stack * 4 == plan.problems_per_stack


def test_the_plan_counts_at_least_the_tensors_that_must_be_there() -> None:
    rows = IMAGENET.train_rows + IMAGENET.test_rows
    features, activations = 4 * rows * 2048, 2 * 4 * 5 * rows * 200
    whole = plan_heads(IMAGENET, None)
    assert whole.features_on_device
    assert whole.device_bytes > features + activations
    assert whole.host_bytes > 2 * features


def test_the_plan_counts_the_label_matrices_of_multi_label_data() -> None:
    single, multi = plan_heads(IMAGENET, None), plan_heads(replace(IMAGENET, is_multi_label=True), None)
    rows = IMAGENET.train_rows + IMAGENET.test_rows
    labels = rows * 1000 + IMAGENET.train_rows * 1000  # uint8, and those of the fitting and validation rows
    assert multi.host_bytes - single.host_bytes == labels - 8 * rows
    assert multi.device_bytes - single.device_bytes >= labels - 8 * rows


@pytest.mark.parametrize(("gigabytes", "kept"), [(80, (True, True)), (24, (False, True)), (16, (False, False))])
def test_a_smaller_device_keeps_less(gigabytes: int, kept: tuple[bool, bool]) -> None:
    plan = plan_heads(IMAGENET, gigabytes * GB)
    assert (plan.features_on_device, plan.activations_on_device) == kept
    assert plan.fits


def test_memory_shrinks_with_no_size() -> None:
    small = replace(IMAGENET, train_rows=100_000, class_count=100, dimension=512, concept_count=100, library_seeds=1)
    for name in ("train_rows", "class_count", "dimension", "concept_count", "library_seeds"):
        larger = replace(small, **{name: 4 * getattr(small, name)})
        assert plan_heads(larger, 1).device_bytes >= plan_heads(small, 1).device_bytes, name
        assert plan_heads(larger, None).device_bytes >= plan_heads(small, None).device_bytes, name


def test_rows_in_host_memory_equal_rows_on_the_device() -> None:
    X = torch.randn(200, 12, generator=torch.Generator().manual_seed(0))
    standardisation = Standardisation.of(X)
    mask = torch.arange(200) % 3 > 0
    on_device = Source(standardisation(X), None).where(mask)
    on_host = HostSource(X, None, CPU, standardisation).where(mask)
    assert on_host.shape == on_device.shape
    assert torch.equal(on_host.rows(5, 999, 12, 7), on_device.rows(5, 999, 12, 7))
    twice = mask[mask].clone()
    twice[::2] = False
    assert torch.equal(on_host.where(twice).rows(0, 50, 12), on_device.where(twice).rows(0, 50, 12))
    thresholded = HostSource.thresholded(X, CPU)
    assert torch.equal(thresholded.where(mask).rows(0, 200, 4), Source.of(X).where(mask).rows(0, 200, 4))


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (9, 2), (200, 300)])
def test_an_empty_range_of_rows_in_host_memory_is_an_empty_matrix(start: int, stop: int) -> None:
    X = torch.randn(200, 12, generator=torch.Generator().manual_seed(0))
    found = HostSource.thresholded(X, CPU).rows(start, stop, 4)
    assert found.shape == (0, 12)
    assert torch.equal(found, Source.of(X).rows(start, stop, 4))


def test_strided_rows_are_contiguous_before_they_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned_bytes: list[int] = []

    def pin(rows: torch.Tensor) -> torch.Tensor:
        spanned = 1 + sum((size - 1) * stride for size, stride in zip(rows.shape, rows.stride(), strict=True))
        pinned_bytes.append(4 * spanned)
        return rows

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)  # needs a GPU
    HostSource(torch.zeros(210, 12), None, torch.device("meta")).rows(0, 210, 12, 7)
    assert pinned_bytes == [4 * 30 * 12]


def test_a_score_under_a_capped_budget_equals_the_uncapped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    features = digit_features()
    features = replace(features, X_train=features.X_train[:200], y_train=features.y_train[:200], train_rows=None)
    libraries = [build_library(features, LibrarySpec("prototype", 12), seed, CPU) for seed in range(2)]
    whole = measure_exact(features, libraries, 0, CPU)
    sizes = HeadSizes(len(features.X_train), len(features.X_test), features.X_train.shape[1], features.class_count, 12, 2)
    for module in ("host_rows", "linear_probe", "sparse_blocks"):
        monkeypatch.setattr(f"iis_engine.heads.{module}.ROWS_AT_ONCE", 64)
    for kept in ((False, True), (False, False)):
        budgets = (budget for budget in range(plan_heads(sizes, None).device_bytes * 2, 0, -10_000) if _kept(sizes, budget) == kept)
        capped = measure_exact(features, libraries, 0, CPU, device_bytes=next(budgets))
        assert torch.equal(capped.correct, whole.correct)
        assert torch.equal(capped.baseline_correct, whole.baseline_correct)
        torch.testing.assert_close(capped.heads, whole.heads, atol=1e-5, rtol=0)


def _kept(sizes: HeadSizes, budget_bytes: int) -> tuple[bool, bool]:
    plan = plan_heads(sizes, budget_bytes)
    return plan.features_on_device, plan.activations_on_device


def test_rows_that_agree_in_the_leading_columns_are_ordered_by_the_others() -> None:
    random = np.random.default_rng(0)
    X = random.integers(-1, 2, (400, 90)).astype(np.float32)
    X[:, :88] = X[:, :1]  # three values, so that the leading columns tie; 27 different rows
    X[7] = -X[7] * 0.0
    expected = np.lexsort(tuple(X[:, column] for column in reversed(range(90))))
    assert canonical_order(torch.from_numpy(X)).tolist() == expected.tolist()
