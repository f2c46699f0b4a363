"""Structured logging: one JSON object per line on standard error, with request and job ids from the context."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

QUIETED_LOGGERS = ("httpcore", "botocore", "aiobotocore", "s3fs")
"""Libraries whose debug logs contain secrets (tokens in headers, keys in URLs) or content; limited to warnings."""


def configure_logging(level: str = "info") -> None:
    """Route the records of structlog and of all libraries through one JSON renderer; call once per process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = name != "uvicorn.access"  # the middleware logs each request
    for name in QUIETED_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
