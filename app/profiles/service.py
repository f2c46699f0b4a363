"""Views of a worker's answers about classes and concepts."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session

from app.explanations.concept_fields import ConceptNames, concepts_in
from app.explanations.service import FIGURE_FORMATS, Explained
from iis_schemas.explanations.profiles import ClassesView, ClassView, ConceptProfileView, ConceptUseView


def classes_view(explained: Explained, answer: dict[str, Any]) -> ClassesView:
    """The list of classes."""
    at = f"/v1/jobs/{explained.job_id}/classes"
    data = [one | {"links": {"self": f"{at}/{quote(one['class'], safe='')}"}} for one in answer["data"]]
    return ClassesView.model_validate(answer | {"data": data, "links": {"self": at, "job": f"/v1/jobs/{explained.job_id}"}})


def class_view(session: Session, owner_id: str, explained: Explained, answer: dict[str, Any]) -> ClassView:
    """One class with its concepts' names and crops."""
    names = ConceptNames(session, owner_id, explained.library_id, concepts_in(answer, "supporting", "opposing"))
    at = f"/v1/jobs/{explained.job_id}/classes"
    weighed = {sign: [one | names.of(one["concept"]) for one in answer[sign]] for sign in ("supporting", "opposing")}
    own = f"{at}/{quote(answer['class'], safe='')}"
    figures = {f"profile_{suffix}": f"{own}/profile.{suffix}" for suffix in FIGURE_FORMATS}
    links = {"self": own, **figures, "classes": at, "job": f"/v1/jobs/{explained.job_id}"}
    return ClassView.model_validate(answer | weighed | {"links": links})


def concept_use_views(session: Session, owner_id: str, explained: Explained, answers: list[dict[str, Any]]) -> list[ConceptUseView]:
    """The use of concepts, with names and crops."""
    names = _names(session, owner_id, explained, answers)
    return [ConceptUseView.model_validate(_used(explained, names, one)) for one in answers]


def concept_profile_view(session: Session, owner_id: str, explained: Explained, answer: dict[str, Any]) -> ConceptProfileView:
    """One concept with its classes and images."""
    names = _names(session, owner_id, explained, [answer])

    def links(index: int) -> dict[str, str]:
        at = f"{explained.at}/{index}"
        return {"explanation": at} | ({"image": f"{at}/image.png"} if explained.has_images else {})

    def linked(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one | {"links": links(one["index"])} for one in images]

    levels = {level: linked(images) for level, images in answer["levels"].items()}
    return ConceptProfileView.model_validate(
        _used(explained, names, answer) | {"top_images": linked(answer["top_images"]), "levels": levels}
    )


def _names(session: Session, owner_id: str, explained: Explained, answers: list[dict[str, Any]]) -> ConceptNames:
    indexes = [one["concept"] for one in answers] + [near for one in answers for near in concepts_in(one, "duplicates")]
    return ConceptNames(session, owner_id, explained.library_id, indexes)


def _used(explained: Explained, names: ConceptNames, answer: dict[str, Any]) -> dict[str, Any]:
    at = f"/v1/jobs/{explained.job_id}/concepts"
    duplicates = [near | {"label": names.label(near["concept"])} for near in answer["duplicates"]]
    links = {"self": f"{at}/{answer['concept']}", "concepts": at, "library": f"/v1/concept-libraries/{explained.library_id}"}
    return answer | names.of(answer["concept"]) | {"duplicates": duplicates, "links": links}
