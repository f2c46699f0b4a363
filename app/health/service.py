"""Check database, Redis and storage, with short timeouts and without raising."""

from __future__ import annotations

from typing import Literal

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.db.session import SessionFactory
from app.settings import Settings
from app.storage import ArtifactStore, StorageUnavailable
from iis_schemas.health import Ready

REDIS_TIMEOUT_SECONDS = 1.0

log = structlog.get_logger(__name__)


def readiness(factory: SessionFactory, store: ArtifactStore, settings: Settings) -> Ready:
    """Whether requests can be served: not without database and storage; without Redis jobs are accepted and wait."""
    database, storage, redis = _database_answers(factory), _storage_answers(store), _redis_answers(settings.redis_url)
    status = "unavailable" if not (database and storage) else "ok" if redis else "degraded"
    return Ready(status=status, database=_word(database), redis=_word(redis), storage=_word(storage))


def _word(answers: bool) -> Literal["ok", "unavailable"]:
    return "ok" if answers else "unavailable"


def _database_answers(factory: SessionFactory) -> bool:
    try:
        with factory() as session:
            session.execute(text("SELECT 1 FROM jobs LIMIT 1"))
    except SQLAlchemyError as error:
        log.warning("database_unavailable", error=str(error.__cause__ or error))
        return False
    return True


def _storage_answers(store: ArtifactStore) -> bool:
    try:
        store.check()
    except StorageUnavailable as error:
        log.warning("storage_unavailable", error=str(error))
        return False
    return True


def _redis_answers(redis_url: str) -> bool:
    try:
        with Redis.from_url(redis_url, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, socket_timeout=REDIS_TIMEOUT_SECONDS) as redis:
            return bool(redis.ping())
    except (RedisError, OSError, ValueError) as error:
        log.warning("redis_unavailable", error=str(error))
        return False
