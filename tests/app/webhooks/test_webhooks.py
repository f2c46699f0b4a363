"""Webhooks over HTTP: accepted URLs, secrets, and the deliveries written when a job, check or study ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text, update

from app.db.deletion.expiry import expire_webhook_deliveries
from app.db.ids import new_id
from app.db.models import Base, Job, Webhook, WebhookDelivery
from app.db.session import SessionFactory
from app.db.transitions import claim, enqueue, fail, succeed
from app.db.webhook_events import announce_studies
from app.settings import Settings
from app.webhook_security.addresses import InvalidUrl, is_reachable, read_url
from app.webhook_security.signing import secret_of
from app.webhooks.service import MAX_WEBHOOKS
from iis_schemas.names import EventType
from support.rows import Rows
from support.tenants import Tenant

URL = "https://example.org/hooks"
NEVER_REACHED = (
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "::1", "::", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    *("2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "100::1", "3fff::1", "5f00::1"),
    *("2606:4700::5efe:127.0.0.1", "2606:4700::200:5efe:10.0.0.1"),
)
UNFIT = (
    *("", "example.org", "//example.org/", "http://example.org/", "ftp://example.org/", "file:///etc/passwd", "gopher://example.org/"),
    *("javascript:alert(1)", "https:///x", "https:example.org", "https://", "https://user@example.org/", "https://user:pass@example.org/"),
    *("https://@example.org/", "https://example.org@127.0.0.1/", "https://example.org#@127.0.0.1/", "https://example.org/#a"),
    *("https://example.org\\@127.0.0.1/", "https://example.org/ a", "https://exa\tmple.org/", "https://example.org\r\nHost: a/", " " + URL),
    *("https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/", "https://127.0.0.1./"),
    *("https://017700000001/", "https://0x7f.0x0.0x0.0x1/", "https://127.0.0.0x1/", "https://1.2.3.4.5/", "https://example.123/"),
    *("https://localhost/", "https://LOCALHOST/", "https://localhost./", "https://a.localhost/", "https://example.org./"),
    *("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[fe80::1%25lo]/", "https://[fe80::1%lo]/"),
    *("https://[::]/", "https://::1/", "https://[127.0.0.1]/", "https://[example.org]/", "https://[::1].example.org/", "https://[::1/"),
    *("https://127。0。0。1/", "https://１２７.0.0.1/", "https://ⓛocalhost/", "https://bücher.example/", "https://%6cocalhost/"),
    *(
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:x/",
        "https://-a.org/",
        "https://a..org/",
        "https://.org/",
    ),
    *(f"https://{address}/" if ":" not in address else f"https://[{address}]/" for address in NEVER_REACHED),
    "https://" + "a" * 2000 + ".org/",
)


@pytest.fixture
def webhook(client: TestClient) -> dict[str, Any]:
    created = client.post("/v1/webhooks", json={"url": URL})
    assert created.status_code == 201, created.text
    return created.json()


def written_events(sessions: SessionFactory, owner_id: str) -> list[dict[str, Any]]:
    """Events written for an owner's webhooks, in order."""
    with sessions() as session:
        rows = session.scalars(select(WebhookDelivery).where(WebhookDelivery.owner_id == owner_id).order_by(WebhookDelivery.id)).all()
    assert all(row.type == json.loads(row.body)["type"] and row.state == "pending" for row in rows)
    return [json.loads(row.body) for row in rows]


@pytest.mark.parametrize("address", NEVER_REACHED)
def test_addresses_outside_the_public_internet_are_not_reachable(address: str) -> None:
    assert not is_reachable(ip_address(address), [])


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_reachable(address: str) -> None:
    assert is_reachable(ip_address(address), [])


def test_an_allowed_private_network_is_reachable_and_no_other() -> None:
    allowed = [ip_network("10.20.0.0/16"), ip_network("fd00:1::/32")]
    assert is_reachable(ip_address("10.20.3.4"), allowed)
    assert is_reachable(ip_address("fd00:1::5"), allowed)
    assert not any(is_reachable(ip_address(other), allowed) for other in ("10.21.0.1", "::ffff:10.20.3.4", "fd00:2::1", "127.0.0.1"))
    assert read_url("https://10.20.3.4/", allowed, allow_http=False).host == "10.20.3.4"
    with pytest.raises(InvalidUrl):
        read_url("http://10.20.3.4/", allowed, allow_http=False)
    assert read_url("http://10.20.3.4/", allowed, allow_http=True).port == 80


