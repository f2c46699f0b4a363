"""A score job on images: the scales at which its visual elements are cut, and their description in the report."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from app.db.models import Concept, Result

if TYPE_CHECKING:
    from support.worker_service import Service

SIDE = 24
WHOLE_AND_HALVES = {"kind": "patches", "images_per_class": 5, "seed": 0, "scales": [1, 2]}


def images() -> bytes:
    """An archive of two classes that differ in brightness."""
    generator = np.random.default_rng(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for label, level in (("bright", 170), ("dark", 60)):
            for index in range(12):
                png = io.BytesIO()
                pixels = np.clip(generator.normal(level, 30, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(png, "PNG")
                archive.writestr(f"{label}/{index}.png", png.getvalue())
    return buffer.getvalue()


@pytest.mark.slow
def test_concepts_are_whole_images_and_quarters_and_the_report_says_so(service: Service) -> None:
    model_id, dataset_id = service.add_tiny_model(), service.add_dataset(images(), "images.zip", "images")
    for check in (service.add_job("check_model", None, model_id=model_id), service.add_job("check_dataset", dataset_id)):
        assert service.run(check) == "succeeded", service.job(check).error
    library: dict[str, Any] = {"kind": "prototype", "concept_count": 40, "parts": []}
    first = service.add_score(dataset_id, model_id, elements=WHOLE_AND_HALVES, library=library)
    assert service.run(first) == "succeeded", service.job(first).error
    with service.runtime.sessions() as session:
        result = session.get_one(Result, first)
        shown = session.scalars(select(Concept.exemplars).where(Concept.library_id == result.library_id)).all()
    assert result.report["library"]["elements"] == WHOLE_AND_HALVES
    sizes = [tuple(exemplars[0]["box"][place] - exemplars[0]["box"][place - 2] for place in (2, 3)) for exemplars in shown]
    assert set(sizes) == {(SIDE, SIDE), (SIDE // 2, SIDE // 2)}  # 40 of 10 x (1 + 4) elements

    again = service.add_score(dataset_id, model_id, library={"id": result.library_id})
    assert service.run(again) == "succeeded", service.job(again).error
    with service.runtime.sessions() as session:
        assert session.get_one(Result, again).report["library"]["elements"] == WHOLE_AND_HALVES  # of the job that fitted the library
