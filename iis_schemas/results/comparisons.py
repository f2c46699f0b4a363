"""Reports and curves of several score jobs in one answer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from iis_schemas.results.curves import POINT_EXAMPLE, CurveView
from iis_schemas.results.reports import REPORT_EXAMPLE, Report

MAX_COMPARED = 12
_JOB = "job_01jz3v9a1b3c5d7e9f1g3h5j7k"


class ComparedScore(BaseModel):
    """Report and curves of one job."""

    job: str
    report: Report
    curves: list[CurveView]


class ComparisonView(BaseModel):
    """Scores in the requested order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "data": [{"job": _JOB, "report": REPORT_EXAMPLE, "curves": [{"name": "library", "points": [POINT_EXAMPLE]}]}],
                    "links": {"self": f"/v1/comparison?job={_JOB}"},
                }
            ]
        }
    )

    data: list[ComparedScore]
    links: dict[str, str]
