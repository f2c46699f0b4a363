"""Share links as answers show them."""

from __future__ import annotations

from urllib.parse import urlencode

from app.db.models import Job, Share, Study
from app.studies.views import links_of
from iis_schemas.shares import SharedScore, ShareView
from iis_schemas.studies.requests import StudyGrid

PATH = "/v1/shares"
FEATURES_TITLE = "Precomputed features"
_RESULT_LINKS = ("result", "curves", "plots", "classes")
_STUDY_LINKS = ("table", "table.csv", "table.parquet", "analysis")


def view_of(share: Share, job: Job | None, study: Study | None) -> ShareView:
    """The view of a link's row."""
    return ShareView(
        id=share.id,
        kind=share.kind,  # pyright: ignore[reportArgumentType] (a check constraint of the table)
        title=(study.name if study is not None else (job.model_name if job is not None else None)) or FEATURES_TITLE,
        job=share.job_id,
        study=share.study_id,
        concept=share.concept,
        image=share.image,
        hint=share.hint,
        created_at=share.created_at,
        expires_at=share.expires_at,
        last_used_at=share.last_used_at,
        score=_score(job) if job is not None else None,
        grid=StudyGrid.model_validate(study.grid) if study is not None else None,
        links={"self": f"{PATH}/{share.id}", **_content_links(share), "page": f"/shared/{share.id}"},
    )


def _content_links(share: Share) -> dict[str, str]:
    if share.study_id is not None:
        links = links_of(share.study_id)
        return {name: link for name, link in links.items() if name in _STUDY_LINKS or name.startswith("figures/")}
    at = f"/v1/jobs/{share.job_id}"
    if share.kind == "concept":
        return {"job": at, "concept": f"{at}/concepts/{share.concept}"}
    if share.kind == "image":
        return {"job": at, "explanation": f"{at}/explanations/{share.image}?{urlencode(share.contents['query'])}"}
    return {"job": at, **{name: f"{at}/{name}" for name in _RESULT_LINKS}}


def _score(job: Job) -> SharedScore:
    return SharedScore.model_validate(
        {
            "activations": "layernorm",  # absent in jobs before the second edition
            **{name: job.spec[name] for name in ("library", "elements", "protocol", "activations") if name in job.spec},
            "model_name": job.model_name,
            "dataset_name": job.dataset_name,
            "created_at": job.created_at,
            "succeeded_at": job.finished_at,
        }
    )
