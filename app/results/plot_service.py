"""The rules of plots: which figures a job that succeeded has."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.db.models import Plot
from app.errors import NotFound
from app.jobs.service import succeeded_job
from app.results.plot_repository import PlotRepository
from iis_schemas.plots import PlotsView, PlotView


def list_plots(session: Session, owner_id: str, job_id: str) -> PlotsView:
    """The figures of a job that succeeded.

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
    """One figure of a job that succeeded.

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
