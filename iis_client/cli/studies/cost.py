"""What a study's file would cost, told before anything is sent: counted on this machine, with the rate of the service's own jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice

from iis_client.cli.studies.counting import count_images
from iis_client.cli.studies.file import StudyFile
from iis_client.cli.studies.grid import count_jobs, is_visual
from iis_client.cli.studies.sources import DatasetSource
from iis_client.client import IISClient
from iis_client.errors import NotFoundError
from iis_client.types.scores import Dataset, Job

CROPS_PER_IMAGE = {"patches": 16, "segments": 15}  # the most that is cut from one image
MEASURED_JOBS = 20
EXTRACT = "extract"  # the stage that looks at images


@dataclass(frozen=True)
class Cost:
    """What a study would cost.

    Attributes
    ----------
    images : images and crops that networks have to see; None where a data set cannot be counted from here
    sent_bytes : that would have to be sent
    seconds : on one worker; None without a rate
    basis : where the seconds come from, or why there are none
    """

    jobs: int
    images: int | None
    sent_bytes: int
    seconds: float | None
    basis: str


@dataclass(frozen=True)
class Rate:
    """What finished jobs took: seconds an image or crop, and seconds of a job besides."""

    jobs: int
    per_image: float | None
    rest: float


def local_cost(study: StudyFile, known: dict[str, Dataset], sent_bytes: int, rate: Rate | None, silence: str) -> Cost:
    """The cost by what this machine can count.

    Parameters
    ----------
    known : rows of data sets that the service has, by where the file names them; they say how many images they hold
    silence : why there is no rate, where there is none
    """
    images = _images_seen(study, known)
    jobs = count_jobs(study)
    if rate is None:
        return Cost(jobs, images, sent_bytes, None, silence)
    if images is None:
        return Cost(jobs, None, sent_bytes, None, "The images of one of the data sets cannot be counted from here.")
    if images and rate.per_image is None:
        return Cost(jobs, images, sent_bytes, None, "No job of yours has measured yet how fast a network looks at images.")
    seconds = images * (rate.per_image or 0.0) + jobs * rate.rest
    whose = "Your last finished job" if rate.jobs == 1 else f"Your last {rate.jobs} finished jobs"
    seen = f"{rate.per_image:.3g} seconds for an image or crop and " if rate.per_image is not None else ""
    basis = f"{whose} took {seen}{rate.rest:.3g} seconds for the rest of a job; other networks take other times, and one worker is meant."
    return Cost(jobs, images, sent_bytes, seconds, basis)


def measured_rate(client: IISClient) -> Rate | None:
    """The rate of the latest finished score jobs; None before there is one that computed anything."""

    @cache
    def dataset_of(dataset: str) -> Dataset | None:
        try:
            return client.dataset(dataset)
        except NotFoundError:
            return None

    jobs = islice((job for job in client.jobs(state="succeeded") if job["kind"] == "score"), MEASURED_JOBS)
    measured = [one for job in jobs if (one := _measured(client, job, dataset_of)) is not None]
    if not measured:
        return None
    images = sum(one.images for one in measured)
    return Rate(
        len(measured),
        sum(one.looking for one in measured) / images if images else None,
        sum(one.rest for one in measured) / len(measured),
    )


@dataclass(frozen=True)
class _Measured:
    """What one job took: seconds in which a network looked at images, how many those were, and the seconds besides."""

    looking: float
    images: int
    rest: float


def _measured(client: IISClient, job: Job, dataset_of: Callable[[str], Dataset | None]) -> _Measured | None:
    """None of a job that computed nothing, or that looked at a data set of which nothing is known any more."""
    looking: defaultdict[str, float] = defaultdict(float)  # by data set: a library may be cut from another one than the scored
    rest: list[float] = []
    for event in client.events(job["id"]):
        data = event["data"]
        if event["type"] != "stage" or data.get("state") != "finished":
            continue
        if data["stage"] == EXTRACT:
            looking[data.get("dataset", job["dataset"])] += data.get("seconds") or 0.0
        else:
            rest.append(data.get("seconds") or 0.0)
    if not looking and not rest:
        return None
    images = 0
    kind, per_class = job["elements"].get("kind", "patches"), job["elements"].get("images_per_class", 10)
    for name in looking:
        dataset = dataset_of(name)
        seen = _registered_images(dataset, kind, per_class) if dataset is not None else None
        if seen is None:
            return None
        images += seen
    seconds = sum(looking.values())
    return _Measured(seconds, images, sum(rest)) if images else _Measured(0.0, 0, sum(rest) + seconds)  # ready features are only read


def _images_seen(study: StudyFile, known: dict[str, Dataset]) -> int | None:
    """Every pair of a model and a data set is looked at once, whatever is read from it."""
    kind, per_class = study.elements.get("kind", "patches"), study.elements.get("images_per_class", 10)
    visual = any(is_visual(library) for library in study.libraries)
    origins = [origin for origin in study.library_datasets if origin is not None] if visual else []
    places = {_place(source): source for source in (*study.datasets, *origins)}
    counts = [_of_one(source, known.get(source.at), kind, per_class) for source in places.values()]
    return None if any(count is None for count in counts) else max(len(study.models), 1) * sum(count or 0 for count in counts)


def _of_one(source: DatasetSource, row: Dataset | None, kind: str, per_class: int) -> int | None:
    if source.kind == "features":
        return 0  # no network looks at them
    if row is not None:
        return _registered_images(row, kind, per_class)
    return count_images(source.path, per_class, CROPS_PER_IMAGE[kind]) if source.path is not None else None


def _registered_images(dataset: Dataset, kind: str, per_class: int) -> int | None:
    if dataset["kind"] == "features":
        return 0
    counts = (dataset["info"] or {}).get("counts")
    if counts is None:
        return None
    train, test = counts["train"].values(), counts["test"].values()
    return sum(train) + sum(test) + sum(min(count, per_class) for count in train) * CROPS_PER_IMAGE[kind]


def _place(source: DatasetSource) -> tuple[str, ...]:
    return tuple(str(one) for one in (source.id, source.path, source.server_path, source.hub))
