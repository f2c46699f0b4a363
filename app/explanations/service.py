"""Explanations: jobs that have them, addresses of images, posted images, and views of a worker's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.db.ids import PREFIXES, new_id
from app.db.models import Dataset, Job, Model, PostedImage
from app.db.session import SessionFactory
from app.errors import Conflict, InvalidInput, NotFound
from app.explanations.concept_fields import ConceptNames, concepts_in
from app.explanations.repository import PostedImageRepository
from app.jobs.result_repository import ResultRepository
from app.jobs.service import succeeded_job
from app.settings import Settings
from iis_schemas.explanations.images import ExplanationView
from iis_schemas.explanations.interventions import MAX_CHANGES, InterventionRequest

FIGURE_FORMATS = ("png", "svg")
LARGEST_INDEX = 2**31 - 1
MAX_INDEX_DIGITS = len(str(LARGEST_INDEX))
MOST_QUOTED = 80  # characters of an image id in an error
POSTED_PREFIX = f"{PREFIXES['posted_image']}_"
FEATURES_NOTE = "The job was scored on ready features, so there are no images."
DELETED_NOTE = "The job's {noun} was deleted with its files, so there are no heat maps any more."
UNKNOWN_NOTE = "Each heat map has a note on how exact it is."
EXACT_NOTE = "Exact: the network averages over places, and the mean of a map is the activation that the head reads."
PROXY_NOTE = "An approximation: the network does not average over places; each heat map says how it was made."


@dataclass(frozen=True)
class AskedImage:
    """An image named in a path.

    Attributes
    ----------
    id : index of a test image, or the id of a posted one
    filename : of a posted one
    """

    id: int | str
    filename: str | None = None


@dataclass(frozen=True)
class Explained:
    """The fields of an explainable job that explanations need.

    Attributes
    ----------
    no_images : why there are no heat maps; None where there are
    """

    job_id: str
    library_id: str
    no_images: str | None
    input_size: list[int] | None
    has_feature_map: bool | None

    @property
    def has_images(self) -> bool:
        return self.no_images is None

    @property
    def at(self) -> str:
        """The address of its explanations."""
        return f"/v1/jobs/{self.job_id}/explanations"


def explainable_job(session: Session, owner_id: str, job_id: str) -> Explained:
    """A job that has succeeded and can be explained.

    Raises
    ------
    NotFound, Conflict
        As `succeeded_job` does; also a Conflict for a job that kept no heads.
    """
    job = succeeded_job(session, owner_id, job_id)
    library_id = ResultRepository(session, owner_id).of_job(job.id).library_id
    _require_predictors(session, owner_id, job, library_id)
    if library_id is None:
        raise Conflict(f"Job {job_id} has no concept library.", code="no_predictor")
    dataset = session.get_one(Dataset, job.dataset_id)
    model = session.get(Model, job.model_id) if job.model_id else None
    info = (model.info if model is not None else None) or {}
    return Explained(job.id, library_id, _why_no_images(model, dataset), info.get("input_size"), info.get("feature_map"))


def read_image(session: Session, owner_id: str, job_id: str, image: str) -> AskedImage:
    """The image that a path names: the index of a test image, or a posted image.

    Raises
    ------
    NotFound
        When it is neither.
    """
    if image.isascii() and image.isdecimal() and len(image) <= MAX_INDEX_DIGITS and int(image) <= LARGEST_INDEX:
        return AskedImage(int(image))
    if image.startswith(POSTED_PREFIX):
        posted = PostedImageRepository(session, owner_id).of_job(image, job_id)
        if posted is not None:
            return AskedImage(image, posted.filename)
    raise NotFound(
        f"Job {job_id} has no image {image[:MOST_QUOTED]}; give the index of a test image, or post the image again if it has expired."
    )


def require_one_node(kept: int | None, sparsity: float | None) -> dict[str, Any]:
    """The requested node, as the arguments of a query.

    Raises
    ------
    InvalidInput
        When both are given.
    """
    if kept is not None and sparsity is not None:
        raise InvalidInput("Give kept or sparsity, not both.", param="sparsity")
    return {"kept": kept, "sparsity": sparsity}


def keep_image(sessions: SessionFactory, owner_id: str, job_id: str, filename: str, content: bytes, settings: Settings) -> str:
    """Store a posted image for a day; returns its id. The owner's oldest images are dropped above the size limit. Commits.

    Raises
    ------
    InvalidInput
        When it is empty.
    """
    if not content:
        raise InvalidInput("The image is empty.", code="image_unreadable", param="file")
    expires_at = datetime.now(UTC) + timedelta(seconds=settings.posted_image_expiry_seconds)
    image = PostedImage(
        id=new_id("posted_image"), job_id=job_id, owner_id=owner_id, filename=filename, content=content, expires_at=expires_at
    )
    image_id = image.id
    with sessions.begin() as session:
        images = PostedImageRepository(session, owner_id)
        images.add(image)
        session.flush()
        images.keep_newest(settings.posted_images_max_bytes)
    return image_id


def drop_images(sessions: SessionFactory, owner_id: str, image_ids: Sequence[str]) -> None:
    """Drop posted images. Commits."""
    with sessions.begin() as session:
        PostedImageRepository(session, owner_id).remove(image_ids)


def explanation_view(
    session: Session, owner_id: str, explained: Explained, image: AskedImage, answer: dict[str, Any], *, top: int
) -> ExplanationView:
    """The view of a worker's explanation; its links keep node, contrast and number of concepts.

    Parameters
    ----------
    top : the requested number of concepts
    """
    removed = (answer["counterfactual"] or {}).get("removed", [])
    of_labels = answer.get("labels") or []
    shown = [concept for one in (answer, *of_labels) for concept in concepts_in(one, "supporting", "opposing")]
    indexes = [*shown, *(one["concept"] for one in removed)]
    names = ConceptNames(session, owner_id, explained.library_id, indexes)
    at = f"{explained.at}/{image.id}"

    def share(one: dict[str, Any]) -> dict[str, Any]:
        links = {"heatmap": f"{at}/heatmaps/{one['concept']}.png"} if explained.has_images else {}
        return one | names.of(one["concept"]) | {"links": links}

    def shares(one: dict[str, Any]) -> dict[str, Any]:
        return {sign: [share(each) for each in one[sign]] for sign in ("supporting", "opposing")}

    contrast = {} if answer["contrast"] is None else {"contrast": answer["contrast"]["class"]}
    as_shown = urlencode({"kept": answer["kept"], **contrast, "top": top})
    sheets = {f"sheet_{suffix}": f"{at}/sheet.{suffix}?{as_shown}" for suffix in FIGURE_FORMATS}
    links = {"self": f"{at}?{as_shown}", "interventions": f"{at}/interventions", **sheets, "job": f"/v1/jobs/{explained.job_id}"}
    if explained.has_images:
        links["image"] = f"{at}/image.png"
    links |= _neighbours(explained, answer["image"])
    described = answer["image"] | {"id": str(image.id), "size": explained.input_size if explained.has_images else None}
    fields = answer | {
        "job": explained.job_id,
        "image": described | ({"name": image.filename} if image.filename is not None else {}),
        **shares(answer),
        "labels": [one | shares(one) for one in of_labels] or None,
        "heatmaps": _heat_maps(explained),
        "links": links,
    }
    if removed:
        named = [one | {"label": names.label(one["concept"])} for one in removed]
        fields["counterfactual"] = answer["counterfactual"] | {"removed": named}
    return ExplanationView.model_validate(fields)


def _neighbours(explained: Explained, image: dict[str, Any]) -> dict[str, str]:
    """Links to the explanations of the test images before and after this one."""
    if image["index"] is None:
        return {}
    places = {"previous": image["index"] - 1, "next": image["index"] + 1}
    return {name: f"{explained.at}/{index}" for name, index in places.items() if 0 <= index < image.get("test_images", 0)}


def changes_of(request: InterventionRequest) -> dict[str, Any]:
    """The arguments of the worker's query for an intervention.

    Raises
    ------
    InvalidInput
        For too many changes, or a concept that is changed twice.
    """
    set_to = [(one.concept, one.activation) for one in request.set] + [(concept, 0.0) for concept in request.suppress]
    scaled = [(one.concept, one.factor) for one in request.scale]
    concepts = [concept for concept, _ in (*set_to, *scaled)]
    if len(concepts) > MAX_CHANGES:
        raise InvalidInput(f"{len(concepts):,} concepts are to be changed; {MAX_CHANGES:,} at once are allowed.", code="too_many_changes")
    twice = next((concept for place, concept in enumerate(concepts) if concept in concepts[:place]), None)
    if twice is not None:
        raise InvalidInput(f"Concept {twice} is changed twice; set it, suppress it or scale it.", code="concept_twice", param="set")
    return require_one_node(request.kept, request.sparsity) | {"set": set_to, "scale": scaled}


def _require_predictors(session: Session, owner_id: str, job: Job, library_id: str | None) -> None:
    if PostedImageRepository(session, owner_id).explainable(job.id):
        return
    if job.spec["protocol"] == "reference":
        reason = "the reference protocol keeps no heads; score it again with protocol exact"
    elif library_id is None:
        reason = "its concept library was deleted; submit it again"
    else:
        reason = "it was scored before explanations were kept; submit it again"
    raise Conflict(f"Job {job.id} cannot be explained: {reason}.", code="no_predictor")


def _why_no_images(model: Model | None, dataset: Dataset) -> str | None:
    if model is None or dataset.kind == "features":
        return FEATURES_NOTE
    deleted = next((noun for noun, row in (("model", model), ("data set", dataset)) if row.deleted_at is not None), None)
    return None if deleted is None else DELETED_NOTE.format(noun=deleted)


def _heat_maps(explained: Explained) -> dict[str, Any]:
    if explained.no_images is not None:
        return {"available": False, "exact": None, "method": None, "note": explained.no_images}
    if explained.has_feature_map is None:
        return {"available": True, "exact": None, "method": None, "note": UNKNOWN_NOTE}
    if explained.has_feature_map:
        return {"available": True, "exact": True, "method": "feature_map", "note": EXACT_NOTE}
    return {"available": True, "exact": False, "method": None, "note": PROXY_NOTE}
