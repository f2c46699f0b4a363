"""Webhooks: creation, change, rotation of secrets, test events and replay."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from app.db.ids import PREFIXES, new_id
from app.db.models import Webhook, WebhookDelivery
from app.db.webhook_events import TEST_EVENT, add_deliveries
from app.errors import Conflict, InvalidInput, NotFound
from app.http.scopes import require_scopes
from app.settings import Settings
from app.webhook_security.addresses import InvalidUrl, read_url
from app.webhook_security.signing import new_salt, secret_digest, secret_of
from app.webhooks.repository import DeliveryRepository, WebhookRepository
from iis_schemas.webhooks import WebhookCreate, WebhookUpdate

MAX_WEBHOOKS = 20
PREVIOUS_SECRET_SIGNS = timedelta(hours=24)


def create_webhook(session: Session, owner_id: str, request: WebhookCreate, settings: Settings) -> tuple[Webhook, str]:
    """Add a webhook; returns it with its secret, which is not shown again.

    Raises
    ------
    InvalidInput
        When the URL is none that webhooks are sent to.
    Conflict
        When the owner has as many as there may be.
    """
    webhook = Webhook(
        id=new_id("webhook"),
        owner_id=owner_id,
        url=_checked(request.url, settings, "url"),
        description=request.description,
        events=request.events,
        enabled=request.enabled,
    )
    secret = _renew_secret(webhook, settings)
    webhooks = WebhookRepository(session, owner_id)
    webhooks.lock_registration()
    return _add(webhooks, webhook), secret


def named_webhook(session: Session, owner_id: str, scopes: Collection[str], reference: str, settings: Settings) -> Webhook:
    """The webhook that the request of a job or study names.

    One with a new address is added; it receives the events alone of jobs and studies that name it, and its secret is got by rotating it.

    Parameters
    ----------
    scopes : of the key of the request
    reference : id of a webhook, or an address

    Raises
    ------
    NotFound
        When the owner has no webhook of that id.
    InvalidInput
        When the address is none that webhooks are sent to.
    Forbidden
        When the address is new and the key has not the scope of webhooks.
    Conflict
        When the webhook is disabled, or the owner has as many as there may be.
    """
    webhooks = WebhookRepository(session, owner_id)
    if reference.startswith(f"{PREFIXES['webhook']}_"):
        try:
            found = webhooks.hold(reference)
        except NotFound as error:
            error.param = "webhook"
            raise
    else:
        url = _checked(reference, settings, "webhook")
        found = webhooks.of_address(url)
        if found is None:
            require_scopes(scopes, ("admin",))
            webhooks.lock_registration()
            found = webhooks.of_address(url)  # of a request at the same time
        if found is None:
            found = Webhook(id=new_id("webhook"), owner_id=owner_id, url=url, events=[], enabled=True)
            _renew_secret(found, settings)
            _add(webhooks, found)
    _require_enabled(found)
    return found


def update_webhook(session: Session, owner_id: str, webhook_id: str, request: WebhookUpdate, settings: Settings) -> Webhook:
    """Change the fields that the request names. Enabling a webhook resets its failures.

    Raises
    ------
    InvalidInput
        When the URL is none that webhooks are sent to.
    """
    webhook = WebhookRepository(session, owner_id).get(webhook_id, for_update=True)
    changes = request.model_dump(exclude_unset=True)
    if "url" in changes:
        changes["url"] = _checked(request.url, settings, "url")
    if changes.get("enabled"):
        changes |= {"disabled_reason": None, "failing_since": None}
    for name, value in changes.items():
        setattr(webhook, name, value)
    session.flush()
    return webhook


def rotate_secret(session: Session, owner_id: str, webhook_id: str, settings: Settings) -> tuple[Webhook, str]:
    """Replace the secret of a webhook; for a day the previous one signs too."""
    webhook = WebhookRepository(session, owner_id).get(webhook_id, for_update=True)
    webhook.previous_salt, webhook.previous_expires_at = webhook.secret_salt, datetime.now(UTC) + PREVIOUS_SECRET_SIGNS
    secret = _renew_secret(webhook, settings)
    session.flush()
    return webhook, secret


def send_test(session: Session, owner_id: str, webhook_id: str) -> WebhookDelivery:
    """Send a test event to a webhook, whatever its filter.

    Raises
    ------
    Conflict
        While it is disabled.
    """
    webhook = WebhookRepository(session, owner_id).hold(webhook_id)
    _require_enabled(webhook)
    data = {"id": webhook.id, "links": {"self": f"/v1/webhooks/{webhook.id}"}}
    (delivery,) = add_deliveries(session, [webhook], TEST_EVENT, data)
    session.refresh(delivery)
    return delivery


def list_deliveries(session: Session, owner_id: str, webhook_id: str, after: str | None, limit: int) -> Sequence[WebhookDelivery]:
    """The deliveries of a webhook, newest first, one more than `limit`."""
    WebhookRepository(session, owner_id).get(webhook_id)
    return DeliveryRepository(session, owner_id, webhook_id).of_webhook(after=after, limit=limit)


def replay(session: Session, owner_id: str, webhook_id: str, delivery_id: str) -> WebhookDelivery:
    """Send a delivery again, whatever its state, with the same webhook-id.

    Raises
    ------
    Conflict
        While the webhook is disabled, or an attempt is under way.
    """
    webhook = WebhookRepository(session, owner_id).hold(webhook_id)
    delivery = DeliveryRepository(session, owner_id, webhook_id).get(delivery_id, for_update=True)
    _require_enabled(webhook)
    now = datetime.now(UTC)
    if delivery.lease_token is not None and delivery.next_attempt_at is not None and delivery.next_attempt_at > now:
        raise Conflict(
            "This delivery is being sent now; try again when the attempt has ended.", code="delivery_in_flight", retry_after_seconds=5
        )
    delivery.state, delivery.attempts, delivery.lease_token = "pending", 0, None
    delivery.next_attempt_at, delivery.finished_at = now, None
    session.flush()
    return delivery


def _add(webhooks: WebhookRepository, webhook: Webhook) -> Webhook:
    if webhooks.count() >= MAX_WEBHOOKS:
        raise Conflict(f"You have {MAX_WEBHOOKS} webhooks, the most that are allowed; delete one first.", code="too_many_webhooks")
    return webhooks.add(webhook)


def _checked(url: str, settings: Settings, param: str) -> str:
    try:
        return read_url(url, settings.webhook_allowed_networks, allow_http=settings.webhook_allow_http).url
    except InvalidUrl as unfit:
        raise InvalidInput(str(unfit), code="unfit_url", param=param) from unfit


def _renew_secret(webhook: Webhook, settings: Settings) -> str:
    webhook.secret_salt = new_salt()
    secret = secret_of(webhook.secret_salt, settings)
    webhook.secret_digest = secret_digest(secret)
    return secret


def _require_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise Conflict(f"Webhook {webhook.id} is disabled; enable it first.", code="webhook_disabled")
