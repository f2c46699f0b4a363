"""What ends a job before it is done: cancel, deadline, memory, storage. Each once, with a sentence, leaving nothing half-written."""

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
    assert service.dataset(service.job(job_id).dataset_id).state == "failed"


def test_a_running_job_is_canceled_within_ten_seconds_and_its_compute_process_is_gone(service: Service) -> None:
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


def test_canceling_a_finished_job_changes_nothing(service: Service) -> None:
    job_id = service.add_check()
    service.run(job_id)
    assert cancel(service, job_id) == "succeeded"
    assert service.states(job_id) == ["queued", "running", "succeeded"]


def test_a_job_fails_when_its_deadline_has_passed(service: Service) -> None:
    with service.frozen_compute():
        job_id = service.add_check(deadline_seconds=1)
        assert service.run_aside(job_id).result(30) == "failed"
    error = service.job(job_id).error
    assert error["code"] == "deadline_exceeded"
    assert "1 seconds" in error["message"]


def test_a_job_whose_compute_process_grows_too_large_fails_with_both_sizes(service: Service) -> None:
    service.runtime.settings.child_memory_bytes = 20_000_000
    job_id = service.add_check()
    assert service.run(job_id) == "failed"
    error = service.job(job_id).error
    assert error["code"] == "memory_limit_exceeded"
    assert "0.0 GB are allowed" in error["message"]
    assert service.compute.pid is None


def test_a_job_whose_outputs_find_a_full_disk_is_tried_again_fails_with_a_sentence_and_leaves_nothing(service: Service) -> None:
    job_id = service.add_score(add_large_dataset(service))
    service.runtime.settings.max_attempts = 2
    with full_disk():
        assert service.run(job_id) == "queued"
        assert service.run(job_id) == "failed"
    error = service.job(job_id).error
    assert error["code"] == "storage_unavailable"
    assert "storage failed" in error["message"]
    assert [path for path in (service.folder / "artifacts").rglob("*") if path.is_file()] == []
    assert list(service.compute.folder.glob("job_*")) == []


@pytest.mark.slow
def test_a_job_goes_on_where_it_was_once_the_disk_has_room(service: Service) -> None:
    job_id = service.add_score(add_large_dataset(service))
    with full_disk():
        assert service.run(job_id) == "queued"
    assert service.run(job_id) == "succeeded"
    assert service.states(job_id) == ["queued", "running", "queued", "running", "succeeded"]


def test_an_unwritable_work_folder_costs_attempts_and_says_so(service: Service) -> None:
    service.runtime.work_folder.parent.mkdir(parents=True, exist_ok=True)
    service.runtime.work_folder.write_text("a file where the folder should be")
    job_id = service.add_check()
    assert [run_job(service.runtime, job_id) for _ in range(3)] == ["queued", "queued", "failed"]
    assert service.job(job_id).error["code"] == "storage_unavailable"


def test_a_deadline_counts_the_time_that_a_job_ran_and_no_waiting(service: Service) -> None:
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
    assert service.job(job_id).error["code"] == "deadline_exceeded"


def test_a_representation_wider_than_a_vector_column_is_refused_when_it_is_checked(service: Service) -> None:
    job_id = service.add_check(service.features(per_class=2, dimension=16_001))
    assert service.run(job_id) == "failed"
    error = service.job(job_id).error
    assert error["code"] == "representation_too_wide"
    assert "16,001 dimensions" in error["message"]


def test_features_replaced_on_the_server_are_not_scored_as_those_that_were_checked(service: Service) -> None:
    path = service.folder / "features.npz"
    path.write_bytes(service.features())
    dataset_id = service.add_server_features(path)
    path.write_bytes(service.features(seed=1))
    job_id = service.add_score(dataset_id)
    assert service.run(job_id) == "failed"
    assert service.job(job_id).error["code"] == "dataset_changed"


def test_a_link_on_the_server_is_read_where_it_leads_to_and_only_while_that_is_allowed(service: Service) -> None:
    link = service.folder / "link.npz"
    (service.folder / "features.npz").write_bytes(service.features())
    link.symlink_to(service.folder / "features.npz")
    dataset_id = service.add_dataset(None, server_path=str(link), state="pending")
    assert service.run(service.add_job("check_dataset", dataset_id)) == "succeeded"
    link.unlink()
    link.symlink_to("/etc/hostname")
    job_id = service.add_job("check_dataset", service.add_dataset(None, server_path=str(link), state="pending"))
    assert service.run(job_id) == "failed"
    assert service.job(job_id).error["code"] == "server_path_not_allowed"


def test_a_name_that_no_database_can_hold_still_ends_in_a_sentence(service: Service) -> None:
    weights = {"a\0b": np.zeros(3, dtype=np.float32), "c": np.zeros(3, dtype=np.float32)}
    model_id = service.add_model("timm:resnet10t", upload_id=service.add_upload(save(weights), "strange.safetensors"))
    job_id = service.add_job("check_model", None, model_id=model_id)
    assert service.run(job_id) == "failed"
    assert "a\\x00b" in service.job(job_id).error["message"]


def add_large_dataset(service: Service) -> str:
    """A server folder's features, larger than the disk will have room for."""
    path = service.folder / "large.npz"
    path.write_bytes(service.features(per_class=200, dimension=512))
    return service.add_server_features(path)


@contextmanager
def full_disk() -> Generator[None]:
    """Let no file of this process grow beyond a megabyte: writes fail as they do on a full disk, and the test's own log still fits."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
