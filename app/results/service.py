"""Results of jobs that have succeeded: report, curves and plots. They never change."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.batches.service import show_batch
from app.db.models import Plot
from app.errors import NotFound
from app.finetuning.service import show_finetune
from app.jobs.repository import JobRepository
from app.jobs.result_repository import ResultRepository
from app.jobs.service import require_succeeded, succeeded_job
from app.results.repository import CurveRepository, PlotRepository
from iis_schemas.results.batches import BatchView
from iis_schemas.results.comparisons import ComparedScore, ComparisonView
from iis_schemas.results.concept_metrics import ConceptMetricsListView, ConceptMetricsView
from iis_schemas.results.curves import CurvesView, CurveView, PointView
from iis_schemas.results.finetuning import FinetuneView
from iis_schemas.results.plots import PlotsView, PlotView
from iis_schemas.results.reports import Report
from iis_schemas.results.results import ResultView


def read_result(session: Session, owner_id: str, job_id: str) -> ResultView | BatchView | FinetuneView:
    """The result of a job that has succeeded, by its kind.

    Raises
    ------
    NotFound
        When the owner has no such job.
    Conflict
        As `require_succeeded` does.
    """
    job = require_succeeded(JobRepository(session, owner_id).get(job_id))
    if job.kind == "explain":
        return show_batch(session, owner_id, job)
    if job.kind == "finetune":
        return show_finetune(session, owner_id, job)
    result = ResultRepository(session, owner_id).of_job(job.id)
    at = f"/v1/jobs/{job.id}"
    links = {"self": f"{at}/result", "job": at, "curves": f"{at}/curves", "plots": f"{at}/plots"}
    if result.library_id is not None:
        links["library"] = f"/v1/concept-libraries/{result.library_id}"
    return ResultView(
        job=job.id, library=result.library_id, report=Report.model_validate(result.report), created_at=result.created_at, links=links
    )


def read_curves(session: Session, owner_id: str, job_id: str) -> CurvesView:
    """The curves of a score job that has succeeded, each by rising sparsity.

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


def compare(session: Session, owner_id: str, job_ids: Sequence[str]) -> ComparisonView:
    """Reports and curves of score jobs that have succeeded.

    Raises
    ------
    NotFound, Conflict
        As `succeeded_job` does.
    """
    results = ResultRepository(session, owner_id)
    data = [
        ComparedScore(
            job=job_id,
            curves=read_curves(session, owner_id, job_id).data,
            report=Report.model_validate(results.of_job(job_id).report),
        )
        for job_id in job_ids
    ]
    return ComparisonView(data=data, links={"self": f"/v1/comparison?{urlencode({'job': list(job_ids)}, doseq=True)}"})


def curves_csv(curves: CurvesView) -> bytes:
    """The same digits as in the JSON, one point a line; an absent number is an empty cell."""
    rows = ({"curve": curve.name, **point.model_dump()} for curve in curves.data for point in curve.points)
    return _csv(["curve", *PointView.model_fields], rows)


def read_concept_metrics(session: Session, owner_id: str, job_id: str) -> ConceptMetricsListView:
    """Metrics of the concepts of a score job that has succeeded.

    Raises
    ------
    NotFound, Conflict
        As `succeeded_job` does.
    """
    job = succeeded_job(session, owner_id, job_id)
    metrics = ResultRepository(session, owner_id).of_job(job.id).concept_metrics or []
    at = f"/v1/jobs/{job.id}"
    links = {"self": f"{at}/concept-metrics", "csv": f"{at}/concept-metrics?format=csv", "job": at}
    return ConceptMetricsListView(job=job.id, data=[ConceptMetricsView.model_validate(each) for each in metrics], links=links)


def concept_metrics_csv(metrics: ConceptMetricsListView) -> bytes:
    """The same values as in the JSON, one concept a line; an absent number is an empty cell."""
    return _csv(list(ConceptMetricsView.model_fields), (each.model_dump() for each in metrics.data))


def list_plots(session: Session, owner_id: str, job_id: str) -> PlotsView:
    """The plots of a score job that has succeeded.

    Raises
    ------
    NotFound, Conflict
        As `succeeded_job` does.
    """
    job = succeeded_job(session, owner_id, job_id)
    at = f"/v1/jobs/{job.id}"
    plots = [
        PlotView.model_validate(
            {
                "name": plot.name,
                "format": plot.format,
                "sha256": plot.blob_sha256,
                "links": {"self": f"{at}/plots/{plot.name}.{plot.format}"},
            }
        )
        for plot in PlotRepository(session, owner_id).of_job(job.id)
    ]
    return PlotsView(job=job.id, data=plots, links={"self": f"{at}/plots", "job": at})


def find_plot(session: Session, owner_id: str, job_id: str, name: str, plot_format: str) -> Plot:
    """One plot of a score job that has succeeded.

    Raises
    ------
    NotFound, Conflict
        As `succeeded_job` does; NotFound also when the job has no such figure.
    """
    job = succeeded_job(session, owner_id, job_id)
    plots = {f"{plot.name}.{plot.format}": plot for plot in PlotRepository(session, owner_id).of_job(job.id)}
    wanted = f"{name}.{plot_format}"
    if wanted not in plots:
        raise NotFound(f"Job {job_id} has no plot {wanted}; its plots are: {', '.join(plots) or 'none'}.")
    return plots[wanted]


def _csv(columns: list[str], rows: Iterable[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
