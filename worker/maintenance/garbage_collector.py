"""Schedule of retention and garbage collection. `app.db.deletion.retention` and `app.storage.garbage_collection` decide what is deleted."""

from __future__ import annotations

import time
from dataclasses import asdict

import structlog
from sqlalchemy.orm import Session

from app.db.deletion.retention import expire
from app.storage.garbage_collection import drop_unknown_files, drop_unreferenced_content, drop_unused_artifacts
from app.storage.store import CONTENT_PREFIXES
from app.storage.upload_expiry import ABANDONED_WRITE_SECONDS, drop_unused_uploads
from worker.runtime import Runtime
from worker.sandbox.downloads import DOWNLOADS, limit_downloads

PREFIXES_PER_RUN = 8  # of the content folders in storage, so that all are listed every few hours

log = structlog.get_logger(__name__)


class GarbageCollector:
    """Collect garbage at most every `collect_seconds`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._due = 0.0
        self._prefix = 0

    def collect_if_due(self, session: Session) -> None:
        """Collect garbage when `collect_seconds` have passed. Commits."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._runtime.settings.collect_seconds
            self.collect(session)

    def collect(self, session: Session) -> None:
        """Delete expired and unreferenced rows and content, and files without a row under the next prefixes. Commits."""
        settings, store = self._runtime.settings, self._runtime.store
        expired = expire(session, settings)
        uploads = drop_unused_uploads(session)
        artifacts = drop_unused_artifacts(session, settings.artifact_expiry_seconds)
        contents = drop_unreferenced_content(session, store)
        files = 0
        for _ in range(PREFIXES_PER_RUN):
            files += drop_unknown_files(session, store, self._prefix, ABANDONED_WRITE_SECONDS)
            self._prefix = (self._prefix + 1) % CONTENT_PREFIXES
        limit_downloads(self._runtime.child_home / DOWNLOADS, settings.downloads_max_bytes)
        if expired.any:
            log.info("retention_applied", **asdict(expired))
        if uploads or artifacts or contents or files:
            log.info("garbage_collected", uploads=uploads, artifacts=artifacts, contents=contents, files=files)
