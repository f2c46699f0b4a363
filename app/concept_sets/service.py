"""Concept sets: creation of sets and versions, look-up by name, and deletion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.concept_sets import files, shipped
from app.concept_sets.repository import ALL, ConceptSetRepository, VersionSummary
from app.concept_sets.sources import Gathered, gather
from app.concept_sets.views import set_view, version_view
from app.datasets.repository import DatasetRepository
from app.db.ids import PREFIXES, new_id
from app.db.models import ConceptSet, ConceptSetVersion
from app.db.row_limits import require_room_for_concept_sets
from app.errors import Conflict, InvalidInput, NotFound
from app.models.service import ready_vlm
from app.settings import Settings
from app.storage import ArtifactStore
from app.validation import RETRY_AFTER_SECONDS, cancel_validations, enqueue_check, require_unneeded
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from iis_engine.vocabularies.shipped import shipped_names
from iis_schemas.concept_sets import (
    ConceptSetCreate,
    ConceptSetCreated,
    ConceptSetVersionCreate,
    ConceptSetVersionView,
    ConceptSetView,
    DroppedPhraseView,
    PhraseView,
)


@dataclass(frozen=True)
class Vocabulary:
    """The version of a set that a job uses, with its digest."""

    id: str
    version: int
    digest: str


def create_set(
    session: Session, store: ArtifactStore, owner_id: str, request: ConceptSetCreate, settings: Settings, request_id: str | None
) -> ConceptSetCreated:
    """Create a set with its first version, which is ready at once unless a worker has to gather or compare the phrases.

    Raises
    ------
    NotFound, Conflict
        When the upload, data set or model that is named is not this owner's, or not ready.
    InvalidInput
        When the phrases cannot be read, or none is left.
    """
    require_room_for_concept_sets(session, owner_id)
    gathered = _gather_and_hold(session, store, owner_id, request, settings)
    concept_set = ConceptSet(
        id=new_id("concept_set"), owner_id=owner_id, name=request.name or gathered.name, description=request.description
    )
    ConceptSetRepository(session, owner_id).add(concept_set)
    return _add_version(session, concept_set, 1, gathered, request, settings, request_id)


def create_version(
    session: Session,
    store: ArtifactStore,
    owner_id: str,
    concept_set_id: str,
    request: ConceptSetVersionCreate,
    settings: Settings,
    request_id: str | None,
) -> ConceptSetCreated:
    """Add a version to a set; jobs that name the set without a version use this one from now on.

    Raises
    ------
    NotFound, Conflict
        When the set, upload, data set or model is not this owner's, or not ready; when the set comes with the service.
    InvalidInput
        When the phrases cannot be read, or none is left.
    """
    shipped.require_own(concept_set_id)
    sets = ConceptSetRepository(session, owner_id)
    sets.get(concept_set_id)
    require_room_for_concept_sets(session, owner_id)
    gathered = _gather_and_hold(session, store, owner_id, request, settings)
    concept_set = sets.get(concept_set_id, for_update=True)  # locked, so that two versions never get the same number
    return _add_version(session, concept_set, sets.latest_version(concept_set) + 1, gathered, request, settings, request_id)


def list_sets(session: Session, owner_id: str, after: str | None, limit: int) -> list[ConceptSetView]:
    """An owner's sets, newest first, one more than `limit`."""
    sets = ConceptSetRepository(session, owner_id)
    rows = sets.list(after=after, limit=limit)
    latest = sets.latest_versions(rows)
    return [set_view(row, latest[row.id]) for row in rows]


def show_set(session: Session, owner_id: str, concept_set_id: str) -> ConceptSetView:
    """One set, shipped or the owner's."""
    if shipped.is_shipped(concept_set_id):
        return shipped.view(concept_set_id)
    sets = ConceptSetRepository(session, owner_id)
    concept_set = sets.get(concept_set_id)
    return set_view(concept_set, sets.latest_version(concept_set))


