"""Jobs of a study whose worker is killed: the same numbers, and no finished stage is computed twice."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from app.db.session import SessionFactory
from app.db.study_rows import study_rows
from app.studies.repository import StudyRepository
from app.studies.service import create_study
from iis_schemas.studies.requests import StudyCreate
from support.features import features_file
from worker.stages.datasets import describe_features, digest_of_features, open_features
from worker.stages.specs import DatasetRequest

if TYPE_CHECKING:
    from support.worker_service import Service

DATASETS, JOBS = 2, 4
PATIENT_SECONDS = 300


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_study_whose_worker_is_killed_twice_has_the_same_numbers(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.runtime.settings.lease_seconds = PATIENT_SECONDS
    spared = start_study(service)
    for job in sorted(jobs_of(service, spared)):
        assert service.run(job) == "succeeded"
    expected = numbers(service, spared)
    assert len(expected) == JOBS

    monkeypatch.setenv("IIS_LEASE_SECONDS", "8")  # so that a busy machine does not lose running jobs
    monkeypatch.setenv("IIS_MAX_ATTEMPTS", "6")
    service.become_another_owner()
    study = start_study(service)
    for ended in (1, 2):
        worker = service.start_worker()
        service.wait_until(
            lambda ended=ended: states(service, study)["succeeded"] >= ended and in_the_middle(service, study),
            PATIENT_SECONDS,
            "a running job",
        )
        worker.kill()
        worker.wait()
    service.start_worker()
    await_succeeded(service, study, JOBS)

    assert numbers(service, study) == expected
    jobs = [row["job"] for row in rows_of(service, study)]
    assert sum(service.job(job).attempt for job in jobs) > JOBS  # the kills hit running jobs
    extractions = 0
    for job in jobs:
        finished = Counter(finished_for_good(service, job))
        assert set(finished.values()) <= {1}, job
        extractions += finished["extract"]
    assert extractions == DATASETS  # one for each data set, however many jobs read it


@pytest.mark.slow
def test_a_study_contained_in_another_study_reuses_its_stages(service: Service) -> None:
    service.runtime.settings.lease_seconds = PATIENT_SECONDS
    dataset = add_features(service, 0)
    body: dict[str, Any] = {"datasets": [dataset], "libraries": [{"kind": "prototype"}], "concept_counts": [8]}
    first = create(service, body)
    (job,) = jobs_of(service, first)
    assert service.run(job) == "succeeded"
    second = create(service, body | {"seeds": [0, 1]})
    assert states(service, second) == Counter(succeeded=1, queued=1)
    assert rows_of(service, second) == rows_of(service, first)


def start_study(service: Service) -> str:
    datasets = [add_features(service, seed) for seed in range(DATASETS)]
    libraries = [{"kind": "prototype"}, {"kind": "cluster"}]
    return create(service, {"datasets": datasets, "libraries": libraries, "concept_counts": [8]})


def create(service: Service, body: dict[str, Any]) -> str:
    with sessions(service).begin() as session:
        return create_study(session, service.owner_id, StudyCreate.model_validate(body), service.runtime.settings, None).id


def add_features(service: Service, seed: int) -> str:
    path = service.folder / f"features-{seed}.npz"
    path.write_bytes(features_file(seed=seed))
    features = open_features(DatasetRequest("features", split_seed=0, test_share=0.2, server_path=str(path)))
    digest, info = digest_of_features(features), describe_features(features)
    return service.add_dataset(path.read_bytes(), state="ready", digest=digest, info=info)


def sessions(service: Service) -> SessionFactory:
    return service.runtime.sessions


def states(service: Service, study: str) -> Counter[str]:
    with sessions(service)() as session:
        return Counter(StudyRepository(session, service.owner_id).states([study])[study])


def jobs_of(service: Service, study: str) -> list[str]:
    with sessions(service)() as session:
        return [cell.job_id for cell, _ in StudyRepository(session, service.owner_id).cells(study)]


def in_the_middle(service: Service, study: str) -> bool:
    """Whether a running job has finished a stage."""
    with sessions(service)() as session:
        cells = StudyRepository(session, service.owner_id).cells(study)
        running = [cell.job_id for cell, state in cells if state == "running"]
    return any(finished_for_good(service, job) for job in running)


def finished_for_good(service: Service, job: str) -> list[str]:
    """Finished stages of a job with stored outputs; `materialise` stores none and runs in every attempt."""
    finished = [event["stage"] for event in service.events(job, "stage") if event["state"] == "finished"]
    return [stage for stage in finished if stage != "materialise"]


def await_succeeded(service: Service, study: str, count: int) -> None:
    service.wait_until(lambda: states(service, study)["succeeded"] == count, 2 * PATIENT_SECONDS, f"{count} jobs to succeed")


def rows_of(service: Service, study: str) -> list[dict[str, Any]]:
    with sessions(service)() as session:
        return study_rows(session, service.owner_id, study)


def numbers(service: Service, study: str) -> list[dict[str, Any]]:
    """The rows without ids of jobs and data sets."""
    return [{name: value for name, value in row.items() if name not in ("job", "model")} for row in rows_of(service, study)]
