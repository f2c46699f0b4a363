"""Plan a grid: the jobs it needs, and those that exist. Reads rows and writes none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from app.datasets.multi_label import require_single_label
from app.db.models import Dataset, Json, Model
from app.errors import NotFound
from app.jobs.service import require_fitting, require_native
from app.studies.job_specs import CellRequests, request_digest
from app.studies.repository import REUSABLE_STATES, StudyRepository
from app.studies.rules import require_fitting_grid, require_whole
from app.validation import require_ready
from iis_schemas.studies.grids import Cell, expand
from iis_schemas.studies.requests import StudyGrid, Unregistered


@dataclass(frozen=True)
class PlannedCell:
    """A cell of the grid, the request of its job, and the existing job if there is one."""

    cell: Cell
    spec: Json
    digest: str
    job_id: str | None


@dataclass(frozen=True)
class Plan:
    """The cells of a grid and the rows that it names; names in `unregistered` have none."""

    grid: StudyGrid
    cells: list[PlannedCell]
    models: Mapping[str, Model]
    datasets: Mapping[str, Dataset]
    unregistered: Unregistered

    @property
    def missing(self) -> list[PlannedCell]:
        """The cells that need a new job."""
        return [planned for planned in self.cells if planned.job_id is None]

    def is_registered(self, cell: Cell) -> bool:
        """Whether the model and the data sets of a cell have rows."""
        datasets = {cell.dataset, cell.library_dataset} & self.unregistered.datasets.keys()
        return not datasets and cell.model not in self.unregistered.models


def plan(
    studies: StudyRepository, grid: StudyGrid, named: Collection[str], vlm: Model | None, unregistered: Unregistered | None = None
) -> Plan:
    """Plan a grid.

    Parameters
    ----------
    named : ids that the request itself names; they must be there even where no job needs them any more
    vlm : that the grid names
    unregistered : names in the grid that have no row yet; only an estimate has such names

    Raises
    ------
    NotFound
        When the owner has no such model or data set, or one that a new job needs was deleted.
    Conflict
        While one of these is still being checked.
    InvalidInput
        When the grid makes no sense, or one of these was refused.
    """
    require_whole(grid)
    unregistered = unregistered or Unregistered()
    model_ids = [entry.model for entry in grid.models if entry.model not in unregistered.models]
    origins = (origin for origin in grid.library_datasets if origin is not None)
    dataset_ids = [dataset for dataset in (*grid.datasets, *origins) if dataset not in unregistered.datasets]
    models, datasets = studies.models(model_ids), studies.datasets(set(dataset_ids))
    _require_there(model_ids, models, named, "model")
    _require_there(dataset_ids, datasets, named, "data set")
    _require_usable(models, datasets, named)
    require_fitting_grid(grid, models, datasets, {name: counted.kind for name, counted in unregistered.datasets.items()})
    held = _held(studies, grid)
    cells: list[PlannedCell] = []
    requests = CellRequests(grid)
    for cell in expand(grid):
        spec, digest = requests.of(cell)
        cells.append(PlannedCell(cell, spec, digest, held.get(digest)))
    planned = Plan(grid, cells, models, datasets, unregistered)
    _require_for_jobs(planned, vlm)
    return planned


def breadth_first(cells: Iterable[PlannedCell]) -> list[PlannedCell]:
    """Order cells so that each model and data set comes once before any comes twice: workers then share features."""
    ranks: Counter[tuple[str | None, str]] = Counter()
    ranked: list[tuple[int, PlannedCell]] = []
    for planned in cells:
        pair = planned.cell.model, planned.cell.dataset
        ranked.append((ranks[pair], planned))
        ranks[pair] += 1
    return [planned for _, planned in sorted(ranked, key=lambda one: one[0])]


def _held(studies: StudyRepository, grid: StudyGrid) -> dict[str, str]:
    """By digest of the request: the owner's best job with that request."""
    best: dict[str, tuple[int, str]] = {}
    for job_id, state, spec in studies.reusable_jobs(grid.datasets):
        digest = request_digest(spec)
        found = REUSABLE_STATES.index(state), job_id
        best[digest] = min(found, best.get(digest, found))
    return {digest: job_id for digest, (_, job_id) in best.items()}


def _require_there(ids: Iterable[str], rows: Mapping[str, Model] | Mapping[str, Dataset], named: Collection[str], noun: str) -> None:
    for row_id in ids:
        row = rows.get(row_id)
        if row is None or (row.deleted_at is not None and row_id in named):
            raise NotFound(f"There is no {noun} {row_id}.")


def _require_usable(models: Mapping[str, Model], datasets: Mapping[str, Dataset], named: Collection[str]) -> None:
    for model in models.values():
        if model.id in named:
            require_ready(model, "model")
    for dataset in datasets.values():
        if dataset.id in named:
            require_ready(dataset, "dataset")


def _require_for_jobs(planned: Plan, vlm: Model | None) -> None:
    """Refuse a new job whose model or data set was deleted, or that would be refused by itself."""
    seen: set[tuple[str | None, str, str | None, int]] = set()
    for cell in (one.cell for one in planned.missing):
        key = cell.model, cell.dataset, cell.library_dataset, cell.library
        if key in seen or not planned.is_registered(cell):
            continue
        seen.add(key)
        model = planned.models[cell.model] if cell.model is not None else None
        dataset = planned.datasets[cell.dataset]
        origin = planned.datasets[cell.library_dataset] if cell.library_dataset is not None else None
        for row, noun in ((model, "model"), (dataset, "data set"), (origin, "data set")):
            if row is not None and row.deleted_at is not None:
                raise NotFound(f"There is no {noun} {row.id} any more, and a new job needs it.")
        if (
            planned.grid.vlm is not None
            and vlm is None
            and planned.grid.vlm not in planned.unregistered.models
            and "text" in planned.grid.libraries[cell.library].kinds
        ):
            raise NotFound(f"There is no model {planned.grid.vlm} any more, and a new job needs it as vlm.")
        require_fitting(model, dataset, planned.grid.vlm)
        if planned.grid.protocol == "reference":
            require_single_label(dataset, "The reference protocol", "protocol")
        if planned.grid.libraries[cell.library].asks_native and model is not None and vlm is not None:
            require_native(model, vlm)
