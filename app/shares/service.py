"""Share links: what may be shared, what a link to a concept or image shows, creation, and views of several links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.concept_libraries.repository import ConceptLibraryRepository
from app.db.ids import new_id
from app.db.models import Share
from app.errors import QuotaExceeded
from app.explanations.concept_fields import concepts_in
from app.explanations.service import explainable_job
from app.http.share_access import new_token, token_digest
from app.jobs.repository import JobRepository
from app.jobs.service import succeeded_job
from app.settings import Settings
from app.shares.repository import ShareRepository
from app.shares.views import view_of
from app.studies.repository import StudyRepository
from app.studies.service import require_rows
from iis_schemas.shares import ShareCreate, ShareView

HINT_CHARACTERS = 4
MAX_SHARES = 1000
TOP = 8
"""Concepts listed for and against on the page of a shared image."""


def question_of(request: ShareCreate) -> tuple[str, dict[str, Any]] | None:
    """Kind and fields of the query whose answer lists what the page of a concept or image shows; None for the other kinds."""
    if request.kind == "concept":
        return "concept_view", {"job": request.job, "concept": request.concept, "kept": None, "sparsity": None}
    if request.kind == "image":
        about = {"job": request.job, "image": request.image, "contrast": request.contrast, "top": TOP}
        return "explain", about | {"kept": request.kept, "sparsity": None}
    return None


def require_shareable(session: Session, owner_id: str, request: ShareCreate) -> None:
    """Check that the owner has what is to be shared, and that it has a result.

    Raises
    ------
    NotFound, Conflict
        As the page of the thing itself.
    """
    if request.study is not None:
        require_rows(session, owner_id, request.study)
    elif request.job is not None and request.kind == "result":
        succeeded_job(session, owner_id, request.job)
    elif request.job is not None:
        explainable_job(session, owner_id, request.job)


def create_share(
    session: Session, owner_id: str, request: ShareCreate, answer: dict[str, Any] | None, settings: Settings
) -> tuple[Share, str]:
    """Add a link and return it with its token, which is not stored.

    Parameters
    ----------
    answer : the worker's to `question_of(request)`

    Raises
    ------
    NotFound, Conflict
        As `require_shareable` does.
    QuotaExceeded
        When the owner has `MAX_SHARES`.
    """
    _hold(session, owner_id, request)
    require_shareable(session, owner_id, request)
    contents = {} if answer is None else _contents(session, owner_id, request, answer)
    shares = ShareRepository(session, owner_id)
    if shares.lock_count() >= MAX_SHARES:
        raise QuotaExceeded(f"You have {MAX_SHARES} share links, the most that are allowed; revoke one first.")
    token = new_token()
    share = Share(
        id=new_id("share"),
        owner_id=owner_id,
        kind=request.kind,
        job_id=request.job,
        study_id=request.study,
        concept=request.concept,
        image=request.image,
        contents=contents,
        digest=token_digest(token, settings.api_key_secret),
        hint=token[-HINT_CHARACTERS:],
        expires_at=datetime.now(UTC) + timedelta(days=request.expires_in_days),
    )
    return shares.add(share), token


def views_of(session: Session, owner_id: str, rows: Sequence[Share]) -> list[ShareView]:
    """Views of links, with the jobs and studies that they show."""
    shares = ShareRepository(session, owner_id)
    jobs = shares.jobs({row.job_id for row in rows if row.job_id is not None})
    studies = shares.studies({row.study_id for row in rows if row.study_id is not None})
    return [view_of(row, jobs.get(row.job_id or ""), studies.get(row.study_id or "")) for row in rows]


def _hold(session: Session, owner_id: str, request: ShareCreate) -> None:
    """Prevent the deletion of the job or study that a link refers to until the commit."""
    if request.study is not None:
        StudyRepository(session, owner_id).hold(request.study)
    elif request.job is not None:
        JobRepository(session, owner_id).hold(request.job)


def _contents(session: Session, owner_id: str, request: ShareCreate, answer: dict[str, Any]) -> dict[str, Any]:
    """Everything that the page of a concept or image shows: images, concepts with their heat maps, crops of a library."""
    library_id = explainable_job(session, owner_id, str(request.job)).library_id
    if request.kind == "concept":
        shown = [one["index"] for images in (answer["top_images"], *(answer.get("levels") or {}).values()) for one in images]
        concepts, images, query = [request.concept], sorted(set(shown)), {}
    else:
        concepts, images = sorted(set(concepts_in(answer, "supporting", "opposing"))), [request.image]
        contrast = {} if answer["contrast"] is None else {"contrast": answer["contrast"]["class"]}
        query = {"kept": str(answer["kept"]), **contrast, "top": str(TOP)}
    named = ConceptLibraryRepository(session, owner_id).named(library_id, [one for one in concepts if one is not None])
    crops = sorted({one["crop"] for row in named.values() for one in row.exemplars if "crop" in one})
    return {"library": library_id, "concepts": concepts, "images": images, "crops": crops, "query": query}
