"""Application factory. `python -m app` serves it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import Depends, FastAPI

from app.db.session import make_engine, make_session_factory
from app.health.cached import Cached
from app.health.service import readiness
from app.http.admission.capacity import Capacity, connections_needed
from app.http.admission.known_keys import KnownKeys
from app.http.admission.middleware import AdmissionMiddleware
from app.http.auth import read_keys
from app.http.head_requests import HeadMiddleware
from app.http.middleware import RequestMiddleware
from app.http.openapi import install_openapi, operation_id
from app.http.problems import COMMON_RESPONSES, install_problem_handlers
from app.http.query_parameters import require_known_query
from app.http.share_access import read_shares
from app.inference.errors import InferenceErrorMiddleware
from app.jobs.signals import JobSignals
from app.logging import configure_logging
from app.metrics import RequestMetrics, exported_metrics
from app.minimum_versions import API_MINIMUM_VERSIONS, require_minimum_versions
from app.rate_limits import Buckets, Limit, RateLimitMiddleware
from app.routers import ROUTERS
from app.settings import Settings, get_settings
from app.storage import open_store
from app.traces import configure_traces
from app.ui import install_pages

MIN_SECRET_CHARACTERS = 16


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the API. Connections are opened on first use: without PostgreSQL the API starts and answers 503.

    Raises
    ------
    ValueError
        If IIS_API_KEY_SECRET is missing or too short.
    MinimumVersionError
        If an installed package has a known vulnerability.
    """
    require_minimum_versions(API_MINIMUM_VERSIONS)
    settings = settings or get_settings()
    if len(settings.api_key_secret) < MIN_SECRET_CHARACTERS:
        raise ValueError(f"Set IIS_API_KEY_SECRET to at least {MIN_SECRET_CHARACTERS} random characters; API keys are hashed with it.")
    configure_logging(settings.log_level)
    configure_traces(settings, "iis-api")
    engine = make_engine(settings, connections=connections_needed(settings), bounded=True)
    factory = make_session_factory(engine)
    metrics, store, capacity = RequestMetrics(), open_store(settings), Capacity(settings)
    known_keys = KnownKeys(partial(read_keys, engine))

    buckets = Buckets(
        settings.redis_url,
        owner=Limit(settings.rate_limit_per_second, settings.rate_limit_burst),
        address=Limit(settings.anonymous_rate_limit_per_second, settings.anonymous_rate_limit_burst),
        failures=Limit(settings.failed_key_limit_per_second, settings.failed_key_limit_burst),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await buckets.close()
        engine.dispose()

    app = FastAPI(
        title="Inherent Interpretability Score",
        version="1",
        lifespan=lifespan,
        responses=COMMON_RESPONSES,
        generate_unique_id_function=operation_id,
        docs_url=None,  # FastAPI's page loads scripts from a CDN; app.ui serves its own
        openapi_url="/v1/openapi.json",
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.engine = engine
    app.state.session_factory = factory
    app.state.store = store
    app.state.capacity = capacity
    app.state.known_keys = known_keys
    app.state.known_shares = KnownKeys(partial(read_shares, engine))
    app.state.request_metrics = metrics
    app.state.readiness = Cached(lambda: readiness(factory, store, settings))
    app.state.metrics = Cached(exported_metrics(metrics, factory))
    app.state.job_signals = JobSignals(engine)
    capacity.shutdown.call_on_begin(app.state.job_signals.wake_all)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(RateLimitMiddleware, buckets=buckets)
    app.add_middleware(AdmissionMiddleware, capacity=capacity, known_keys=known_keys, settings=settings)
    app.add_middleware(RequestMiddleware, settings=settings, metrics=metrics)
    app.add_middleware(InferenceErrorMiddleware)
    install_problem_handlers(app)
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(require_known_query)])
    install_pages(app)
    install_openapi(app)
    return app
