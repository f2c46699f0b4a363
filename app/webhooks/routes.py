"""HTTP of webhooks and their deliveries."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.db.models import Webhook
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, SettingsDep
from app.http.idempotency import IdempotentRoute
from app.http.pagination import Page, PageParams, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES
from app.webhooks import service
from app.webhooks.repository import DeliveryRepository, WebhookRepository
from app.webhooks.views import PATH, delivery_view, webhook_view
from iis_schemas.webhooks import DeliveryView, WebhookCreate, WebhookUpdate, WebhookView, WebhookWithSecret

DELIVERIES_AT = "/{webhook_id}/deliveries"
DELIVERY_AT = DELIVERIES_AT + "/{delivery_id}"

router = APIRouter(prefix=PATH, tags=["webhooks"], route_class=IdempotentRoute)


@router.post("", status_code=201, response_model=WebhookWithSecret, responses=CREATION_RESPONSES)
def create_webhook(body: WebhookCreate, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Register a webhook.

    The secret that signs its messages is in this answer alone.
    """
    return _with_secret(request, *service.create_webhook(session, owner.owner_id, body, settings), status=201)


@router.get("", response_model=Page[WebhookView])
def list_webhooks(request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List your webhooks, newest first."""
    rows = WebhookRepository(session, owner.owner_id).list(after=params.after, limit=params.limit)
    return respond(request, page([webhook_view(row) for row in rows], params, PATH))


@router.get("/{webhook_id}", response_model=WebhookView, responses=RESOURCE_RESPONSES)
def get_webhook(webhook_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get a webhook."""
    return respond(request, webhook_view(WebhookRepository(session, owner.owner_id).get(webhook_id)))


@router.patch("/{webhook_id}", response_model=WebhookView, responses=CREATION_RESPONSES)
def update_webhook(webhook_id: str, body: WebhookUpdate, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> WebhookView:
    """Change a webhook; fields that are left out stay.

    A disabled webhook receives no new events; pending deliveries stay pending.
    """
    return webhook_view(service.update_webhook(session, owner.owner_id, webhook_id, body, settings))


@router.delete("/{webhook_id}", status_code=204, responses=RESOURCE_RESPONSES)
def delete_webhook(webhook_id: str, session: SessionDep, owner: OwnerDep) -> None:
    """Delete a webhook with its pending deliveries."""
    WebhookRepository(session, owner.owner_id).delete(webhook_id)


@router.post("/{webhook_id}/rotate-secret", response_model=WebhookWithSecret, responses=CREATION_RESPONSES)
def rotate_webhook_secret(webhook_id: str, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Replace the secret of a webhook.

    For 24 hours messages are signed with both secrets, so that a receiver can change over.
    """
    return _with_secret(request, *service.rotate_secret(session, owner.owner_id, webhook_id, settings), status=200)


@router.post("/{webhook_id}/test", status_code=201, response_model=DeliveryView, responses=CREATION_RESPONSES)
def test_webhook(webhook_id: str, session: SessionDep, owner: OwnerDep) -> Response:
    """Send a `webhook.test` event to a webhook, whatever its filter.

    The delivery shows the outcome.
    """
    view = delivery_view(service.send_test(session, owner.owner_id, webhook_id))
    return Response(view.model_dump_json(), 201, {"Location": view.links["self"]}, media_type="application/json")


@router.get(DELIVERIES_AT, response_model=Page[DeliveryView], responses=RESOURCE_RESPONSES)
def list_webhook_deliveries(webhook_id: str, request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List the deliveries of a webhook in the last 30 days, newest first."""
    rows = service.list_deliveries(session, owner.owner_id, webhook_id, params.after, params.limit)
    return respond(request, page([delivery_view(row) for row in rows], params, f"{PATH}/{webhook_id}/deliveries"))


@router.get(DELIVERY_AT, response_model=DeliveryView, responses=RESOURCE_RESPONSES)
def get_webhook_delivery(webhook_id: str, delivery_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get a delivery: its attempts and the outcome of the last one."""
    return respond(request, delivery_view(DeliveryRepository(session, owner.owner_id, webhook_id).get(delivery_id)))


@router.post(f"{DELIVERY_AT}/replay", response_model=DeliveryView, responses=CREATION_RESPONSES)
def replay_webhook_delivery(webhook_id: str, delivery_id: str, session: SessionDep, owner: OwnerDep) -> DeliveryView:
    """Send a delivery again, with the same webhook-id."""
    return delivery_view(service.replay(session, owner.owner_id, webhook_id, delivery_id))


def _with_secret(request: Request, webhook: Webhook, secret: str, *, status: int) -> Response:
    view = webhook_view(webhook)
    shown = WebhookWithSecret(**view.model_dump(), secret=secret)
    request.state.replay_body = shown.model_copy(update={"secret": None}).model_dump_json().encode()
    headers = {"Cache-Control": "no-store"} | ({"Location": view.links["self"]} if status == 201 else {})
    return Response(shown.model_dump_json(), status, headers, media_type="application/json")
