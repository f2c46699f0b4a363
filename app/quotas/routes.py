"""HTTP of quotas."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from app.api_keys.repository import ApiKeyRepository
from app.db.deletion.retention import periods_of
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, SettingsDep
from app.http.routes import AuthenticatedRoute
from app.http.scopes import in_order
from app.quotas.repository import QuotaRepository
from app.quotas.service import DAY, quotas_of
from iis_schemas.quotas import AskingKeyView, QuotasView, QuotaView, RateView, RetentionView

router = APIRouter(prefix="/v1/quotas", tags=["quotas"], route_class=AuthenticatedRoute)


@router.get("", response_model=QuotasView)
def get_quotas(request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Get your quotas and their use, retention periods, the request rate of a key, and the scopes of this key."""
    limits, used = quotas_of(session, owner.owner_id, settings), QuotaRepository(session, owner.owner_id)
    key = ApiKeyRepository(session, owner.owner_id).get(owner.key_id)
    limited = settings.rate_limit_per_second > 0
    view = QuotasView(
        stored_bytes=QuotaView(limit=limits.stored_bytes, used=used.stored_bytes()),
        open_uploads=QuotaView(limit=limits.open_uploads, used=used.open_uploads()),
        unfinished_jobs=QuotaView(limit=limits.unfinished_jobs, used=used.unfinished_jobs()),
        jobs_per_day=QuotaView(limit=limits.jobs_per_day, used=used.jobs_since(datetime.now(UTC) - DAY)),
        pending_validations=QuotaView(limit=limits.pending_validations, used=used.pending_validations()),
        retention=RetentionView(**{f"{name}_days": days for name, days in periods_of(session, owner.owner_id, settings).items()}),
        requests=RateView(
            per_second=settings.rate_limit_per_second if limited else None, burst=settings.rate_limit_burst if limited else None
        ),
        key=AskingKeyView(id=key.id, scopes=in_order(key.scopes), expires_at=key.expires_at),
        links={"self": "/v1/quotas", "uploads": "/v1/uploads", "jobs": "/v1/jobs"},
    )
    return respond(request, view)
