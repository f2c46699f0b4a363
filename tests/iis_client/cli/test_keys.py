"""The `iis keys` commands and `iis quotas` against a running service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from iis_client import ForbiddenError, IISClient, UnauthorizedError
from iis_client.transport.address import Address

if TYPE_CHECKING:
    from support.iis_command import RunCommand


def test_a_key_is_created_used_rotated_and_revoked(iis: RunCommand, client: IISClient, service: Address) -> None:
    made = iis("keys", "create", "a [ci] robot", "--scope", "read", "--expires-at", "2999-01-01T00:00:00Z")
    assert made.returncode == 0, made.stderr
    assert "(a [ci] robot) has the scopes read. Store its secret" in made.stderr
    secret = made.stdout.strip()
    key = next(client.keys())
    assert (key.scopes, key.expires_at, key.hint) == (["read"], datetime(2999, 1, 1, tzinfo=UTC), secret[-4:])
    with IISClient(service.url, secret) as robot:
        assert robot.quotas().key.id == key.id
        with pytest.raises(ForbiddenError, match="needs a key with the scope admin"):
            list(robot.keys())
    refused = iis("keys", "list", IIS_URL=service.url, IIS_API_KEY=secret)
    assert refused.returncode == 1
    assert "needs a key with the scope admin; this key has: read." in refused.stderr
    assert "This key" in iis("quotas", IIS_URL=service.url, IIS_API_KEY=secret).stdout

    rotated = json.loads(iis("keys", "rotate", key.id, "--grace-seconds", "600", "--json").stdout)
    for working in (secret, rotated["secret"]):
        with IISClient(service.url, working) as robot:
            assert list(robot.jobs()) is not None
    assert f"…{secret[-4:]} of {key.id} is valid until" in " ".join(iis("keys", "list").stdout.split())
    assert iis("keys", "revoke", key.id).stdout == f"Key {key.id} is revoked.\n"
    assert client.key(key.id).revoked_at is not None
    with IISClient(service.url, rotated["secret"]) as robot, pytest.raises(UnauthorizedError):
        robot.quotas()


def test_quotas_usage_and_scopes_are_shown(iis: RunCommand) -> None:
    shown = iis("quotas").stdout
    for words in (
        "stored bytes",
        "unfinished jobs",
        "Kept: results until you delete them",
        "requests per second",
        "has the scopes read, write, admin",
    ):
        assert words in shown
    assert json.loads(iis("quotas", "--json").stdout)["stored_bytes"]["limit"] > 0
