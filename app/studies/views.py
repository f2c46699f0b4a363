"""Studies as answers show them."""

from __future__ import annotations

from app.db.models import Study
from app.descriptions import described_fields
from iis_schemas.names import FINISHED_STATES, JOB_STATES, PLOT_FORMATS, STUDY_FIGURES
from iis_schemas.studies.requests import StudyGrid
from iis_schemas.studies.views import JobCounts, StudyView

_LINKED = ("cells", "table", "table.csv", "table.parquet", "analysis", "extend", "cancel")


def view_of(study: Study, states: dict[str, int]) -> StudyView:
    """The view of a row and of its jobs' states."""
    unfinished = any(state not in FINISHED_STATES for state in states)
    return StudyView(
        id=study.id,
        **described_fields(study),
        state="running" if unfinished else "finished",
        jobs=JobCounts(total=sum(states.values()), **{state: states.get(state, 0) for state in JOB_STATES}),
        grid=StudyGrid.model_validate(study.grid),
        created_at=study.created_at,
        extended_at=study.extended_at,
        webhook=study.webhook_id,
        links=links_of(study.id),
    )


def links_of(study_id: str) -> dict[str, str]:
    """The addresses of a study's answers and of its page."""
    at = f"/v1/studies/{study_id}"
    figures = {f"figures/{name}.{suffix}": f"{at}/figures/{name}.{suffix}" for name in STUDY_FIGURES for suffix in PLOT_FORMATS}
    return {"self": at, **{name: f"{at}/{name}" for name in _LINKED}, **figures, "page": f"/studies/{study_id}"}
