"""Show the progress of one job as a bar of rich, in a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from iis_schemas.jobs.views import AnyJobView


@contextmanager
def job_bar() -> Generator[Callable[[AnyJobView], None]]:
    """Yield a function that moves the bar to the progress of a job."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns) as bars:
        bar = bars.add_task("waiting", total=None)

        def show(job: AnyJobView) -> None:
            if job.finished:
                bars.update(bar, description=f"Job {job.id} {job.state}", completed=1, total=1)
            elif job.progress is not None and job.progress.overall is not None:
                overall = job.progress.overall
                left = "" if overall.eta_seconds is None else f", {overall.eta_seconds:.0f} s left"
                bars.update(bar, description=f"{job.progress.title}{left}", completed=overall.share_done, total=1)
            elif job.progress is not None:
                bars.update(bar, description=job.progress.title, completed=job.progress.done, total=job.progress.total or None)
            else:
                position = "" if job.queue_position is None else f", position {job.queue_position}"
                bars.update(bar, description=f"Job {job.id} {job.state}{position}")

        yield show
