"""Garbage collection: unused rows and content are deleted, and never while a transaction uses them."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, text, update

from app.db.models import Blob, StageArtifact, Upload
from app.errors import NotFound
from app.models.service import create_model, delete_model
from app.storage.garbage_collection import drop_unknown_files, drop_unreferenced_content
from app.storage.store import CONTENT_PREFIXES
from app.uploads.service import create_upload, require_complete
from iis_schemas.models import ModelCreate
from iis_schemas.uploads import UploadCreate
from worker.jobs.artifacts import OwnersArtifacts
from worker.maintenance.garbage_collector import GarbageCollector

if TYPE_CHECKING:
    from support.worker_service import Service

LONG_AGO = datetime.now(UTC) - timedelta(days=400)


def collect(service: Service) -> None:
    with service.runtime.sessions() as session:
        GarbageCollector(service.runtime).collect(session)


def age(service: Service) -> None:
    """Let uploads and artifacts expire."""
    with service.runtime.sessions.begin() as session:
        session.execute(update(Upload).values(expires_at=LONG_AGO))
        session.execute(update(StageArtifact).values(used_at=LONG_AGO))


def with_old_output(service: Service, stage: str) -> OwnersArtifacts:
    """Artifacts with one, under `key`, that was last used long ago."""
    artifacts = OwnersArtifacts(service.owner_id, service.runtime.store)
    path = service.folder / "output"
    path.write_bytes(b"an output")
    with service.runtime.sessions.begin() as session:
        artifacts.record(session, artifacts.upload("key", stage, path, lambda: None))
    age(service)
    return artifacts


def files(service: Service) -> set[str]:
    root = Path(service.runtime.settings.storage_url.removeprefix("file://")) / "sha256"
    return {path.name for path in root.rglob("*") if path.is_file()}


def rows(service: Service) -> set[str]:
    with service.runtime.sessions() as session:
        return set(session.scalars(select(Blob.sha256)))


def waiting_for_locks(service: Service) -> int:
    """Number of connections that wait for a lock."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    with service.runtime.sessions() as session:
        return int(session.scalar(waiting) or 0)


def sha256_of(service: Service, upload_id: str) -> str:
    with service.runtime.sessions() as session:
        return session.get_one(Upload, upload_id).sha256


def test_an_unused_upload_is_deleted_after_it_expires(service: Service) -> None:
    upload_id = service.add_upload(b"never used", "model.safetensors")
    collect(service)
    assert len(files(service)) == 1
    age(service)
    collect(service)
    assert files(service) == rows(service) == set()
    with service.runtime.sessions() as session:
        assert session.get(Upload, upload_id) is None


@pytest.mark.slow
def test_content_of_data_sets_and_results_is_never_deleted(service: Service) -> None:
    job_id = service.add_score(service.add_dataset(service.features(), state="ready", digest="0" * 64))
    assert service.run(job_id) == "succeeded"
    age(service)
    collect(service)
    assert files(service) == rows(service)
    batch = service.add_explain(job_id)
    assert service.run(batch) == "succeeded", service.job(batch).error


@pytest.mark.slow
def test_unused_stage_outputs_are_deleted_and_computed_again(service: Service) -> None:
    dataset_id = service.add_dataset(service.features(), state="ready", digest="0" * 64)
    assert service.run(service.add_score(dataset_id)) == "succeeded"
    before = files(service)
    age(service)
    collect(service)
    assert files(service) < before
    again = service.add_score(dataset_id)
    assert service.run(again) == "succeeded"
    assert {"started", "finished"} <= {event["state"] for event in service.events(again, "stage") if event["stage"] == "heads"}


def test_finding_an_artifact_counts_as_use(service: Service) -> None:
    artifacts = with_old_output(service, "stage/shard")
    with service.runtime.sessions.begin() as session:
        assert artifacts.find_shards(session, "stage").keys() == {"shard"}
    collect(service)
    assert len(files(service)) == 1


