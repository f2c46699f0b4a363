"""What a study would cost: what networks have to look at, and how long that takes by what this owner's jobs have measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Double, Row, select
from sqlalchemy.orm import Session

from app.db.models import Dataset, Job, JobEvent, Json, Model
from app.studies.planning import Plan
from iis_schemas.study_views import EstimateView

MEASURED_JOBS = 200  # the latest ones
CROPS_PER_IMAGE = {"patches": 16, "segments": 15}  # the most that the engine cuts from one image
BYTES_PER_FEATURE = 4
EXTRACT = "extract"


@dataclass(frozen=True)
class _Measured:
    """What finished jobs took.

    Attributes
    ----------
    per_image : seconds an image or crop by model (None for ready features), of those that were measured
    any_image : the same over all
    rest : seconds of a job besides
    """

    jobs: int
    per_image: dict[str | None, float]
    any_image: float | None
    rest: float


def estimate_study(session: Session, owner_id: str, plan: Plan) -> EstimateView:
    """The cost of what a plan still needs; writes nothing."""
    looks = _looks(session, owner_id, plan)
    images = sum(count for _, _, count in looks)
    size = sum(count * _width(plan, model, dataset) * BYTES_PER_FEATURE for model, dataset, count in looks)
    missing, reused = len(plan.missing), len(plan.cells) - len(plan.missing)
    told: dict[str, Any] = {"jobs": len(plan.cells), "reused": reused, "images": images, "bytes": size}
    if not missing:
        return EstimateView(**told, seconds=0.0, basis="Every job of this study is there already, so nothing is computed.")
    measured = _measured(session, owner_id)
    if measured is None:
        basis = "No job of yours has measured anything yet; run one, and its rate tells how long the others take."
        return EstimateView(**told, seconds=None, basis=basis)
    unknown = {model for model, _, _ in looks if model not in measured.per_image}
    if unknown and measured.any_image is None:
        basis = "No job of yours has measured yet how fast a network looks at images; run one, and its rate tells how long the others take."
        return EstimateView(**told, seconds=None, basis=basis)
    seeing = sum(count * measured.per_image.get(model, measured.any_image or 0.0) for model, _, count in looks)
    return EstimateView(**told, seconds=round(seeing + missing * measured.rest, 1), basis=_basis(measured, seeing, images, len(unknown)))


def _basis(measured: _Measured, seeing: float, images: int, unknown: int) -> str:
    jobs = "Your last finished job" if measured.jobs == 1 else f"Your last {measured.jobs} finished jobs"
    seen = f"{seeing / images:.3g} seconds for an image or crop and " if images else ""
    sentence = f"{jobs} took {seen}{measured.rest:.3g} seconds for the rest of a job; one worker does one job after another."
    if unknown:
        sentence += f" {unknown} of the models {'was' if unknown == 1 else 'were'} never measured and counted as the mean of the others."
    return sentence


def _looks(session: Session, owner_id: str, plan: Plan) -> list[tuple[str | None, str, int]]:
    """(model, data set, images and crops) of every extraction that no finished job has made."""
    pairs = {
        (one.cell.model, dataset) for one in plan.missing for dataset in (one.cell.dataset, one.cell.library_dataset) if dataset is not None
    }
    elements = plan.grid.elements.model_dump()
    wanted = (Job.owner_id == owner_id, Job.kind == "score", Job.state == "succeeded", Job.spec["elements"] == elements)
    named = {dataset for _, dataset in pairs}
    done = {
        (row[0], row[1])
        for seen in (Job.dataset_id, Job.library_dataset_id)
        for row in session.execute(select(Job.model_id, seen).where(*wanted, seen.in_(named)).distinct())
    }
    return [(model, dataset, _images(plan.datasets[dataset], elements)) for model, dataset in sorted(pairs - done, key=repr)]


def _images(dataset: Dataset, elements: Json) -> int:
    counts = (dataset.info or {}).get("counts", {})
    train = counts.get("train", {})
    images = sum(train.values()) + sum(counts.get("test", {}).values())
    if dataset.kind == "features":
        return images
    cut = sum(min(count, elements["images_per_class"]) for count in train.values())
    return images + cut * CROPS_PER_IMAGE[elements["kind"]]


def _width(plan: Plan, model: str | None, dataset: str) -> int:
    row: Model | Dataset = plan.models[model] if model is not None else plan.datasets[dataset]
    return int((row.info or {}).get("num_features", 0))


def _measured(session: Session, owner_id: str) -> _Measured | None:
    """What the owner's latest score jobs say in their stage events."""
    wanted = (Job.owner_id == owner_id, Job.kind == "score", Job.state == "succeeded")
    jobs = session.execute(
        select(Job.id, Job.model_id, Job.dataset_id, Job.spec["elements"]).where(*wanted).order_by(Job.id.desc()).limit(MEASURED_JOBS)
    ).all()
    if not jobs:
        return None
    seconds = JobEvent.data["seconds"].astext.cast(Double)
    finished = (JobEvent.job_id.in_([job.id for job in jobs]), JobEvent.type == "stage", JobEvent.data["state"].astext == "finished")
    timed = (*finished, seconds.is_not(None))  # fetching what a stage needs is told without its seconds
    events = session.execute(
        select(JobEvent.job_id, JobEvent.data["stage"].astext, JobEvent.data["dataset"].astext, seconds).where(*timed)
    ).all()
    if not events:
        return None
    took = [(job_id, elsewhere, value) for job_id, stage, elsewhere, value in events if stage == EXTRACT]
    rest = sum(value for _, stage, _, value in events if stage != EXTRACT)
    rates = _rates(session, jobs, took)
    return _Measured(len(jobs), {model: s / n for model, (s, n) in rates.items()}, _mean(rates.values()), rest / len(jobs))


def _rates(
    session: Session, jobs: Sequence[Row[str, str | None, str | None, Json]], took: Sequence[tuple[str, str | None, float]]
) -> dict[str | None, tuple[float, int]]:
    """By model: seconds, and what was looked at in them.

    Parameters
    ----------
    took : (job, the data set that its library was cut from where that was looked at and not the scored one, seconds) of each extraction
    """
    known = {row[0]: (row[1], row[2], row[3]) for row in jobs}
    ids = {elsewhere or known[job_id][1] for job_id, elsewhere, _ in took}
    datasets = {dataset.id: dataset for dataset in session.scalars(select(Dataset).where(Dataset.id.in_(ids)))}
    rates: dict[str | None, tuple[float, int]] = {}
    for job_id, elsewhere, value in took:
        model, dataset, elements = known[job_id]
        if images := _images(datasets[elsewhere or dataset or ""], elements):
            seconds, seen = rates.get(model, (0.0, 0))
            rates[model] = seconds + value, seen + images
    return rates


def _mean(rates: Iterable[tuple[float, int]]) -> float | None:
    known = list(rates)
    return sum(seconds for seconds, _ in known) / sum(seen for _, seen in known) if known else None
