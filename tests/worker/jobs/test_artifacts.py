"""Outputs of stages between storage and their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from worker.jobs.artifacts import OwnersArtifacts
from worker.jobs.outputs import OutputInvalid

if TYPE_CHECKING:
    from support.worker_service import Service


@pytest.fixture
def artifacts(service: Service) -> OwnersArtifacts:
    return OwnersArtifacts(service.owner_id, service.runtime.store)


def test_content_deleted_between_upload_and_row_is_uploaded_again(service: Service, artifacts: OwnersArtifacts) -> None:
    path = service.folder / "output"
    path.write_bytes(b"an output")
    stored = artifacts.upload("key", "heads", path, lambda: None)
    artifacts.store.delete(stored.sha256)  # as the garbage collector does with unreferenced content
    with service.runtime.sessions.begin() as session:
        artifacts.record(session, stored)
    assert artifacts.store.exists(stored.sha256)
    with service.runtime.sessions() as session:
        assert artifacts.find(session, ["key"]) == {"key": stored.sha256}


def test_a_symbolic_link_in_the_workspace_is_not_followed(service: Service, artifacts: OwnersArtifacts) -> None:
    secret, path = service.folder / "secret", service.folder / "output"
    secret.write_bytes(b"readable for the parent only")
    path.write_bytes(secret.read_bytes())
    stored = artifacts.upload("key", "heads", path, lambda: None)
    artifacts.store.delete(stored.sha256)
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(OutputInvalid, match="symbolic links"):
        artifacts.upload("key", "heads", path, lambda: None)
    with pytest.raises(OutputInvalid, match="symbolic links"), service.runtime.sessions.begin() as session:
        artifacts.record(session, stored)
    assert not artifacts.store.exists(stored.sha256)
