"""Figures of studies: reproducible files, labels without overlaps, and refused input."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from iis_engine.errors import DataError
from iis_engine.figures.studies import STUDY_FIGURES, draw_study_figure, save_study_figure
from iis_engine.studies.analysis import analyse
from support.study_cells import GRID, row

BACKBONES = (
    *("ResNet-18", "ResNet-34", "ResNet-50", "ResNet-101", "ResNet-152", "ViT-B-16", "ViT-L-16"),
    *("Swin-T", "Swin-S", "Swin-B", "ConvNeXt-T", "ConvNeXt-S", "ConvNeXt-L $x_1$"),
)
"""The paper's thirteen, one of them with a name that would be read as mathematics."""


@pytest.fixture(scope="module")
def analysis() -> dict[str, Any]:
    """Thirteen models close together, two libraries and two M, checkpoints of one run, the first two near chance for all their IIS."""
    generator = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for library in ("prototype", "cluster"):
        for concept_count in (50, 200):
            for epoch, label in enumerate(BACKBONES):
                accuracy = 0.8 + generator.uniform(-0.03, 0.03)
                points = [[0, concept_count, accuracy, 1.0], [1, 0, 0.1, 0.1]]
                about = {"library": library, "concept_count": concept_count, "points": points}
                iis = 0.99 if epoch < 2 else 0.8 + generator.uniform(-0.05, 0.05)
                rows.append(row(label, accuracy, iis, near_chance=epoch < 2, family=label.split("-")[0], epoch=epoch, **about))
    return analyse(rows, GRID | {"evolution": True, "sparsity_grids": [[0, 0.5, 1]]})


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == "agreement" else pytest.mark.slow) for name in STUDY_FIGURES])
def test_each_figure_saved_twice_has_the_same_bytes(name: str, analysis: dict[str, Any], tmp_path: Path) -> None:
    for suffix in ("png", "svg"):
        first, again = tmp_path / f"first.{suffix}", tmp_path / f"again.{suffix}"
        save_study_figure(analysis, name, first)
        save_study_figure(analysis, name, again)
        assert first.read_bytes() == again.read_bytes()
    pixels = np.asarray(Image.open(tmp_path / "first.png").convert("L"))
    assert pixels.min() < 100 < pixels.max()


@pytest.mark.parametrize(("name", "labels"), [("iis_accuracy", 11), ("gain_accuracy", 11), ("concept_counts", 11), ("sparsity_grids", 11)])
def test_all_models_have_labels_that_do_not_overlap(name: str, labels: int, analysis: dict[str, Any]) -> None:
    figure = draw_study_figure(analysis, name)
    figure.draw_without_rendering()  # which places the labels
    for axis in (panel for panel in figure.axes if panel.axison):
        boxes = [Text.get_window_extent(text) for text in axis.texts if any(text.get_text().startswith(label[:5]) for label in BACKBONES)]
        assert len(boxes) == labels
        # A label's own extent, without the line to its point, which may pass between others.
        for one, other in combinations(boxes, 2):
            width = min(one.x1, other.x1) - max(one.x0, other.x0)
            height = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert min(width, height) < 1.5, "labels overlap by more than the rounding of a pixel"


@pytest.mark.parametrize("name", STUDY_FIGURES)
def test_a_study_without_data_for_a_figure_is_refused(name: str) -> None:
    with pytest.raises(DataError) as refused:
        draw_study_figure(analyse([], GRID), name)
    assert refused.value.code == "figure_absent"


def test_another_name_is_refused(analysis: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="choose one of iis_accuracy"):
        draw_study_figure(analysis, "histogram")
