"""Concept libraries: look-up, description, deletion, artifacts, and the search for the concepts nearest to a vector."""

from __future__ import annotations

import math

from sqlalchemy.orm import Session

from app.concept_libraries.repository import ConceptLibraryRepository
from app.concept_libraries.views import concept_view
from app.db.deletion.job_deletion import delete_library as delete_rows
from app.db.deletion.job_deletion import library_referrer_of, lock_jobs, lock_planning
from app.db.models import ConceptLibrary
from app.descriptions import describe
from app.errors import Conflict, InvalidInput, NotFound
from app.settings import Settings
from app.storage import ArtifactStore
from app.storage.stored_zip import ZipInvalid, read_stored_member
from iis_schemas.concept_libraries import NearConcept, NearestRequest, NearestView
from iis_schemas.descriptions import OptionalNameUpdate


def update_library(session: Session, owner_id: str, library_id: str, changes: OptionalNameUpdate) -> ConceptLibrary:
    """Change the description of a library.

    Raises
    ------
    NotFound
    InvalidInput
        As `describe` does.
    """
    library = ConceptLibraryRepository(session, owner_id).get(library_id, for_update=True)
    describe(library, changes)
    session.flush()
    return library


def delete_library(session: Session, owner_id: str, library_id: str, settings: Settings) -> None:
    """Delete a concept library with what reads it; the job that fitted it keeps its report, curves and figures.

    Raises
    ------
    NotFound
    Conflict
        While another job uses it, or explains the job that fitted it; the detail says which.
    """
    libraries = ConceptLibraryRepository(session, owner_id)
    lock_planning(session, owner_id)
    fitted_by = libraries.get(library_id).job_id
    lock_jobs(session, [fitted_by])
    library = libraries.get(library_id, for_update=True)
    if (referrer := library_referrer_of(session, fitted_by)) is not None:
        use = f"explains job {fitted_by} by" if referrer.kind == "explanation" else "uses"
        raise Conflict(f"Job {referrer.id} {use} concept library {library_id}; delete that job first.", code="library_in_use")
    session.expunge(library)
    delete_rows(session, library, settings.released_artifact_age_seconds)


def artifact_sha256(session: Session, owner_id: str, library_id: str) -> str:
    """The sha256 of the file of a library.

    Raises
    ------
    NotFound
        When the owner has no such library, or its file is no longer kept.
    """
    libraries = ConceptLibraryRepository(session, owner_id)
    blob = libraries.artifact(libraries.get(library_id))
    if blob is None:
        raise NotFound(f"The file of concept library {library_id} was deleted; score its model again.", code="artifact_gone")
    return blob.sha256


def exemplars_sha256(session: Session, owner_id: str, library_id: str) -> str:
    """The sha256 of the zip of crops that show a library's concepts.

    Raises
    ------
    NotFound
        When the owner has no such library, or no crops show it, as with ready features.
    """
    library = ConceptLibraryRepository(session, owner_id).get(library_id)
    sha256 = (library.settings.get("exemplars") or {}).get("sha256")
    if sha256 is None:
        raise NotFound(f"Concept library {library_id} has no crops.", code="no_exemplars")
    return str(sha256)


def read_crop(session: Session, owner_id: str, library_id: str, name: str, store: ArtifactStore) -> bytes:
    """One crop of a library's zip, read without the rest of it.

    Raises
    ------
    NotFound
        When the owner has no such library, or it has no such crop or a damaged file of crops.
    """
    sha256 = exemplars_sha256(session, owner_id, library_id)
    try:
        with store.open(sha256) as file:
            crop = read_stored_member(file, name)
    except ZipInvalid as error:
        raise NotFound(f"The crops of concept library {library_id} are damaged; score its model again.", code="artifact_damaged") from error
    if crop is None:
        raise NotFound(f"Concept library {library_id} has no crop {name}; see the exemplars of its concepts.", code="no_exemplars")
    return crop


def nearest_concepts(session: Session, owner_id: str, library_id: str, request: NearestRequest) -> NearestView:
    """The concepts of a library with the highest cosine with a vector.

    Raises
    ------
    NotFound
        When the owner has no such library.
    InvalidInput
        When the vector has another dimension than the library, or no direction.
    """
    libraries = ConceptLibraryRepository(session, owner_id)
    library = libraries.get(library_id)
    if len(request.vector) != library.dimension:
        raise InvalidInput(
            f"The vector has {len(request.vector)} numbers; those of concept library {library_id} have {library.dimension}.",
            code="wrong_dimension",
            param="vector",
        )
    near = libraries.nearest(library.id, _unit(request.vector), request.limit)
    data = [NearConcept(**concept_view(concept).model_dump(), similarity=1 - distance) for concept, distance in near]
    return NearestView(library=library.id, data=data, links={"library": f"/v1/concept-libraries/{library.id}"})


def _unit(vector: list[float]) -> list[float]:
    """The vector scaled to length 1, so that its numbers fit single precision."""
    largest = max(abs(number) for number in vector)
    if largest == 0:
        raise InvalidInput("A vector of zeros has no direction; send a vector with a non-zero number.", code="no_direction", param="vector")
    scaled = [number / largest for number in vector]
    length = math.hypot(*scaled)
    return [number / length for number in scaled]
