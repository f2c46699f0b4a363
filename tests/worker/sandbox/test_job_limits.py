"""Cancellation, deadline, memory limit and full disk: each ends a job once, with a sentence, and leaves no partial file."""

from __future__ import annotations

import resource
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save
from sqlalchemy import update

from app.db import transitions
from app.db.models import Job
from worker.jobs.runner import run_job

if TYPE_CHECKING:
    from collections.abc import Generator

    from support.worker_service import Service


def cancel(service: Service, job_id: str) -> str:
    with service.runtime.sessions.begin() as session:
        return transitions.request_cancel(session, session.get_one(Job, job_id))


def test_a_queued_job_is_canceled_at_once_and_never_runs(service: Service) -> None:
    job_id = service.add_check()
    assert cancel(service, job_id) == "canceled"
    assert service.run(job_id) is None
    assert service.states(job_id) == ["queued", "canceled"]
    assert service.dataset_of(job_id).state == "failed"


def test_a_running_job_is_canceled_within_ten_seconds_and_its_compute_process_is_killed(service: Service) -> None:
    with service.frozen_compute() as compute:
        job_id = service.add_check()
        attempt = service.run_aside(job_id)
        service.await_request(job_id)
        began = time.monotonic()
        assert cancel(service, job_id) == "canceling"
        assert attempt.result(10) == "canceled"
        assert time.monotonic() - began < 10
        assert not compute.is_running()
    assert service.states(job_id) == ["queued", "running", "canceling", "canceled"]


@pytest.mark.slow
def test_canceling_a_finished_job_changes_nothing(service: Service) -> None:
    job_id = service.add_check()
    service.run(job_id)
    assert cancel(service, job_id) == "succeeded"
    assert service.states(job_id) == ["queued", "running", "succeeded"]


def test_a_job_fails_when_its_deadline_has_passed(service: Service) -> None:
    with service.frozen_compute():
        job_id = service.add_check(deadline_seconds=1)
        assert service.run_aside(job_id).result(30) == "failed"
    error = service.error_of(job_id)
    assert error["code"] == "deadline_exceeded"
    assert "1 seconds" in error["message"]


def test_a_job_that_exceeds_its_memory_limit_fails_and_names_both_sizes(service: Service) -> None:
    service.runtime.settings.child_memory_bytes = 20_000_000
    job_id = service.add_check()
    assert service.run(job_id) == "failed"
    error = service.error_of(job_id)
    assert error["code"] == "memory_limit_exceeded"
    assert "0.0 GB are allowed" in error["message"]
    assert service.compute.pid is None


@pytest.mark.slow
def test_a_job_is_retried_when_the_disk_is_full_then_fails_with_a_sentence_and_leaves_no_file(service: Service) -> None:
    job_id = service.add_score(add_large_dataset(service))
    service.runtime.settings.max_attempts = 2
    with full_disk():
        assert service.run(job_id) == "queued"
        assert service.run(job_id) == "failed"
    error = service.error_of(job_id)
    assert error["code"] == "storage_unavailable"
    assert "storage failed" in error["message"]
    assert [path for path in (service.folder / "artifacts").rglob("*") if path.is_file()] == []
    assert list(service.compute.folder.glob("job_*")) == []


@pytest.mark.slow
def test_a_job_succeeds_on_retry_once_the_disk_has_room(service: Service) -> None:
    job_id = service.add_score(add_large_dataset(service))
    with full_disk():
        assert service.run(job_id) == "queued"
    assert service.run(job_id) == "succeeded"
    assert service.states(job_id) == ["queued", "running", "queued", "running", "succeeded"]


def test_an_unwritable_work_folder_fails_the_job_after_three_attempts(service: Service) -> None:
    service.runtime.work_folder.parent.mkdir(parents=True, exist_ok=True)
    service.runtime.work_folder.write_text("a file in place of the folder")
    job_id = service.add_check()
    assert [run_job(service.runtime, job_id) for _ in range(3)] == ["queued", "queued", "failed"]
    assert service.error_of(job_id)["code"] == "storage_unavailable"


def test_a_deadline_counts_running_time_and_not_waiting_time(service: Service) -> None:
    job_id = service.add_check(deadline_seconds=60)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    with service.runtime.sessions.begin() as session:
        token = transitions.claim(session, job_id, "a worker", 60)
        assert token is not None
        session.execute(
            update(Job).where(Job.id == job_id).values(running_at=an_hour_ago, claimed_at=Job.claimed_at - timedelta(seconds=20))
        )
        transitions.requeue(session, job_id, token)
    assert service.job(job_id).ran_seconds == pytest.approx(20, abs=5)
    assert service.run(job_id) == "succeeded"


def test_earlier_attempts_count_against_the_deadline(service: Service) -> None:
    job_id = service.add_check(deadline_seconds=60)
    with service.runtime.sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(ran_seconds=61))
    assert service.run(job_id) == "failed"
    assert service.error_of(job_id)["code"] == "deadline_exceeded"


def test_validation_refuses_a_representation_wider_than_a_vector_column(service: Service) -> None:
    job_id = service.add_check(service.features(per_class=2, dimension=16_001))
    assert service.run(job_id) == "failed"
    error = service.error_of(job_id)
    assert error["code"] == "representation_too_wide"
    assert "16,001 dimensions" in error["message"]


def test_features_replaced_on_the_server_after_validation_are_refused(service: Service) -> None:
    path = service.folder / "features.npz"
    path.write_bytes(service.features())
    dataset_id = service.add_server_features(path)
    path.write_bytes(service.features(seed=1))
    job_id = service.add_score(dataset_id)
    assert service.run(job_id) == "failed"
    assert service.error_of(job_id)["code"] == "dataset_changed"


def test_a_link_on_the_server_is_followed_only_into_allowed_folders(service: Service) -> None:
    link = service.folder / "link.npz"
    (service.folder / "features.npz").write_bytes(service.features())
    link.symlink_to(service.folder / "features.npz")
    dataset_id = service.add_dataset(None, server_path=str(link), state="pending")
    assert service.run(service.add_job("check_dataset", dataset_id)) == "succeeded"
    link.unlink()
    link.symlink_to("/etc/hostname")
    job_id = service.add_job("check_dataset", service.add_dataset(None, server_path=str(link), state="pending"))
    assert service.run(job_id) == "failed"
    assert service.error_of(job_id)["code"] == "server_path_not_allowed"


def test_a_name_that_postgresql_cannot_store_is_escaped_in_the_error(service: Service) -> None:
    weights = {"a\0b": np.zeros(3, dtype=np.float32), "c": np.zeros(3, dtype=np.float32)}
    model_id = service.add_model("timm:resnet10t", upload_id=service.add_upload(save(weights), "strange.safetensors"))
    job_id = service.add_job("check_model", None, model_id=model_id)
    assert service.run(job_id) == "failed"
    assert "a\\x00b" in service.error_of(job_id)["message"]


def add_large_dataset(service: Service) -> str:
    """Features in a server folder, larger than `full_disk` allows."""
    path = service.folder / "large.npz"
    path.write_bytes(service.features(per_class=200, dimension=512))
    return service.add_server_features(path)


@contextmanager
def full_disk() -> Generator[None]:
    """Limit files of this process to a megabyte: larger writes fail as on a full disk, and the test's log still fits."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
