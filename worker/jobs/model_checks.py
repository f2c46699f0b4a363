"""Check a model: load its weights, run them once, and store what was found. Jobs do so too where their model is still pending."""

from __future__ import annotations

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from app.db.models import Dataset, Json, Model
from iis_schemas.concept_libraries import MAX_DIMENSION
from worker.jobs.access import is_downloaded
from worker.jobs.attempt import Attempt
from worker.jobs.inputs import fetch_model
from worker.jobs.outputs import require_shown
from worker.sandbox.outcomes import StageRefused


def check_model(attempt: Attempt, model: Model) -> Json:
    """Load a model and run it once -> {digest, info}.

    Raises
    ------
    StageRefused
        When it does not load, or its representation is too wide.
    """
    request = fetch_model(attempt.runtime.settings, model, attempt.fetch_upload)
    found = attempt.run_stage("check_model", {"model": request.to_json()}, network=is_downloaded(model))
    if model.role == "backbone":
        refuse_too_wide(found["info"]["num_features"], "layer", "choose a layer that is pooled")
    return found


def checked_model(attempt: Attempt, model: Model) -> Model:
    """The model, checked first where it is pending: a study may name layers of a network that are registered with it.

    Raises
    ------
    StageRefused
        When the check refuses it.
    """
    if model.state != "pending":
        return model
    found = check_model(attempt, model)

    def read(session: Session) -> Model:
        mark_ready(session, Model, model.id, found)
        return session.get_one(Model, model.id)

    return attempt.write(read)


def mark_ready(session: Session, table: type[Model | Dataset], row_id: str, found: Json) -> None:
    """Store what a check found, if the row is still pending.

    Raises
    ------
    ChildLost
        When the child process sent more than a check finds.
    """
    require_shown([found["digest"], found["info"]], "a description")
    session.execute(
        update(table)
        .where(table.id == row_id, table.state == "pending")
        .values(state="ready", digest=found["digest"], info=found["info"], error=None, checked_at=func.now())
        .execution_options(synchronize_session=False)
    )


def refuse_too_wide(num_features: int, param: str | None, instead: str) -> None:
    """Refuse a representation with more dimensions than a score can have."""
    if num_features > MAX_DIMENSION:
        message = f"The representation has {num_features:,} dimensions; {MAX_DIMENSION:,} are allowed, so {instead}."
        raise StageRefused("representation_too_wide", message, param)
