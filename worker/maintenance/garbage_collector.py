"""When disk is given back, by each worker beside its sweeps. What goes, and why nothing in use does: `app.storage.garbage_collection`."""

from __future__ import annotations

import time

import structlog
from sqlalchemy.orm import Session

from app.storage.garbage_collection import drop_unknown_files, drop_unreferenced_content, drop_unused_artifacts
from app.storage.store import PREFIX_COUNT
from app.uploads.expiry import ABANDONED_WRITE_SECONDS, drop_unused_uploads
from worker.runtime import Runtime

SHELVES_TOGETHER = 8  # looked through at a time; all of them take some hours

log = structlog.get_logger(__name__)


class GarbageCollector:
    """Collects every `collect_seconds`, however often it is asked."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._due = 0.0
        self._shelf = 0

    def collect_if_due(self, session: Session) -> None:
        """Collect unless that was done a moment ago. Commits."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._runtime.settings.collect_seconds
            self.collect(session)

    def collect(self, session: Session) -> None:
        """Drop what has expired or is referred to by nothing, and what lies unknown on the next shelves. Commits."""
        settings, store = self._runtime.settings, self._runtime.store
        uploads = drop_unused_uploads(session)
        artifacts = drop_unused_artifacts(session, settings.artifact_expiry_seconds)
        contents = drop_unreferenced_content(session, store)
        files = 0
        for _ in range(SHELVES_TOGETHER):
            files += drop_unknown_files(session, store, self._shelf, ABANDONED_WRITE_SECONDS)
            self._shelf = (self._shelf + 1) % PREFIX_COUNT
        if uploads or artifacts or contents or files:
            log.info("collected", uploads=uploads, artifacts=artifacts, contents=contents, files=files)
