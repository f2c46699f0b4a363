"""Preprocessing overrides of a fine-tuned network reproduce the preprocessing of its published weights."""

from __future__ import annotations

from typing import Any

import pytest

from app.db.models import Model
from iis_engine.backbones.preprocessing import ImageTransform, override
from iis_engine.specs import Preprocessing
from iis_schemas.models import PreprocessingChoice
from worker.jobs.finetune import pinned_preprocessing

ARCHITECTURES_OWN = ImageTransform((224, 224), (235, 235), interpolation="bicubic")


@pytest.mark.parametrize("size", [32, 160, 224, 299, 384])
def test_pinned_overrides_reproduce_the_preprocessing_of_published_weights(size: int) -> None:
    for resized in range(size, size + 80):
        used = ImageTransform((size, size), (resized, resized), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "bilinear")
        pinned = pinned_preprocessing(Model(pretrained="a_tag", preprocessing=None, info={"preprocessing": used.describe()}))
        assert pinned is not None
        assert PreprocessingChoice.model_validate(pinned).model_dump(mode="json") == pinned
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in pinned.items()}
        assert override(ARCHITECTURES_OWN, Preprocessing(**values)) == used


def test_pinned_overrides_keep_the_single_channel_of_a_grey_scale_network() -> None:
    own = ImageTransform((28, 28), (28, 28), (0.5,), (0.5,), channels=1)
    used = ImageTransform((28, 28), (32, 32), (0.25,), (0.5,), channels=1)
    pinned = pinned_preprocessing(Model(pretrained="a_tag", preprocessing=None, info={"preprocessing": used.describe()}))
    assert pinned is not None
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in pinned.items()}
    assert override(own, Preprocessing(**values)) == used


def test_overrides_of_an_uploaded_checkpoint_are_unchanged() -> None:
    given = {"input_size": 32}
    used = ImageTransform((32, 32), (32, 32)).describe()
    assert pinned_preprocessing(Model(pretrained=None, preprocessing=given, info={"preprocessing": used})) == given