def list_versions(session: Session, owner_id: str, concept_set_id: str, after: int | None, limit: int) -> list[ConceptSetVersionView]:
    """The versions of a set, newest first, one more than `limit`."""
    if shipped.is_shipped(concept_set_id):
        found: Sequence[VersionSummary] = [shipped.version(concept_set_id, shipped.VERSION)] if after is None else []
    else:
        sets = ConceptSetRepository(session, owner_id)
        sets.get(concept_set_id)
        found = sets.versions(concept_set_id, after=after, limit=limit)
    return [version_view(version) for version in found]


def show_version(session: Session, owner_id: str, concept_set_id: str, number: int) -> ConceptSetVersionView:
    """One version of a set, shipped or the owner's."""
    return version_view(_version(session, owner_id, concept_set_id, number))


def list_phrases(session: Session, owner_id: str, concept_set_id: str, number: int, first: int, count: int) -> list[PhraseView]:
    """`count` phrases of a version from index `first` on.

    Raises
    ------
    NotFound
        When there is no such version.
    Conflict
        Unless it is ready.
    """
    return [
        PhraseView(text=phrase.text, group=phrase.group) for phrase in _phrases(session, owner_id, concept_set_id, number, first, count)
    ]


def list_dropped(session: Session, owner_id: str, concept_set_id: str, number: int, first: int, count: int) -> list[DroppedPhraseView]:
    """`count` phrases that were left out of a version, from index `first` on."""
    if shipped.is_shipped(concept_set_id):
        return [DroppedPhraseView.model_validate(one) for one in shipped.version(concept_set_id, number).dropped]
    dropped = ConceptSetRepository(session, owner_id).dropped(concept_set_id, number, first=first, count=count)
    return [DroppedPhraseView.model_validate(one) for one in dropped]


def write_version(session: Session, owner_id: str, concept_set_id: str, number: int, file_format: files.FileFormat) -> bytes:
    """All phrases of a version as a file that can be uploaded again.

    Raises
    ------
    NotFound
        When there is no such version.
    Conflict
        Unless it is ready.
    InvalidInput
        When the format cannot hold a phrase.
    """
    phrases = _phrases(session, owner_id, concept_set_id, number, 0, ALL)
    concept_set = show_set(session, owner_id, concept_set_id)
    title = concept_set.description if concept_set.origin == "shipped" else concept_set.name
    return files.write(file_format, title or concept_set.name, phrases)


def delete_set(session: Session, owner_id: str, concept_set_id: str) -> None:
    """Delete a set with all versions and cancel their validations; results of finished jobs stay readable.

    Raises
    ------
    Conflict
        While a job that needs it has not finished; always for one that comes with the service.
    """
    shipped.require_own(concept_set_id)
    sets = ConceptSetRepository(session, owner_id)
    cancel_validations(session, sets.validations(sets.get(concept_set_id)))
    concept_set = sets.get(concept_set_id, for_update=True)
    require_unneeded(concept_set, sets.unfinished_job(concept_set), "concept_set_in_use")
    concept_set.deleted_at = datetime.now(UTC)
    session.flush()


def require_vocabulary(session: Session, owner_id: str, named: str) -> Vocabulary:
    """The version that a job names as `birds`, `cst_…` (the latest) or `cst_…@2`; the row is locked until the commit.

    Raises
    ------
    NotFound, Conflict
        When there is no such set or version, or it is still being checked.
    InvalidInput
        When it was refused.
    """
    concept_set_id, _, number = named.partition("@")
    if shipped.is_shipped(concept_set_id):
        found = shipped.version(concept_set_id, int(number or shipped.VERSION))
    else:
        found = _owned_vocabulary(session, owner_id, concept_set_id, int(number) if number else None)
    if found.state == "pending":
        raise _pending(found, "vocabulary", "send the job when it is ready")
    if found.digest is None:
        raise InvalidInput(_refused(found), code="vocabulary_failed", param="vocabulary")
    return Vocabulary(concept_set_id, found.number, found.digest)


