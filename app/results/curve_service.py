"""The rules of curves: the points of a job that succeeded, as values and as CSV."""

from __future__ import annotations

import csv
import io
from itertools import groupby

from sqlalchemy.orm import Session

from app.jobs.service import succeeded_job
from app.results.curve_repository import CurveRepository
from iis_schemas.curves import CurvesView, CurveView, PointView


def read_curves(session: Session, owner_id: str, job_id: str) -> CurvesView:
    """The curves of a job that succeeded, each by rising sparsity.

    Raises
    ------
    NotFound, Conflict
        As `succeeded_job` does.
    """
    job = succeeded_job(session, owner_id, job_id)
    rows = CurveRepository(session, owner_id).points(job.id)
    curves = [
        CurveView(name=name, points=[PointView.model_validate(point, from_attributes=True) for _, point in points])
        for name, points in groupby(rows, key=lambda row: row[0])
    ]
    at = f"/v1/jobs/{job.id}"
    return CurvesView(job=job.id, data=curves, links={"self": f"{at}/curves", "csv": f"{at}/curves?format=csv", "job": at})


def to_csv(curves: CurvesView) -> bytes:
    """The same numbers as the JSON, digit for digit, one point a line; an absent number is an empty cell."""
    text = io.StringIO()
    columns = ["curve", *PointView.model_fields]
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for curve in curves.data:
        writer.writerows({"curve": curve.name, **point.model_dump()} for point in curve.points)
    return text.getvalue().encode()