@pytest.mark.parametrize("url", UNFIT)
def test_an_unsafe_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        read_url(url, [], allow_http=False)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        (URL, URL),
        ("HTTPS://EXAMPLE.ORG", "https://example.org/"),
        ("https://example.org:443?a=b", "https://example.org/?a=b"),
        ("https://example.org:8443/a%20b?c=%2F", "https://example.org:8443/a%20b?c=%2F"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:4700:0::1111]:444/", "https://[2606:4700:4700::1111]:444/"),
        ("https://1.example1/", "https://1.example1/"),
    ],
)
def test_a_public_url_is_normalised(url: str, read: str) -> None:
    assert read_url(url, [], allow_http=False).url == read


def test_a_refused_url_has_a_suggestion(client: TestClient) -> None:
    for url, sentence in (("http://example.org/", "must begin with https://"), ("https://10.0.0.1/", "public internet")):
        refused = client.post("/v1/webhooks", json={"url": url})
        assert (refused.status_code, refused.json()["code"]) == (422, "unfit_url")
        assert refused.json()["errors"][0]["param"] == "url"
        assert sentence in refused.json()["detail"]


def test_the_secret_is_shown_once_and_not_stored(client: TestClient, sessions: SessionFactory, settings: Settings) -> None:
    answers = [client.post("/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "hook"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    created = answers[0].json()
    assert created["secret"].startswith("whsec_")
    assert answers[1].json() == created | {"secret": None}
    rotated = client.post(created["links"]["rotate-secret"]).json()
    assert rotated["secret"] != created["secret"]
    assert "secret" not in client.get(created["links"]["self"]).json()
    secrets = [answer["secret"].removeprefix("whsec_") for answer in (created, rotated)]
    with sessions() as session:
        row = session.get_one(Webhook, created["id"])
        assert secret_of(row.secret_salt, settings) == rotated["secret"]
        assert row.previous_salt is not None
        assert secret_of(row.previous_salt, settings) == created["secret"]
        for table in Base.metadata.sorted_tables:
            for stored in session.scalars(text(f"SELECT CAST({table.name} AS text) FROM {table.name}")):  # noqa: S608 (our own names)
                assert not any(secret in stored for secret in secrets), table.name


def test_a_patch_changes_only_the_given_fields(client: TestClient, webhook: dict[str, Any]) -> None:
    at = webhook["links"]["self"]
    changed = client.patch(at, json={"events": ["job.failed", "job.failed"], "description": "ours"}).json()
    assert (changed["events"], changed["description"], changed["url"], changed["enabled"]) == (["job.failed"], "ours", URL, True)
    assert client.patch(at, json={"events": None}).json() == changed | {"events": None}
    assert client.patch(at, json={"enabled": False}).json() == changed | {"events": None, "enabled": False}
    assert client.get(at).json()["enabled"] is False
    for wrong in ({"url": "https://10.0.0.1/"}, {"url": None}, {"url": ""}, {"events": []}, {"events": ["job.queued"]}, {"enabled": None}):
        assert client.patch(at, json=wrong).status_code == 422, wrong
    assert client.delete(at).status_code == 204
    assert client.get(at).status_code == client.patch(at, json={}).status_code == 404


def test_more_webhooks_than_the_limit_are_refused(client: TestClient) -> None:
    for _ in range(MAX_WEBHOOKS):
        assert client.post("/v1/webhooks", json={"url": URL}).status_code == 201
    refused = client.post("/v1/webhooks", json={"url": URL})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")


def test_the_end_of_a_job_writes_a_delivery_in_the_same_transaction(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant, webhook: dict[str, Any]
) -> None:
    job_id, _ = rows.succeeded_job()
    failed, canceled = rows.job(), rows.job()
    rows.fail(failed, rows.claim(failed), "It was too large for /srv/private.")
    rows.cancel(canceled)
    first, second, third = written_events(sessions, tenant.owner_id)
    at = f"/v1/jobs/{job_id}"
    assert first["type"] == "job.succeeded"
    assert first["data"] == {
        "id": job_id,
        "kind": "score",
        "state": "succeeded",
        "attempt": 1,
        "error_code": None,
        "links": {"self": at, "events": f"{at}/events", "result": f"{at}/result"},
    }
    assert abs(datetime.now(UTC) - datetime.fromisoformat(first["timestamp"])) < timedelta(minutes=1)
    assert (second["type"], second["data"]["id"], third["type"], third["data"]["id"]) == ("job.failed", failed, "job.canceled", canceled)
    assert second["data"]["error_code"]
    assert "private" not in json.dumps(second)  # what went wrong is asked for, under a key


def test_a_rolled_back_end_of_a_job_writes_no_delivery(
    rows: Rows, sessions: SessionFactory, tenant: Tenant, webhook: dict[str, Any]
) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    with sessions() as session:
        succeed(session, job_id, token)
        session.rollback()
    assert written_events(sessions, tenant.owner_id) == []


def test_a_webhook_receives_only_subscribed_events_of_its_owner(
    client: TestClient,
    rows: Rows,
    other_rows: Rows,
    other_tenant: Tenant,
    tenant: Tenant,
    sessions: SessionFactory,
    webhook: dict[str, Any],
) -> None:
    client.post("/v1/webhooks", json={"url": URL, "events": ["model.ready"]})
    client.post("/v1/webhooks", json={"url": URL, "enabled": False})
    everything = client.post("/v1/webhooks", json={"url": URL})
    other_rows.succeeded_job()
    assert written_events(sessions, tenant.owner_id) == written_events(sessions, other_tenant.owner_id) == []
    rows.succeeded_job()
    with sessions() as session:
        found = session.execute(
            select(WebhookDelivery.webhook_id, WebhookDelivery.event_id).where(WebhookDelivery.owner_id == tenant.owner_id)
        )
        by_webhook = dict(found.all())
    assert set(by_webhook) == {webhook["id"], everything.json()["id"]}
    assert len(set(by_webhook.values())) == 1  # one event for all webhooks


def test_the_end_of_a_check_is_an_event_of_the_checked_resource(
    rows: Rows, sessions: SessionFactory, settings: Settings, tenant: Tenant, webhook: dict[str, Any]
) -> None:
    model, dataset, concept_set = rows.model(state="pending"), rows.dataset(state="pending"), rows.concept_set(state="pending")
    checks = (
        ("check_model", {"model_id": model}, None),
        ("check_dataset", {"dataset_id": dataset}, {"code": "one_class", "message": "There is one class.", "param": None}),
        ("check_concept_set", {"concept_set_id": concept_set, "spec": {"version": 1}}, None),
    )
    for kind, columns, error in checks:
        fields = {"owner_id": tenant.owner_id, "kind": kind, "deadline_seconds": 60.0, "spec": {}, **columns}
        with sessions.begin() as session:
            job = Job(id=new_id("job"), **fields)
            enqueue(session, job)
            token = claim(session, job.id, "worker", 60)
            assert token is not None
            if error is None:
                succeed(session, job.id, token)
            else:
                fail(session, job.id, token, error)
    at = f"/v1/concept-sets/{concept_set}"
    assert [(one["type"], one["data"]) for one in written_events(sessions, tenant.owner_id)] == [
        ("model.ready", {"id": model, "state": "ready", "error_code": None, "links": {"self": f"/v1/models/{model}"}}),
        ("dataset.failed", {"id": dataset, "state": "failed", "error_code": "one_class", "links": {"self": f"/v1/datasets/{dataset}"}}),
        (
            "concept_set.ready",
            {"id": concept_set, "version": 1, "state": "ready", "error_code": None, "links": {"self": at, "version": f"{at}/versions/1"}},
        ),
    ]


def test_a_finished_study_is_announced_once_until_it_is_extended(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant, webhook: dict[str, Any]
) -> None:
    study = client.post("/v1/studies", json=rows.study_request()).json()

    def studies_told() -> int:
        with sessions() as session:
            announce_studies(session)
        return [one["type"] for one in written_events(sessions, tenant.owner_id)].count("study.finished")

    assert studies_told() == 0
    client.post(study["links"]["cancel"])
    assert [one["type"] for one in written_events(sessions, tenant.owner_id)] == ["job.canceled"] * 4
    assert [studies_told(), studies_told()] == [1, 1]
    client.post(study["links"]["extend"], json={"concept_counts": [5]})
    assert studies_told() == 1
    client.post(study["links"]["cancel"])
    assert studies_told() == 2


def test_deliveries_are_listed_and_replayed(client: TestClient, sessions: SessionFactory, webhook: dict[str, Any]) -> None:
    made = [client.post(webhook["links"]["test"]) for _ in range(3)]
    assert {answer.status_code for answer in made} == {201}
    assert [made[0].json()[name] for name in ("state", "attempts", "type")] == ["pending", 0, "webhook.test"]
    first = client.get(webhook["links"]["deliveries"], params={"limit": 2}).json()
    rest = client.get(first["links"]["next"]).json()
    assert [one["id"] for one in (*first["data"], *rest["data"])] == [answer.json()["id"] for answer in reversed(made)]
    delivery = made[0].json()
    assert made[0].headers["Location"] == delivery["links"]["self"]
    with sessions.begin() as session:
        row = session.get_one(WebhookDelivery, delivery["id"])
        row.state, row.attempts, row.next_attempt_at, row.last_status, row.last_error = (
            "failed",
            10,
            None,
            500,
            "The receiver answered 500.",
        )
    assert client.get(delivery["links"]["self"]).json()["last_error"] == "The receiver answered 500."
    again = client.post(delivery["links"]["replay"]).json()
    assert [again[name] for name in ("id", "event", "state", "attempts")] == [delivery["id"], delivery["event"], "pending", 0]
    assert again["next_attempt_at"] is not None
    with sessions.begin() as session:
        row = session.get_one(WebhookDelivery, delivery["id"])
        row.lease_token, row.next_attempt_at = "held", datetime.now(UTC) + timedelta(seconds=60)
    assert client.post(delivery["links"]["replay"]).json()["code"] == "delivery_in_flight"
    with sessions.begin() as session:  # its lease has expired
        session.execute(update(WebhookDelivery).values(next_attempt_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert client.post(delivery["links"]["replay"]).status_code == 200


def test_a_delivery_is_a_404_under_another_webhook(client: TestClient, webhook: dict[str, Any]) -> None:
    other = client.post("/v1/webhooks", json={"url": URL}).json()
    delivery = client.post(webhook["links"]["test"]).json()["id"]
    assert client.get(f"{other['links']['deliveries']}/{delivery}").status_code == 404
    assert client.post(f"{other['links']['deliveries']}/{delivery}/replay").status_code == 404
    assert client.get(other["links"]["deliveries"]).json()["data"] == []


def test_a_disabled_webhook_receives_neither_tests_nor_events(
    client: TestClient, rows: Rows, tenant: Tenant, sessions: SessionFactory
) -> None:
    webhook = client.post("/v1/webhooks", json={"url": URL, "enabled": False}).json()
    assert client.post(webhook["links"]["test"]).json()["code"] == "webhook_disabled"
    rows.succeeded_job()
    assert written_events(sessions, tenant.owner_id) == []


def test_old_deliveries_are_deleted(client: TestClient, sessions: SessionFactory, webhook: dict[str, Any]) -> None:
    old, new = (client.post(webhook["links"]["test"]).json()["id"] for _ in range(2))
    with sessions.begin() as session:
        session.get_one(WebhookDelivery, old).created_at = datetime.now(UTC) - timedelta(days=31)
    with sessions() as session:
        assert expire_webhook_deliveries(session) >= 1
    assert [one["id"] for one in client.get(webhook["links"]["deliveries"]).json()["data"]] == [new]


def test_every_event_type_can_be_subscribed_to(client: TestClient) -> None:
    events = list(get_args(EventType))
    assert client.post("/v1/webhooks", json={"url": URL, "events": events}).json()["events"] == events


def receivers(sessions: SessionFactory, owner_id: str) -> list[tuple[str, str]]:
    """Webhook and event type of each delivery of an owner, in order."""
    with sessions() as session:
        found = select(WebhookDelivery.webhook_id, WebhookDelivery.type).where(WebhookDelivery.owner_id == owner_id)
        return [(row[0], row[1]) for row in session.execute(found.order_by(WebhookDelivery.id))]


def test_a_new_address_of_a_job_receives_the_chosen_events_of_that_job_alone(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant, settings: Settings
) -> None:
    body = rows.request(webhook=URL, webhook_events=["job.failed", "job.succeeded", "job.failed"])
    failed, canceled = (client.post("/v1/jobs", json=body).json() for _ in range(2))
    named = failed["webhook"]
    assert canceled["webhook"] == named
    assert client.get(failed["links"]["self"]).json()["webhook_events"] == ["job.failed", "job.succeeded"]
    rows.succeeded_job()
    rows.fail(failed["id"], rows.claim(failed["id"]), "It was too large.")
    rows.cancel(canceled["id"])
    assert receivers(sessions, tenant.owner_id) == [(named, "job.failed")]
    assert written_events(sessions, tenant.owner_id)[0]["data"]["id"] == failed["id"]
    (webhook,) = client.get("/v1/webhooks").json()["data"]
    assert (webhook["id"], webhook["url"], webhook["events"], webhook["enabled"]) == (named, URL, [], True)
    rotated = client.post(webhook["links"]["rotate-secret"]).json()
    with sessions() as session:
        assert secret_of(session.get_one(Webhook, named).secret_salt, settings) == rotated["secret"]


def test_a_job_names_a_registered_webhook_by_id_or_address_and_sends_one_event_to_it(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant, webhook: dict[str, Any]
) -> None:
    jobs = [client.post("/v1/jobs", json=rows.request(webhook=named)).json() for named in (webhook["id"], "HTTPS://example.org:443/hooks")]
    assert [job["webhook"] for job in jobs] == [webhook["id"]] * 2
    for job in jobs:
        rows.cancel(job["id"])
    assert receivers(sessions, tenant.owner_id) == [(webhook["id"], "job.canceled")] * 2


def test_a_study_announces_its_end_to_the_webhook_that_it_names(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant
) -> None:
    study = client.post("/v1/studies", json=rows.study_request(webhook=URL)).json()
    client.post(study["links"]["cancel"])
    with sessions() as session:
        announce_studies(session)
    assert receivers(sessions, tenant.owner_id) == [(study["webhook"], "study.finished")]


def test_a_new_address_needs_the_scope_of_webhooks_and_a_known_one_does_not(
    client: TestClient, rows: Rows, key_for: Callable[..., dict[str, str]]
) -> None:
    writer, body = key_for("write", "read"), rows.request(webhook=URL)
    refused = client.post("/v1/jobs", json=body, headers=writer)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert client.get("/v1/jobs").json()["data"] == []
    client.post("/v1/webhooks", json={"url": URL})
    assert client.post("/v1/jobs", json=body, headers=writer).status_code == 201


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"webhook": "https://10.0.0.1/"}, 422, "not on the public internet"),
        ({"webhook": "http://example.org/"}, 422, "must begin with https://"),
        ({"webhook": "whk_01jz3v8k2m4n6p8q0r2s4t6v8w"}, 404, "There is no webhook whk_01"),
        ({"webhook_events": ["job.failed"]}, 422, "give its address or id as webhook"),
        ({"webhook": URL, "webhook_events": []}, 422, "webhook_events"),
        ({"webhook": URL, "webhook_events": ["study.finished"]}, 422, "webhook_events"),
    ],
)
def test_an_unusable_webhook_of_a_job_is_refused_and_no_job_made(
    client: TestClient, rows: Rows, fields: dict[str, Any], status: int, words: str
) -> None:
    refused = client.post("/v1/jobs", json=rows.request(**fields))
    assert refused.status_code == status, refused.text
    assert words in refused.json()["detail"]
    assert client.get("/v1/jobs").json()["data"] == []


def test_a_disabled_webhook_cannot_be_named_and_the_limit_counts_new_addresses(client: TestClient, rows: Rows) -> None:
    client.post("/v1/webhooks", json={"url": URL, "enabled": False})
    disabled = client.post("/v1/jobs", json=rows.request(webhook=URL))
    assert (disabled.status_code, disabled.json()["code"]) == (409, "webhook_disabled")
    for number in range(MAX_WEBHOOKS - 1):
        assert client.post("/v1/webhooks", json={"url": f"{URL}/{number}"}).status_code == 201
    refused = client.post("/v1/jobs", json=rows.request(webhook=f"{URL}/new"))
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")


def test_a_deleted_webhook_does_not_stop_the_end_of_its_job(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant
) -> None:
    job = client.post("/v1/jobs", json=rows.request(webhook=URL)).json()
    assert client.delete(f"/v1/webhooks/{job['webhook']}").status_code == 204
    rows.succeed(job["id"], rows.claim(job["id"]))
    assert receivers(sessions, tenant.owner_id) == []
