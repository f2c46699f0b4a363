"""Visual elements of a request: their scales, and the form in which rows store them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from iis_engine.specs import ElementSpec
from iis_schemas.fields import Elements, ElementsView
from iis_schemas.studies.grids import first_grid
from iis_schemas.studies.requests import StudyCreate, StudyGrid
from worker.stages.specs import element_spec

EARLIER = {"kind": "patches", "images_per_class": 10, "seed": 0}
"""A 4 x 4 grid as releases without scales stored it."""


@pytest.mark.parametrize(
    ("asked", "scales"),
    [
        ({}, (1,)),
        ({"scales": [4]}, (4,)),
        ({"scales": [4, 1, 2]}, (1, 2, 4)),
        ({"kind": "segments"}, ()),
        ({"kind": "segments", "scales": []}, ()),
        ({"kind": "patches_and_segments"}, (1,)),
        ({"kind": "patches_and_segments", "scales": [3]}, (3,)),
    ],
)
def test_a_request_and_its_stored_form_mean_the_same_to_the_engine(asked: dict[str, Any], scales: tuple[int, ...]) -> None:
    elements = Elements.model_validate(asked)
    assert elements.scales == scales
    assert Elements.model_validate(elements.model_dump(mode="json")) == elements
    assert element_spec(elements.to_spec()) == ElementSpec(kind=elements.kind, scales=scales)
    assert tuple(ElementsView.model_validate(elements.to_spec()).scales or ()) == scales


@pytest.mark.parametrize("scales", [[], [0], [9], [2, 2], [1.5], ["4"], [True]])
def test_scales_that_are_no_grids_are_refused(scales: list[object]) -> None:
    with pytest.raises(ValidationError):
        Elements.model_validate({"scales": scales})


def test_segments_alone_take_no_scales() -> None:
    with pytest.raises(ValidationError, match="patches_and_segments"):
        Elements.model_validate({"kind": "segments", "scales": [2]})


def test_a_4_x_4_grid_is_stored_as_earlier_releases_stored_it() -> None:
    assert Elements(scales=(4,), images_per_class=10).to_spec() == EARLIER
    assert Elements(kind="segments", images_per_class=10).to_spec() == EARLIER | {"kind": "segments"}
    assert Elements(scales=(1, 2), images_per_class=10).to_spec() == EARLIER | {"scales": [1, 2]}
    assert Elements().to_spec() == EARLIER | {"images_per_class": None, "scales": [1]}


def test_stored_elements_without_scales_are_a_4_x_4_grid() -> None:
    assert element_spec(EARLIER) == ElementSpec(images_per_class=10, scales=(4,))
    assert ElementsView.model_validate(EARLIER).model_dump() == EARLIER | {"scales": [4]}
    assert ElementsView.model_validate(EARLIER | {"kind": "segments"}).model_dump() == EARLIER | {"kind": "segments"}


def test_a_stored_grid_of_a_study_without_scales_has_the_4_x_4_grid() -> None:
    request = StudyCreate.model_validate({"models": ["mdl_1"], "datasets": ["dst_1"], "libraries": [{"kind": "prototype"}]})
    stored = first_grid(request, None).model_dump(mode="json")
    assert stored["elements"] == EARLIER | {"images_per_class": None, "scales": [1]}
    assert StudyGrid.model_validate(stored | {"elements": EARLIER}).elements.scales == (4,)


def test_elements_in_words_name_every_grid_and_the_segments() -> None:
    view = ElementsView.model_validate(Elements(kind="patches_and_segments", images_per_class=10, scales=(1, 3)).to_spec())
    assert view.in_words == "whole images + 3 x 3 patches and segments of 10 images per class"
    assert ElementsView.model_validate(Elements().to_spec()).in_words == "whole images"