def _owned_vocabulary(session: Session, owner_id: str, concept_set_id: str, number: int | None) -> VersionSummary:
    if not concept_set_id.startswith(f"{PREFIXES['concept_set']}_"):
        raise NotFound(f"There is no concept set {concept_set_id}; the service comes with {', '.join(shipped_names())}.")
    sets = ConceptSetRepository(session, owner_id)
    concept_set = sets.hold(concept_set_id)
    return sets.version(concept_set_id, number or sets.latest_version(concept_set))


def _gather_and_hold(
    session: Session, store: ArtifactStore, owner_id: str, request: ConceptSetVersionCreate, settings: Settings
) -> Gathered:
    """Gather the phrases, and only then lock the rows that their check needs."""
    gathered = gather(session, store, owner_id, request, settings)
    if _is_checked(request):
        for dataset_id in filter(None, {gathered.dataset, request.from_classes}):
            DatasetRepository(session, owner_id).hold(dataset_id)
    if request.vlm is not None:
        ready_vlm(session, owner_id, request.vlm)
    return gathered


def _is_checked(request: ConceptSetVersionCreate) -> bool:
    """Whether a worker has to gather or compare the phrases before the version is ready."""
    return request.vlm is not None or request.from_classes is not None


def _add_version(
    session: Session,
    concept_set: ConceptSet,
    number: int,
    gathered: Gathered,
    request: ConceptSetVersionCreate,
    settings: Settings,
    request_id: str | None,
) -> ConceptSetCreated:
    sets = ConceptSetRepository(session, concept_set.owner_id)
    now, pending = datetime.now(UTC), _is_checked(request)
    version = ConceptSetVersion(
        concept_set_id=concept_set.id,
        number=number,
        phrases=[[phrase.text, phrase.group] for phrase in gathered.kept],
        dropped=[{"text": one.text, "reason": one.reason, "other": one.other, "similarity": None} for one in gathered.dropped],
        state="pending" if pending else "ready",
        digest=None if pending else phrases_digest(gathered.kept),
        vlm_id=request.vlm,
        dataset_id=gathered.dataset,
        created_at=now,
        checked_at=None if pending else now,
    )
    sets.add_version(version)
    if pending:
        enqueue_check(session, version, concept_set.owner_id, settings, request_id, from_classes=request.from_classes)
    session.refresh(concept_set)
    whole = version_view(sets.version(concept_set.id, number, dropped_shown=ALL))
    return ConceptSetCreated(**set_view(concept_set, number).model_dump(), version=whole)


def _version(session: Session, owner_id: str, concept_set_id: str, number: int) -> VersionSummary:
    if shipped.is_shipped(concept_set_id):
        return shipped.version(concept_set_id, number)
    return ConceptSetRepository(session, owner_id).version(concept_set_id, number)


def _phrases(session: Session, owner_id: str, concept_set_id: str, number: int, first: int, count: int) -> Sequence[Phrase]:
    if shipped.is_shipped(concept_set_id):
        return shipped.phrases(concept_set_id, number)[first : first + count]
    sets = ConceptSetRepository(session, owner_id)
    _require_final(sets.version(concept_set_id, number))
    return [Phrase(text, group) for text, group in sets.phrases(concept_set_id, number, first=first, count=count)]


def _require_final(version: VersionSummary) -> None:
    if version.state == "pending":
        raise _pending(version, None, "its phrases are there when it is ready")
    if version.state == "failed":
        raise Conflict(_refused(version), code="version_failed")


def _pending(version: VersionSummary, param: str | None, then: str) -> Conflict:
    return Conflict(
        f"Version {version.number} of concept set {version.concept_set} is still being checked; {then}.",
        code=f"{param or 'version'}_pending",
        param=param,
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def _refused(version: VersionSummary) -> str:
    reason = version.error["message"] if version.error else "no reason was recorded."
    return f"Version {version.number} of concept set {version.concept_set} was refused: {reason}"
