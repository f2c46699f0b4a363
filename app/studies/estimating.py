"""The cost of a study: images that networks have to see, and seconds estimated from the owner's finished jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Double, Row, select
from sqlalchemy.orm import Session

from app.db.lists.image_counts import element_count, image_count
from app.db.models import Dataset, Job, JobEvent, Json, Model
from app.studies.planning import Plan
from iis_schemas.studies.estimates import EstimateView

MEASURED_JOBS = 200  # the latest ones
BYTES_PER_FEATURE = 4
EXTRACT = "extract"


@dataclass(frozen=True)
class _Measured:
    """Durations of finished jobs.

    Attributes
    ----------
    per_image : seconds for an image or crop by model (None for ready features)
    any_image : the same over all models
    rest : seconds for the other stages of a job
    """

    jobs: int
    per_image: dict[str | None, float]
    any_image: float | None
    rest: float


def estimate_study(session: Session, owner_id: str, plan: Plan) -> EstimateView:
    """The cost of the jobs that a plan still needs; writes nothing."""
    looks = _looks(session, owner_id, plan)
    counts, widths = [count for _, _, count in looks], [_width(plan, model, dataset) for model, dataset, _ in looks]
    seen = _once_per_pass(plan, looks)
    images = _total(seen)
    size = _total([None if count is None or width is None else count * width for count, width in zip(counts, widths, strict=True)])
    missing, reused = len(plan.missing), len(plan.cells) - len(plan.missing)
    known: dict[str, Any] = {
        "jobs": len(plan.cells),
        "reused": reused,
        "images": images,
        "bytes": None if size is None else size * BYTES_PER_FEATURE,
    }
    if not missing:
        return EstimateView(**known, seconds=0.0, basis="Each job of this study exists already, so nothing is computed.")
    measured = _measured(session, owner_id)
    if measured is None:
        return EstimateView(**known, seconds=None, basis="No job of yours has finished yet; durations are estimated from finished jobs.")
    if images is None:
        return EstimateView(**known, seconds=None, basis="The images of a data set are not counted yet, so no duration is estimated.")
    unknown = {model for model, _, _ in looks if model not in measured.per_image}
    if unknown and measured.any_image is None:
        basis = "No finished job of yours has extracted features yet; durations are estimated from such jobs."
        return EstimateView(**known, seconds=None, basis=basis)
    per_look = ((count or 0) * measured.per_image.get(look[0], measured.any_image or 0.0) for look, count in zip(looks, seen, strict=True))
    seeing = sum(per_look)
    return EstimateView(**known, seconds=round(seeing + missing * measured.rest, 1), basis=_basis(measured, seeing, images, len(unknown)))


def _total(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _basis(measured: _Measured, seeing: float, images: int, unknown: int) -> str:
    jobs = "Your last finished job" if measured.jobs == 1 else f"Your last {measured.jobs} finished jobs"
    seen = f"{seeing / images:.3g} seconds for an image or crop and " if images else ""
    sentence = f"{jobs} took {seen}{measured.rest:.3g} seconds for the rest of a job; one worker runs one job at a time."
    if unknown:
        sentence += f" {unknown} of the models {'has' if unknown == 1 else 'have'} no finished job and count as the mean of the others."
    return sentence


def _looks(session: Session, owner_id: str, plan: Plan) -> list[tuple[str | None, str, int | None]]:
    """(model, data set, images and crops) of each extraction that no finished job has made; None where a data set is not counted."""
    pairs = {
        (one.cell.model, dataset) for one in plan.missing for dataset in (one.cell.dataset, one.cell.library_dataset) if dataset is not None
    }
    elements = plan.grid.elements.to_spec()
    wanted = (Job.owner_id == owner_id, Job.kind == "score", Job.state == "succeeded", Job.spec["elements"] == elements)
    named = {dataset for _, dataset in pairs}
    done = {
        (row[0], row[1])
        for seen in (Job.dataset_id, Job.library_dataset_id)
        for row in session.execute(select(Job.model_id, seen).where(*wanted, seen.in_(named)).distinct())
    }
    return [(model, dataset, _images_in(plan, dataset, elements)) for model, dataset in sorted(pairs - done, key=repr)]


def _once_per_pass(plan: Plan, looks: Sequence[tuple[str | None, str, int | None]]) -> list[int | None]:
    """The images that each extraction has to see: none where another layer of the same network sees them in the same pass."""
    passes = [(_network(plan, model), dataset) for model, dataset, _ in looks]
    return [0 if one in passes[:place] else count for place, (one, (_, _, count)) in enumerate(zip(passes, looks, strict=True))]


def _network(plan: Plan, model: str | None) -> object:
    """Layers of one network are equal in this; every other model is alone."""
    row = plan.models.get(model or "")
    if row is None:  # ready features, or not registered yet: models[0].layers[1]
        return (model or "").partition(".layers[")[0] or None
    settings = row.pretrained, row.weights_of, row.initial_seed, repr(row.arguments), repr(row.preprocessing)
    return row.id if row.layer is None else (row.architecture, row.upload_id, *settings)


def _images_in(plan: Plan, name: str, elements: Json) -> int | None:
    counted = plan.unregistered.datasets.get(name)
    if counted is None:
        return image_count(plan.datasets[name], elements)
    if counted.images is None or counted.kind == "features":
        return counted.images
    return counted.images + element_count(counted.train, elements)


def _width(plan: Plan, model: str | None, dataset: str) -> int | None:
    row: Model | Dataset | None = plan.models.get(model) if model is not None else plan.datasets.get(dataset)
    return int((row.info or {}).get("num_features", 0)) if row is not None else None


def _measured(session: Session, owner_id: str) -> _Measured | None:
    """Durations in the stage events of the owner's latest score jobs."""
    wanted = (Job.owner_id == owner_id, Job.kind == "score", Job.state == "succeeded")
    jobs = session.execute(
        select(Job.id, Job.model_id, Job.dataset_id, Job.spec["elements"]).where(*wanted).order_by(Job.id.desc()).limit(MEASURED_JOBS)
    ).all()
    if not jobs:
        return None
    seconds = JobEvent.data["seconds"].astext.cast(Double)
    finished = (JobEvent.job_id.in_([job.id for job in jobs]), JobEvent.type == "stage", JobEvent.data["state"].astext == "finished")
    timed = (*finished, seconds.is_not(None))  # events of fetching inputs have no seconds
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
    """By model: seconds of extraction, and images and crops extracted in them.

    Parameters
    ----------
    took : (job, the data set where it was not the scored one, seconds) of each extraction
    """
    known = {row[0]: (row[1], row[2], row[3]) for row in jobs}
    ids = {elsewhere or known[job_id][1] for job_id, elsewhere, _ in took}
    datasets = {dataset.id: dataset for dataset in session.scalars(select(Dataset).where(Dataset.id.in_(ids)))}
    rates: dict[str | None, tuple[float, int]] = {}
    for job_id, elsewhere, value in took:
        model, dataset, elements = known[job_id]
        if images := image_count(datasets[elsewhere or dataset or ""], elements):
            seconds, seen = rates.get(model, (0.0, 0))
            rates[model] = seconds + value, seen + images
    return rates


def _mean(rates: Iterable[tuple[float, int]]) -> float | None:
    known = list(rates)
    return sum(seconds for seconds, _ in known) / sum(seen for _, seen in known) if known else None
