"""Responses stored as JSON round-trip with every number and field."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from iis_engine import ScoreSpec, score_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.phrase_report import DroppedPhrase, TextConcept, TextReport
from iis_engine.specs import LibrarySpec, ProtocolName
from iis_schemas.jobs.views import SCORE_JOB_EXAMPLE, AnyJob
from iis_schemas.results.reports import REPORT_EXAMPLE, Report

MINIMAL: dict[str, Any] = {
    "protocol": "exact",
    "library": {"kind": "cluster", "concept_count": 8},
    "accuracy_representation": 0.5,
    "points": [],
    "iis": None,
    "iis_low": None,
    "iis_high": None,
    "warnings": ["The representation classifies no better than chance."],
}
FINDINGS = TextReport(
    (TextConcept("a loop", None, 0.61, 0.29),), (DroppedPhrase("a tail", "clip_cutoff", {"clip_top5": 0.1}),), *(0.25, 0.45, False, 60),
    *(0.7, 0.6, 0.8, 0.1),
)  # fmt: skip


def features() -> FeatureSet:
    """Three blobs in eight dimensions."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 3
    centres = 2 * torch.randn(3, 8, generator=generator)
    train, test, elements = (centres[y] + torch.randn(60, 8, generator=generator) for _ in range(3))
    return FeatureSet(train, y, test, y, ("a", "b", "c"), elements)


@pytest.mark.parametrize("protocol", [pytest.param("exact", marks=pytest.mark.slow), "reference"])
def test_a_report_of_the_engine_round_trips_through_its_model(protocol: ProtocolName) -> None:
    stored = score_features(features(), ScoreSpec(LibrarySpec("prototype", 6), protocol=protocol)).to_dict()
    stored["library"]["text"] = FINDINGS.summary()
    stored["library"]["names"] = {"named": 3, "unnamed": 3}
    stored = json.loads(json.dumps(stored))
    report = Report.model_validate(stored)
    assert json.loads(report.model_dump_json()) == stored
    assert report.points[0].accuracy == stored["points"][0]["accuracy"]
    assert report.model_extra == {}, "each field of the engine's report has a name in the wire format"
    assert report.library.text is not None
    assert report.library.text.model_extra == {}


def test_a_report_without_the_fields_of_later_releases_is_read_and_gains_none() -> None:
    report = Report.model_validate(MINIMAL)
    assert json.loads(report.model_dump_json()) == MINIMAL
    assert (report.iis, report.few_concepts, report.library.text) == (None, {}, None)


def test_a_field_that_this_release_does_not_know_is_kept() -> None:
    newer = {**REPORT_EXAMPLE, "iis_by_class": {"3": 0.9}, "library": {**REPORT_EXAMPLE["library"], "drift": 0.5}}
    assert json.loads(Report.model_validate(newer).model_dump_json()) == newer


def test_unknown_fields_of_a_newer_service_are_kept() -> None:
    newer = {**SCORE_JOB_EXAMPLE, "priority": 3, "elements": {**SCORE_JOB_EXAMPLE["elements"], "overlap": 0.5}}
    job = AnyJob.model_validate(newer, extra="allow").root
    assert job.model_extra == {"priority": 3}
    assert json.loads(job.model_dump_json())["elements"]["overlap"] == 0.5
