"""Webhook deliveries, with the real sender, real receivers and real rows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from app.db.deliveries import RETRY_DELAYS_SECONDS, Outcome, claim_due, record_outcome
from app.webhook_security.signing import new_salt, secret_of
from support.receiver import CERTIFICATE, NAME, Receiver, Resolver, Trap, drip, flood, status
from support.webhooks import Hooks
from worker.webhooks.requests import EXCERPT_MAX_CHARACTERS
from worker.webhooks.sender import PARALLEL_PER_OWNER, PARALLEL_PER_WEBHOOK, SECRET_CHANGED

if TYPE_CHECKING:
    from support.worker_service import Service


@pytest.fixture
def hooks(service: Service) -> Hooks:
    return Hooks(service.runtime.sessions, service.runtime.settings)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


def test_a_delivery_is_signed_and_its_outcome_recorded(hooks: Hooks, receiver: Receiver) -> None:
    webhook_id, secret = hooks.add(receiver.url("/hooks?a=b"))
    with hooks.sender() as sender:
        (delivery,) = hooks.send(sender, *hooks.tell(webhook_id))
    assert (delivery.state, delivery.attempts, delivery.last_status, delivery.last_error) == ("succeeded", 1, 200, None)
    assert delivery.next_attempt_at is None
    (heard,) = receiver.heard
    assert (heard.path, heard.body, heard.headers["webhook-id"]) == ("/hooks?a=b", delivery.body, delivery.event_id)
    assert heard.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert heard.headers["Content-Type"] == "application/json; charset=utf-8"
    assert Verifier(secret).verify(heard.body, heard.headers)["type"] == "job.succeeded"
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(heard.body.replace("job_0", "job_1"), heard.headers)
    assert secret not in json.dumps(heard.headers) + heard.body


def test_both_secrets_sign_until_the_earlier_secret_expires(hooks: Hooks, receiver: Receiver) -> None:
    earlier = new_salt()
    secrets = [secret_of(earlier, hooks.settings)]
    with hooks.sender() as sender:
        for hours, signatures in ((1, 2), (-1, 1)):
            expiry = datetime.now(UTC) + timedelta(hours=hours)
            webhook_id, secret = hooks.add(receiver.url(f"/{hours}"), previous_salt=earlier, previous_expires_at=expiry)
            hooks.send(sender, *hooks.tell(webhook_id))
            (heard,) = receiver.on(f"/{hours}")
            assert len(heard.headers["webhook-signature"].split()) == signatures
            for each in [secret, *secrets][:signatures]:
                Verifier(each).verify(heard.body, heard.headers)


def test_a_failed_delivery_is_retried_with_growing_pauses_for_three_days(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers["/"] = status(503, b"try\x00 later\n")
    (delivery_id,) = hooks.tell(hooks.add(receiver.url())[0])
    assert timedelta(days=3) < timedelta(seconds=sum(RETRY_DELAYS_SECONDS)) < timedelta(days=4)
    with hooks.sender() as sender:
        for attempt, pause in enumerate(RETRY_DELAYS_SECONDS, 1):
            (delivery,) = hooks.send(sender, delivery_id)
            assert (delivery.state, delivery.attempts, delivery.last_status) == ("pending", attempt, 503)
            assert (delivery.last_error, delivery.response_excerpt) == ("The receiver answered 503.", "try later")
            assert delivery.next_attempt_at is not None
            waits = (delivery.next_attempt_at - datetime.now(UTC)).total_seconds()
            assert 0.7 * pause < waits < 1.3 * pause
            hooks.make_due(delivery_id)
        (delivery,) = hooks.send(sender, delivery_id)
    assert (delivery.state, delivery.attempts, delivery.next_attempt_at) == ("failed", 10, None)
    assert {heard.headers["webhook-id"] for heard in receiver.heard} == {delivery.event_id}
    assert len(receiver.heard) == 10


def test_a_receiver_that_answers_410_is_disabled(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers["/"] = status(410)
    webhook_id, _ = hooks.add(receiver.url())
    with hooks.sender() as sender:
        assert hooks.send(sender, *hooks.tell(webhook_id))[0].state == "failed"
        hooks.tell(webhook_id)
        assert sender.send_due() == 0
    webhook = hooks.webhook(webhook_id)
    assert not webhook.enabled
    assert "410" in (webhook.disabled_reason or "")
    assert len(receiver.heard) == 1


def test_five_days_of_failures_disable_a_webhook_unless_a_delivery_succeeds(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers["/"] = status(500)
    long_ago = datetime.now(UTC) - timedelta(days=5, minutes=1)
    failing, _ = hooks.add(receiver.url(), failing_since=long_ago)
    forgiven, _ = hooks.add(receiver.url("/well"), failing_since=long_ago)
    recent, _ = hooks.add(receiver.url())
    with hooks.sender() as sender:
        hooks.send(sender, *(hooks.tell(each)[0] for each in (failing, forgiven, recent)))
    assert not hooks.webhook(failing).enabled
    assert "for 5 days" in (hooks.webhook(failing).disabled_reason or "")
    assert (hooks.webhook(forgiven).enabled, hooks.webhook(forgiven).failing_since) == (True, None)
    assert hooks.webhook(recent).enabled
    assert hooks.webhook(recent).failing_since is not None


def test_redirects_are_failures(hooks: Hooks, receiver: Receiver) -> None:
    with hooks.sender() as sender:
        for code in (301, 302, 303, 307, 308):
            receiver.answers["/"] = status(code, Location=receiver.url("/elsewhere"))
            delivery = hooks.attempt(sender, receiver.url())
            assert (delivery.state, delivery.last_status) == ("pending", code)
            assert "redirect" in (delivery.last_error or "")
    assert receiver.on("/elsewhere") == []


def test_a_host_name_with_any_internal_address_is_refused(hooks: Hooks) -> None:
    traps = [Trap(), Trap("::1")]
    answers = {
        "inside.test": [["127.0.0.1"]],
        "six.test": [["::1"]],
        "both.test": [["8.8.8.8", "127.0.0.1"]],
        "mapped.test": [["::ffff:127.0.0.1"]],
    }
    resolver = Resolver({**answers, "metadata.test": [["169.254.169.254"]], "nat.test": [["64:ff9b::7f00:1"]]})
    with resolver.installed(), hooks.sender(allowed=()) as sender:
        for name in (*resolver.answers, "unknown.test"):
            delivery = hooks.attempt(sender, f"http://{name}:{traps[name == 'six.test'].port}/")
            assert (delivery.state, delivery.last_status) == ("pending", None)
            assert "resolve" in (delivery.last_error or "")
        for host in ("127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost", "localhost."):
            delivery = hooks.attempt(sender, f"http://{host}:{traps[0].port}/")
            assert delivery.last_status is None
            assert delivery.last_error
    assert [trap.knocks for trap in traps] == [0, 0]


def test_a_host_name_is_resolved_only_once(hooks: Hooks) -> None:
    """A second resolution would lead to the trap, which listens on the same port."""
    with Receiver(host="::1") as receiver:
        trap = Trap(port=receiver.port)
        resolver = Resolver({"rebinding.test": [["::1"], ["127.0.0.1"]]})
        with resolver.installed(), hooks.sender(allowed=["::1/128"]) as sender:
            delivery = hooks.attempt(sender, receiver.url(host="rebinding.test"))
            assert delivery.state == "succeeded"
            assert resolver.asked == ["rebinding.test"]
            again = hooks.attempt(sender, receiver.url(host="rebinding.test"))
        assert again.last_status is None
        assert trap.knocks == 0
        assert receiver.heard[0].headers["Host"] == f"rebinding.test:{receiver.port}"


def test_the_certificate_is_verified_for_the_host_name(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver({NAME: [["127.0.0.1"]], "other.test": [["127.0.0.1"]]})
    with Receiver(tls=True) as receiver, resolver.installed():
        with hooks.sender(allow_http=False) as sender:
            unknown = hooks.attempt(sender, receiver.url(host=NAME))
            unencrypted = hooks.attempt(sender, receiver.url(host=NAME).replace("https", "http"))
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        with hooks.sender(allow_http=False) as sender:
            known = hooks.attempt(sender, receiver.url(host=NAME))
            misnamed = hooks.attempt(sender, receiver.url(host="other.test"))
    assert "certificate was not accepted" in (unknown.last_error or "")
    assert "must begin with https" in (unencrypted.last_error or "")
    assert known.state == "succeeded"
    assert "not valid for 'other.test'" in (misnamed.last_error or "")
    assert len(receiver.heard) == 1


def test_proxies_of_the_environment_are_not_used(hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = Trap()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
        monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{trap.port}")
    with hooks.sender() as sender:
        assert hooks.attempt(sender, receiver.url()).state == "succeeded"
    assert trap.knocks == 0


def test_slow_and_endless_responses_end_in_time_and_delay_no_other_delivery(hooks: Hooks, receiver: Receiver) -> None:
    sent: list[int] = []
    head = b"HTTP/1.1 500 No\r\nContent-Length: 999\r\n\r\n"
    receiver.answers |= {"/head": drip(30), "/body": drip(30, head), "/flood": flood(sent), "/hang": lambda _: time.sleep(30)}
    with hooks.sender(total_seconds=1.5) as sender:
        slow = [hooks.tell(hooks.add(receiver.url(path))[0], 4) for path in ("/head", "/body", "/hang")]
        hooks.become_another_owner()
        quick = hooks.tell(hooks.add(receiver.url("/quick"))[0])
        began = time.monotonic()
        assert hooks.send(sender, *quick)[0].state == "succeeded"
        assert time.monotonic() - began < 1.0
        endless = hooks.attempt(sender, receiver.url("/flood"))
    assert endless.last_status == 200
    assert endless.response_excerpt == "y" * EXCERPT_MAX_CHARACTERS
    assert sent[0] < 16 << 20  # the size of the sockets' buffers
    head_only, body_too, hung = (hooks.delivery(each[0]) for each in slow)
    assert (head_only.last_status, body_too.last_status, hung.last_status) == (None, 500, None)
    assert head_only.last_error == hung.last_error == "The receiver did not answer within 1.5 seconds."


def test_parallel_deliveries_are_limited_by_owner_and_webhook(hooks: Hooks, receiver: Receiver) -> None:
    receiver.answers["/hang"] = lambda _: time.sleep(1)
    for _ in range(6):
        hooks.tell(hooks.add(receiver.url("/hang"))[0], 5)
    with hooks.sender(total_seconds=2) as sender:
        assert sender.send_due() == PARALLEL_PER_OWNER
        assert max(sender._of_webhook.values()) <= PARALLEL_PER_WEBHOOK
        assert sender.send_due() == 0


def test_a_delivery_lost_before_its_outcome_is_recorded_is_sent_again_with_the_same_id(hooks: Hooks, receiver: Receiver) -> None:
    (delivery_id,) = hooks.tell(hooks.add(receiver.url())[0])
    with hooks.sessions.begin() as session:
        (lost,) = claim_due(session, 1, lease_seconds=60)  # its sender is lost now, before or after sending
    with hooks.sender() as sender:
        assert sender.send_due() == 0
        hooks.make_due(delivery_id)  # the lease has expired
        (delivery,) = hooks.send(sender, delivery_id)
    assert (delivery.state, delivery.attempts) == ("succeeded", 2)
    assert receiver.heard[0].headers["webhook-id"] == lost.event_id
    with hooks.sessions.begin() as session:  # a late outcome of the lost sender is ignored
        assert not record_outcome(session, lost, Outcome(500, "The receiver answered 500."))
    assert hooks.delivery(delivery_id).state == "succeeded"


def test_two_senders_never_send_the_same_delivery(hooks: Hooks, receiver: Receiver) -> None:
    webhooks = [hooks.add(receiver.url())[0] for _ in range(4)]
    deliveries = [each for webhook_id in webhooks for each in hooks.tell(webhook_id, 10)]
    with hooks.sender() as first, hooks.sender() as second:
        first.start()
        second.start()
        receiver.wait_for(len(deliveries))
    assert {hooks.delivery(each).state for each in deliveries} == {"succeeded"}
    assert len(receiver.heard) == len(deliveries)


def test_nothing_is_sent_after_a_change_of_the_services_secret(hooks: Hooks, receiver: Receiver) -> None:
    webhook_id, _ = hooks.add(receiver.url())
    hooks.settings = hooks.settings.model_copy(update={"api_key_secret": "another secret of the service"})
    with hooks.sender() as sender:
        (delivery,) = hooks.send(sender, *hooks.tell(webhook_id))
    assert delivery.last_error == SECRET_CHANGED
    assert receiver.heard == []


def test_a_worker_process_sends_due_deliveries(service: Service, hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IIS_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.1/32"]')
    monkeypatch.setenv("IIS_WEBHOOK_ALLOW_HTTP", "true")
    webhook_id, secret = hooks.add(receiver.url())
    hooks.tell(webhook_id)
    service.start_worker()
    receiver.wait_for(1, 60)
    Verifier(secret).verify(receiver.heard[0].body, receiver.heard[0].headers)
