"""Webhooks from Python, against a running service."""

from __future__ import annotations

import pytest

from iis_client import IISClient, InvalidInputError


def test_a_webhook_is_created_updated_tested_and_deleted(client: IISClient) -> None:
    made = client.create_webhook("https://receiver.invalid/hooks", events=["job.failed"], description="ours")
    assert (made.secret or "").startswith("whsec_")
    assert client.rotate_webhook_secret(made.id).secret != made.secret
    assert client.update_webhook(made.id, events=None).events is None
    assert [each.id for each in client.webhooks()] == [made.id]
    tried = client.test_webhook(made.id)
    assert (tried.type, tried.state) == ("webhook.test", "pending")
    assert [each.id for each in client.webhook_deliveries(made.id)] == [tried.id]
    assert client.webhook(made.id).enabled
    client.delete_webhook(made.id)
    assert list(client.webhooks()) == []


def test_a_private_address_is_refused_with_a_sentence(client: IISClient) -> None:
    with pytest.raises(InvalidInputError, match="not on the public internet"):
        client.create_webhook("https://192.168.1.1/")
