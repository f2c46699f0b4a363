"""A measurement that is joined from parts, computed apart and stored in between, is the undivided one to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.controls import isotropic
from iis_engine.scoring.exact import choose_strengths, measure_exact, measure_seeds
from iis_engine.scoring.exact_parts import SeedCurve, StrengthChoice, joined

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def features() -> FeatureSet:
    """Four classes that overlap little, so that the curve bends."""
    generator = torch.Generator().manual_seed(2)
    centres = 1.5 * torch.randn(4, 10, generator=generator)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.arange(count) % 4
        return centres[y] + torch.randn(count, 10, generator=generator), y

    return FeatureSet(*draw(100), *draw(60), tuple("abcd"), None)


@pytest.mark.parametrize("calibrated", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_parts_computed_in_any_order_and_stored_join_to_the_undivided_measurement(
    features: FeatureSet, calibrated: bool, tmp_path: Path
) -> None:
    libraries = [isotropic(("random",) * 12, features.X_train.shape[1], seed) for seed in range(2)]
    measure_exact(features, libraries, 4, CPU, calibrated=calibrated).save(tmp_path / "whole")
    choose_strengths(features, libraries[0], 4, CPU, calibrated=calibrated).save(tmp_path / "choice")
    for number in (1, 0):
        choice = StrengthChoice.load(tmp_path / "choice")
        measure_seeds(features, {number: libraries[number]}, choice, 4, CPU)[0].save(tmp_path / f"{number}")
    curves = [SeedCurve.load(tmp_path / f"{number}") for number in range(2)]
    joined(StrengthChoice.load(tmp_path / "choice"), curves).save(tmp_path / "joined")
    assert len(StrengthChoice.load(tmp_path / "choice").rounds) > 1, "The curve is refined where it bends."
    assert (tmp_path / "joined").read_bytes() == (tmp_path / "whole").read_bytes()
