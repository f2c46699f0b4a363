"""Studies: creation, extension, cancellation and deletion. Rules of the grid: `app.studies.rules`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.concept_sets.service import require_vocabulary
from app.concept_sets.shipped import is_shipped
from app.db.ids import new_id
from app.db.models import FINISHED_STATES, Json, Model, Study
from app.db.row_limits import require_room_for_cells, require_room_for_studies
from app.db.session import after_commit
from app.db.transitions import enqueue_all, request_cancel_all
from app.descriptions import describe, description_columns
from app.errors import Conflict, InvalidInput, NotFound
from app.models.service import ready_vlm
from app.queue import wake_worker
from app.quotas.service import require_room_for_jobs
from app.settings import Settings
from app.studies.extending import extended_grid, same_vocabulary
from app.studies.layers import LayerModels, find_layers, register_layers
from app.studies.planning import Plan, PlannedCell, breadth_first, plan
from app.studies.repository import REUSABLE_STATES, StudyRepository
from iis_schemas.descriptions import DescriptionUpdate
from iis_schemas.jobs.views import VocabularyView
from iis_schemas.studies.grids import first_grid
from iis_schemas.studies.requests import StudyChoices, StudyCreate, StudyEstimateCreate, StudyExtend, StudyGrid

WAKE_UPS = 16  # messages for a new study; each worker runs jobs until none is queued
RETRY_AFTER_SECONDS = 5
DEFAULT_NAME = "A study"


def plan_study(session: Session, owner_id: str, request: StudyCreate, layers: LayerModels) -> Plan:
    """The plan of a request.

    Parameters
    ----------
    layers : of the request, written out

    Raises
    ------
    NotFound, Conflict, InvalidInput
        As `app.studies.planning.plan` and the look-up of vlm and vocabulary do.
    """
    vocabulary = _vocabulary(session, owner_id, request.vocabulary)
    vlm = ready_vlm(session, owner_id, request.vlm) if request.vlm is not None else None
    grid = first_grid(request, vocabulary, layers.entries)
    return plan(StudyRepository(session, owner_id), grid, _named(request), vlm)


def plan_estimate(session: Session, owner_id: str, request: StudyEstimateCreate) -> Plan:
    """The plan of a request whose models, data sets and phrases may not be registered yet.

    Raises
    ------
    NotFound, Conflict, InvalidInput
        As `plan_study` does.
    """
    new = request.unregistered
    if new.vocabulary and request.vocabulary is not None:
        vocabulary = VocabularyView(id=request.vocabulary, version=1, digest="")
    else:
        vocabulary = _vocabulary(session, owner_id, request.vocabulary)
    vlm = ready_vlm(session, owner_id, request.vlm) if request.vlm is not None and request.vlm not in new.models else None
    layers = find_layers(session, owner_id, request.models, new.models)
    new = new.model_copy(update={"models": [*new.models, *layers.of_layers]})
    grid = first_grid(request, vocabulary, layers.entries)
    return plan(StudyRepository(session, owner_id), grid, _named(request), vlm, new)


def create_study(session: Session, owner_id: str, request: StudyCreate, settings: Settings, request_id: str | None) -> Study:
    """Create a study, its cells and the missing jobs in one transaction.

    Raises
    ------
    NotFound, Conflict, InvalidInput
        As `plan_study` does, before anything is written.
    """
    studies = StudyRepository(session, owner_id)
    studies.lock_planning()
    layers = register_layers(session, owner_id, request.models, settings, request_id)
    planned = plan_study(session, owner_id, request, layers)
    require_room_for_studies(session, owner_id)
    require_room_for_cells(session, owner_id, len(planned.cells))
    study = studies.add(
        Study(
            id=new_id("study"),
            owner_id=owner_id,
            name=request.name or DEFAULT_NAME,
            grid=planned.grid.model_dump(mode="json"),
            **description_columns(request),
        )
    )
    made = _queue(session, owner_id, planned, planned.missing, settings, request_id)
    studies.add_cells([_cell_row(study.id, number, one, made) for number, one in enumerate(planned.cells)])
    return study


def extend_study(session: Session, owner_id: str, study_id: str, request: StudyExtend, settings: Settings, request_id: str | None) -> Study:
    """Extend the grid, and create a new job for each cell whose job failed, was canceled or is being canceled.

    Raises
    ------
    NotFound, Conflict, InvalidInput
        As `create_study` does; InvalidInput also when the study would become another one.
    """
    studies = StudyRepository(session, owner_id)
    studies.lock_planning()
    study = studies.get(study_id, for_update=True)
    had = StudyGrid.model_validate(study.grid)
    vocabulary = had.vocabulary
    if request.vocabulary is not None and (vocabulary is None or not same_vocabulary(vocabulary, request.vocabulary)):
        named = _vocabulary(session, owner_id, request.vocabulary)
        if vocabulary is not None and named != vocabulary:
            raise InvalidInput(
                f"The study's phrases are version {vocabulary.version} of {vocabulary.id}; leave vocabulary out, or make another study.",
                code="study_fixed",
                param="vocabulary",
            )
        vocabulary = named
    layers = register_layers(session, owner_id, request.models, settings, request_id)
    grid = extended_grid(had, request, vocabulary, layers.entries)
    planned = plan(studies, grid, _named(request), _vlm(session, owner_id, grid, request))
    known = {cell.request_digest: (cell, state) for cell, state in studies.cells(study_id)}
    standing = {digest for digest, (_, state) in known.items() if state in REUSABLE_STATES}
    wanted = [one for one in planned.cells if one.digest not in standing]
    made = _queue(session, owner_id, planned, [one for one in wanted if one.job_id is None], settings, request_id)
    again = [(known[one.digest][0].number, *_job_of(one, made)) for one in wanted if one.digest in known]
    studies.give_jobs(study_id, again)
    news = [one for one in wanted if one.digest not in known]
    require_room_for_cells(session, owner_id, len(news))
    studies.add_cells([_cell_row(study_id, number, one, made) for number, one in enumerate(news, len(known))])
    study.grid = grid.model_dump(mode="json")
    study.name = request.name or study.name
    study.extended_at, study.canceled_at, study.end_told_at = datetime.now(UTC), None, None
    session.flush()
    return study


def cancel_study(session: Session, owner_id: str, study_id: str) -> Study:
    """Cancel the unfinished jobs that the study created and no other study uses; the others are handed over to such a study."""
    studies = StudyRepository(session, owner_id)
    studies.lock_planning()  # no other study may begin to use one of them
    study = studies.get(study_id, for_update=True)
    study.canceled_at = datetime.now(UTC)
    request_cancel_all(session, studies.jobs_of_its_own(study_id))
    studies.hand_over(study_id)
    return study


def update_study(session: Session, owner_id: str, study_id: str, changes: DescriptionUpdate) -> Study:
    """Change the description of a study.

    Raises
    ------
    NotFound
    InvalidInput
        As `describe` does.
    """
    study = StudyRepository(session, owner_id).get(study_id, for_update=True)
    describe(study, changes)
    session.flush()
    return study


def delete_study(session: Session, owner_id: str, study_id: str) -> None:
    """Delete a study; its jobs stay.

    Raises
    ------
    Conflict
        While one of its jobs has not finished.
    """
    studies = StudyRepository(session, owner_id)
    study = studies.get(study_id, for_update=True)
    unfinished = sum(count for state, count in studies.states([study_id])[study_id].items() if state not in FINISHED_STATES)
    if unfinished:
        raise Conflict(
            f"{unfinished} jobs of study {study_id} have not finished; cancel the study, and each of its jobs that it did not"
            " create, or wait for their end.",
            code="study_unfinished",
        )
    session.delete(study)
    session.flush()


def require_rows(session: Session, owner_id: str, study_id: str) -> Study:
    """A study with at least one job that has succeeded.

    Raises
    ------
    NotFound
    Conflict
        Before one of its jobs has succeeded.
    """
    studies = StudyRepository(session, owner_id)
    study = studies.get(study_id)
    states = studies.states([study_id])[study_id]
    if states.get("succeeded"):
        return study
    if any(state not in FINISHED_STATES for state in states):
        raise Conflict(
            f"No job of study {study_id} has succeeded yet; try again later.",
            code="study_unfinished",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    raise Conflict(f"Every job of study {study_id} failed or was canceled; extend it with an empty body to retry.", code="study_failed")


def _queue(
    session: Session, owner_id: str, planned: Plan, cells: list[PlannedCell], settings: Settings, request_id: str | None
) -> dict[str, str]:
    """Create the missing jobs of cells, and wake workers after the commit; returns job ids by digest of the request.

    Raises
    ------
    QuotaExceeded
        When the owner may not have so many.
    """
    require_room_for_jobs(session, owner_id, len(cells), settings)
    vocabulary = planned.grid.vocabulary
    concept_set_id = vocabulary.id if vocabulary is not None and not is_shipped(vocabulary.id) else None
    ordered = breadth_first(cells)
    ids = sorted(new_id("job") for _ in ordered)  # jobs run in the order of their ids
    jobs: list[Json] = [
        {
            "id": job_id,
            "owner_id": owner_id,
            "kind": "score",
            "spec": one.spec,
            "model_id": one.cell.model,
            "dataset_id": one.cell.dataset,
            "library_dataset_id": one.cell.library_dataset,
            "vlm_id": one.spec["vlm"],
            "concept_set_id": concept_set_id if one.spec["vocabulary"] is not None else None,
            "request_id": request_id,
            "deadline_seconds": planned.grid.deadline_seconds or settings.job_deadline_seconds,
        }
        for job_id, one in zip(ids, ordered, strict=True)
    ]
    enqueue_all(session, jobs)
    after_commit(session, lambda: [wake_worker(job_id, settings.redis_url) for job_id in ids[:WAKE_UPS]])
    return {one.digest: job_id for job_id, one in zip(ids, ordered, strict=True)}


def _cell_row(study_id: str, number: int, one: PlannedCell, made: dict[str, str]) -> Json:
    job_id, created = _job_of(one, made)
    return {
        "study_id": study_id,
        "number": number,
        "job_id": job_id,
        "created": created,
        "request_digest": one.digest,
        "model_id": one.cell.model,
        "dataset_id": one.cell.dataset,
        "library": one.cell.library,
        "concept_count": one.cell.concept_count,
        "library_dataset_id": one.cell.library_dataset,
        "seed": one.cell.seed,
    }


def _job_of(one: PlannedCell, made: dict[str, str]) -> tuple[str, bool]:
    return (one.job_id, False) if one.job_id is not None else (made[one.digest], True)


def _named(request: StudyChoices | StudyExtend) -> set[str]:
    origins = (origin for origin in request.library_datasets or () if origin is not None)
    return {*(entry.model for entry in request.models if entry.layers is None), *request.datasets, *origins}


def _vocabulary(session: Session, owner_id: str, named: str | None) -> VocabularyView | None:
    return VocabularyView.model_validate(asdict(require_vocabulary(session, owner_id, named))) if named is not None else None


def _vlm(session: Session, owner_id: str, grid: StudyGrid, request: StudyExtend) -> Model | None:
    if grid.vlm is None:
        return None
    try:
        return ready_vlm(session, owner_id, grid.vlm)
    except NotFound:
        if request.vlm is not None:
            raise
        return None
