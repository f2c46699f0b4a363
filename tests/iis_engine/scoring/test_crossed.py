"""Variance of means over images and seeds, against hand-computed tables and independent formulas."""

from __future__ import annotations

import numpy as np
import pytest

from iis_engine.scoring.crossed import CrossedMean, crossed_covariance, over_images, over_seeds


def table(seeds: int, images: int, *, image: float, seed: float, interaction: float, stream: int = 0) -> np.ndarray:
    """(seeds, images) with normal effects of these standard deviations."""
    generator = np.random.default_rng(stream)
    effects = seed * generator.standard_normal((seeds, 1)) + image * generator.standard_normal(images)
    return effects + interaction * generator.standard_normal((seeds, images))


def test_a_table_worked_out_by_hand() -> None:
    # Two seeds, three images. Image means 1, 2, 3; seed means 1.5, 2.5; no interaction.
    found = crossed_covariance(*[over_seeds([[0.5, 1.5, 2.5], [1.5, 2.5, 3.5]], "library")] * 2)
    assert float(found.image) == pytest.approx(1 / 3)  # variance 1 of the image means, over 3 images
    assert float(found.seed) == pytest.approx(0.5 / 2)  # variance .5 of the seed means, over 2 seeds
    assert float(found.total) == pytest.approx(1 / 3 + 1 / 4)
    assert found.seed_freedom.tolist() == [1.0]


def test_pure_interaction_is_counted_once() -> None:
    # Every entry is independent: the mean of S·n entries has the variance 1 / (S·n), and the two marginal estimates each contain it.
    values = table(400, 500, image=0, seed=0, interaction=1)
    mean = over_seeds(values, "library")
    found = crossed_covariance(mean, mean)
    assert float(found.total) == pytest.approx(1 / values.size, rel=0.15)
    marginal = values.mean(axis=0).var(ddof=1) / 500 + values.mean(axis=1).var(ddof=1) / 400
    assert marginal == pytest.approx(2 / values.size, rel=0.15)


def test_the_parts_recover_the_effects() -> None:
    mean = over_seeds(table(300, 4000, image=2.0, seed=0.5, interaction=1.0), "library")
    found = crossed_covariance(mean, mean)
    assert float(found.image) == pytest.approx((2.0**2 + 1.0 / 300) / 4000, rel=0.1)
    assert float(found.seed) == pytest.approx(0.5**2 / 300, rel=0.25)


def test_seeds_of_library_and_control_are_independent_and_images_are_shared() -> None:
    image = np.random.default_rng(5).standard_normal(50)
    seeds = np.arange(4.0)[:, None]
    library, control = over_seeds(image + seeds, "library"), over_seeds(image - 2 * seeds, "control")
    gain = crossed_covariance(library - control, library - control)
    assert float(gain.image) == pytest.approx(0.0, abs=1e-12)  # the same images, without interaction
    assert float(gain.seed) == pytest.approx(seeds.var(ddof=1) / 4 * (1 + 4))
    assert float(crossed_covariance(library, control).seed) == pytest.approx(0.0)


def test_the_variance_of_a_sum_is_that_of_its_parts_and_their_covariance() -> None:
    a, b = (over_seeds(table(5, 40, image=1, seed=0.3, interaction=0.5, stream=stream), "library") for stream in (1, 2))
    both, aa, bb, ab = (crossed_covariance(*pair) for pair in ((a + b, a + b), (a, a), (b, b), (a, b)))
    for part in ("image", "seed"):
        assert float(getattr(both, part)) == pytest.approx(float(getattr(aa, part) + getattr(bb, part) + 2 * getattr(ab, part)))


def test_leading_axes_are_independent_quantities() -> None:
    tables = np.stack([table(5, 30, image=1, seed=1, interaction=1, stream=stream) for stream in range(3)])
    together = crossed_covariance(over_seeds(tables, "library"), over_seeds(tables, "library"))
    for place, each in enumerate(tables):
        alone = crossed_covariance(over_seeds(each, "library"), over_seeds(each, "library"))
        assert together.total[place] == pytest.approx(float(alone.total))


def test_one_seed_adds_nothing() -> None:
    values = np.random.default_rng(0).random(30)
    one, none = over_seeds(values[None], "library"), over_images(values)
    found = crossed_covariance(one, one)
    assert float(found.total) == pytest.approx(float(crossed_covariance(none, none).total))
    assert float(found.total) == pytest.approx(values.var(ddof=1) / 30)


def test_means_add_subtract_and_scale() -> None:
    library: CrossedMean = over_seeds([[[1, 0, 1]], [[1, 1, 1]]], "library")  # two nodes, one seed
    mixed = (library - over_images([0, 0, 1])) * [2.0, 4.0]
    assert mixed.value.tolist() == pytest.approx([2 / 3, 8 / 3])
    assert mixed.image_count == 3


def test_shapes_without_seeds_or_images_are_refused() -> None:
    with pytest.raises(ValueError, match="seeds, images"):
        over_seeds([1.0, 0.0], "library")
    with pytest.raises(ValueError, match="two test images"):
        over_images([1.0])
