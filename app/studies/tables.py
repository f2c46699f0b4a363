"""Cells and result rows of a study: pages, JSON and CSV. The numbers come from `app.db.study_rows`."""

from __future__ import annotations

import csv
import io
from typing import cast

from sqlalchemy.orm import Session

from app.db.models import Dataset, Model
from app.db.study_rows import READY_FEATURES, READY_FEATURES_NAME, library_labels, study_rows
from app.studies.repository import StudyRepository
from iis_engine.display.spreadsheet_cells import guarded
from iis_schemas.fields import FailureReason
from iis_schemas.names import JobState
from iis_schemas.studies.views import CellView, TableRow, TableView


def read_cells(session: Session, owner_id: str, study_id: str, after: int | None, limit: int) -> list[CellView]:
    """Cells after a number, one more than `limit`.

    Raises
    ------
    NotFound
    """
    studies = StudyRepository(session, owner_id)
    grid = studies.get(study_id).grid
    cells = studies.page_of_cells(study_id, after, limit)
    labels = library_labels(grid["libraries"])
    given_labels = {entry["model"]: entry["label"] for entry in grid["models"]}
    models = studies.names(Model, {cell.model_id for cell, _, _ in cells if cell.model_id is not None})
    named = {dataset for cell, _, _ in cells for dataset in (cell.dataset_id, cell.library_dataset_id) if dataset is not None}
    datasets = studies.names(Dataset, named)
    return [
        CellView(
            number=cell.number,
            job=cell.job_id,
            state=cast("JobState", state),
            error=FailureReason.model_validate(error) if error is not None else None,
            created=cell.created,
            model=cell.model_id or cell.dataset_id,
            label=(given_labels[cell.model_id] or models[cell.model_id]) if cell.model_id is not None else datasets[cell.dataset_id],
            dataset=cell.dataset_id if cell.model_id is not None else READY_FEATURES,
            dataset_name=datasets[cell.dataset_id] if cell.model_id is not None else READY_FEATURES_NAME,
            library=labels[cell.library],
            concept_count=cell.concept_count,
            library_dataset=cell.library_dataset_id,
            library_dataset_name=datasets[cell.library_dataset_id] if cell.library_dataset_id is not None else None,
            seed=cell.seed,
            links={"job": f"/v1/jobs/{cell.job_id}"},
        )
        for cell, state, error in cells
    ]


def read_table(session: Session, owner_id: str, study_id: str) -> TableView:
    """The results of the jobs that have succeeded.

    Raises
    ------
    NotFound
    """
    at = f"/v1/studies/{study_id}"
    rows = [TableRow.model_validate(row) for row in study_rows(session, owner_id, study_id, with_points=False)]
    links = {"self": f"{at}/table", "csv": f"{at}/table.csv", "parquet": f"{at}/table.parquet", "study": at}
    return TableView(study=study_id, data=rows, links=links)


def to_csv(table: TableView) -> bytes:
    """The same digits as in the JSON, one row a line; an absent value is an empty cell, and no name is a spreadsheet's formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(TableRow.model_fields))
    writer.writeheader()
    for row in table.data:
        writer.writerow({name: guarded(value) if isinstance(value, str) else value for name, value in row.model_dump().items()})
    return text.getvalue().encode()