def test_an_artifact_found_by_an_open_transaction_is_not_deleted(service: Service) -> None:
    artifacts = with_old_output(service, "heads")
    with service.runtime.sessions.begin() as session:
        found = artifacts.find(session, ["key"])
        collect(service)  # skips the locked row
    collect(service)
    assert files(service) == set(found.values())


def test_an_upload_used_by_an_open_transaction_is_not_deleted(service: Service) -> None:
    upload_id = service.add_upload(b"about to be used", "model.safetensors")
    age(service)
    with service.runtime.sessions.begin() as session:
        request = ModelCreate(architecture="timm:resnet10t", upload=upload_id)
        model, _ = create_model(session, service.owner_id, request, service.runtime.settings, None)
        collect(service)
    collect(service)
    assert files(service) == {sha256_of(service, upload_id)}
    assert service.model(model.id).upload_id == upload_id


def test_an_upload_that_is_being_deleted_cannot_be_used(service: Service) -> None:
    upload_id = service.add_upload(b"too late", "model.safetensors")
    with ThreadPoolExecutor() as pool, service.runtime.sessions() as collecting:
        collecting.delete(collecting.get_one(Upload, upload_id))
        collecting.flush()

        def name() -> None:
            with service.runtime.sessions.begin() as session:
                require_complete(session, service.owner_id, upload_id)

        naming = pool.submit(name)
        service.wait_until(lambda: waiting_for_locks(service) or naming.done(), 30, "the request to wait for the lock")
        assert not naming.done()
        collecting.commit()
        with pytest.raises(NotFound):
            naming.result(10)


def test_declaring_known_content_again_keeps_it(service: Service) -> None:
    first = service.add_upload(b"sent twice", "one.zip")
    age(service)
    declared = UploadCreate(filename="two.zip", size_bytes=len(b"sent twice"), sha256=sha256_of(service, first))
    with service.runtime.sessions.begin() as session:
        second = create_upload(session, service.owner_id, declared, service.runtime.settings)
        collect(service)
    collect(service)
    assert second.state == "complete"
    assert files(service) == {declared.sha256}
    with service.runtime.sessions() as session:
        assert list(session.scalars(select(Upload.id))) == [second.id]


def test_content_of_a_deleted_model_is_deleted(service: Service) -> None:
    model_id = service.add_model("timm:resnet10t", upload_id=service.add_upload(b"weights", "model.safetensors"), state="ready")
    with service.runtime.sessions.begin() as session:
        delete_model(session, service.owner_id, model_id)
    age(service)
    collect(service)
    assert files(service) == set()


def test_the_archive_of_an_unfinished_explain_job_is_kept(service: Service) -> None:
    upload_id = service.add_upload(b"images", "images.zip")
    job_id = service.add_job("explain", None, {"upload": upload_id})
    age(service)
    collect(service)
    assert len(files(service)) == 1
    with service.runtime.sessions.begin() as session:
        session.execute(update(type(service.job(job_id))).values(state="canceled"))
    collect(service)
    assert files(service) == set()


def test_old_files_without_a_row_are_deleted(service: Service) -> None:
    old, _ = service.runtime.store.put_chunks([b"its writer died long ago"])
    young, _ = service.runtime.store.put_chunks([b"its writer is about to make it known"])
    path = next(Path(service.runtime.settings.storage_url.removeprefix("file://")).rglob(old))
    two_hours_ago = time.time() - 7200
    os.utime(path, (two_hours_ago, two_hours_ago))
    with service.runtime.sessions() as session:
        deleted = [drop_unknown_files(session, service.runtime.store, prefix, 3600) for prefix in range(CONTENT_PREFIXES)]
    assert sum(deleted) == 1
    assert files(service) == {young}
    assert rows(service) == set()


def test_parallel_collectors_delete_everything_once(service: Service) -> None:
    for number in range(40):
        service.add_upload(f"unused {number}".encode(), "file.zip")
    age(service)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(collect, [service] * 4))
    with service.runtime.sessions() as session:
        drop_unreferenced_content(session, service.runtime.store)  # content that one collector skipped while another held its lock
        assert session.scalar(select(func.count()).select_from(Upload)) == 0
    assert files(service) == rows(service) == set()
