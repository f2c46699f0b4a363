"""Names, limits and defaults of the wire format equal those of the engine, which does not import the wire format."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from iis_engine import specs
from iis_engine.figures.studies import STUDY_FIGURES as DRAWN_FIGURES
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.vocabularies import cleaning, parsing
from iis_schemas import concept_sets, fields, names
from iis_schemas.fields import Elements
from iis_schemas.jobs import finetuning, libraries
from iis_schemas.jobs.requests import ScoreCreate

SCORE: dict[str, Any] = {"kind": "score", "model": "mdl_1", "dataset": "dst_1"}


@pytest.mark.parametrize(
    "name",
    ["LibraryKind", "ElementKind", "ProtocolName", "Interpolation", "OptimizerName", "TrainedPart", "PrecisionName"],
)
def test_an_enumeration_has_the_engines_values(name: str) -> None:
    assert getattr(names, name).__args__ == getattr(specs, name).__args__


def test_lists_of_names_are_the_engines() -> None:
    assert names.VISUAL_KINDS == specs.VISUAL_KINDS
    assert names.TRAINABLE_LIBRARY_KINDS == specs.FINETUNE_LIBRARY_KINDS
    assert names.ARCHITECTURE_FAMILIES == specs.ARCHITECTURE_FAMILIES
    assert names.STUDY_FIGURES == DRAWN_FIGURES


def test_limits_are_the_engines() -> None:
    assert finetuning.STEP_IMAGES_MAX == specs.STEP_IMAGES_MAX
    assert fields.SCALE_MAX == specs.SCALE_MAX
    assert fields.EARLIER_SCALES == specs.EARLIER_SCALES
    assert concept_sets.UPLOAD_PHRASES_MAX == parsing.UPLOAD_PHRASES_MAX
    assert concept_sets.UPLOAD_CHARACTERS_MAX == parsing.UPLOAD_CHARACTERS_MAX
    assert concept_sets.CONCEPT_CHARACTERS_MAX == cleaning.CONCEPT_CHARACTERS_MAX


def test_omitted_fields_have_the_defaults_of_the_engine() -> None:
    library = libraries.LibraryChoice.model_validate({"kind": "text"}).to_spec()
    assert library == asdict(specs.LibrarySpec("text")) | {"parts": []}
    assert Elements().model_dump() == asdict(specs.ElementSpec())
    score = ScoreCreate.model_validate({**SCORE, "library": {"kind": "cluster"}})
    assert (score.protocol, score.seed) == (specs.ScoreSpec().protocol, specs.ScoreSpec().seed)
    asked = finetuning.FinetuneCreate.model_validate({**SCORE, "kind": "finetune", "library": {"kind": "prototype"}})
    spec = asdict(FinetuneSpec())
    engine = spec | {
        "library": {name: spec["library"][name] for name in ("kind", "concept_count")},
        "elements": Elements.model_validate(spec["elements"]).to_spec(),
    }
    assert {name: asked.to_spec()[name] for name in engine} == engine
