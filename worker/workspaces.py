"""Folders that attempts work in: their names, and the removal of those whose worker was killed. What lies in them is the stages' matter."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.models import Job

TOKEN_CHARACTERS = 8

log = structlog.get_logger(__name__)


def workspace_name(job_id: str, token: str) -> str:
    """The folder of one attempt: job and beginning of the lease token."""
    return f"{job_id}-{token[:TOKEN_CHARACTERS]}"


def sweep_workspaces(session: Session, work_folder: Path) -> int:
    """Remove the folders on this machine whose attempt holds no lease any more; returns how many went."""
    if not work_folder.is_dir():
        return 0
    present = {path.name: path for path in work_folder.iterdir()}  # listed first: a folder is made after its lease
    job_ids = [name.rpartition("-")[0] for name in present]
    leased = session.execute(select(Job.id, Job.lease_token).where(Job.id.in_(job_ids), Job.lease_token.is_not(None))).all()
    left = present.keys() - {workspace_name(job_id, token) for job_id, token in leased if token}
    for name in left:
        shutil.rmtree(present[name], ignore_errors=True)
        log.info("workspace_removed", name=name)
    return len(left)
