"""Attack `webhooks`: private addresses, DNS rebinding, redirects, slow and endless answers, forged signatures, killed senders."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

from sqlalchemy import select
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from app.db.migrate import upgrade
from app.db.models import WebhookDelivery
from app.db.session import make_engine, make_session_factory
from app.db.webhook_events import add_deliveries
from app.local.servers import EmbeddedPostgres
from app.logging import configure_logging
from app.settings import Settings
from support.receiver import CERTIFICATE, NAME, Answer, ForbiddenServer, Receiver, Resolver, drip, flood, status
from support.webhooks import LOOPBACK, Hooks
from torture.promises import Promise

SECRET = "the secret of a service under attack"
PRIVATE_NETWORKS = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16"),
    *("198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "::/96", "::ffff:0:0/96", "64:ff9b::7f00:0/104", "64:ff9b::a00:0/104", "2002::/16"),
    *("2001::/32", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
)
LITERALS = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "0", "0.0.0.0", "localhost"),
    *("localhost.", "a.localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    *("[fe80::1%25lo]", "169.254.169.254", "[fd00:ec2::254]", "１２７.0.0.1", "127。0。0。1", "example.org@127.0.0.1", "%31%32%37.0.0.1"),
)
RANDOM_TARGETS = 200
REBINDINGS = 100
MESSAGES = 100
KILLS = 12
TOTAL_SECONDS = 4.0
QUICK_SECONDS = TOTAL_SECONDS / 2
SENDER = """
import time
from app.db.session import make_engine, make_session_factory
from app.logging import configure_logging
from app.settings import get_settings
from worker.webhooks.sender import WebhookSender
configure_logging("debug")
settings = get_settings()
WebhookSender(settings, make_session_factory(make_engine(settings)), lease_seconds=1).start()
time.sleep(600)
"""


def attack(folder: Path, seed: int) -> list[Promise]:
    """All attacks of this part, on their own PostgreSQL."""
    rng = random.Random(seed)
    configure_logging("error")
    with postgres(folder / "postgres") as url:
        settings = Settings(database_url=url, data_folder=folder / "data", api_key_secret=SECRET)
        engine = make_engine(settings)
        hooks = Hooks(make_session_factory(engine), settings)
        try:
            return list(_run_attacks(hooks, rng, folder))
        finally:
            engine.dispose()


def _run_attacks(hooks: Hooks, rng: random.Random, folder: Path) -> Iterator[Promise]:
    attacks: tuple[Callable[[], Promise], ...] = (
        lambda: reach_private_addresses(hooks, rng),
        lambda: rebind_dns(hooks),
        lambda: redirect(hooks),
        lambda: answer_slowly(hooks),
        lambda: answer_endlessly(hooks),
        lambda: forge_signatures(hooks, rng),
        lambda: kill_senders(hooks, folder),
        lambda: answer_gone(hooks),
    )
    for run in attacks:
        yield run()
        hooks.disable()  # so that its deliveries are not retried during the next attack


def reach_private_addresses(hooks: Hooks, rng: random.Random) -> Promise:
    """URLs and names of this machine and private networks, at a port on which servers listen."""
    promise = Promise("Webhooks reach public addresses only")
    forbidden = [ForbiddenServer("0.0.0.0"), ForbiddenServer("::1")]
    port = forbidden[0].port
    addresses = [_member(network, rng) for network in PRIVATE_NETWORKS]
    addresses += [_member(rng.choice(PRIVATE_NETWORKS), rng) for _ in range(RANDOM_TARGETS)]
    answers = {f"n{n}.test": [["8.8.8.8", address] if n % 3 == 0 else [address]] for n, address in enumerate(addresses)}
    urls = [f"http://{host}:{port}/" for host in (*LITERALS, *answers)]
    urls += [f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/" for address in addresses]
    urls.append(f"http://[::1]:{forbidden[1].port}/")
    with Resolver(answers).installed(), hooks.sender(allowed=(), connect_seconds=0.5, total_seconds=1) as sender:
        for url in urls:
            before = [server.connections for server in forbidden]
            delivery = hooks.attempt(sender, url)
            refused = delivery.last_status is None and "connect" not in (delivery.last_error or "connect")
            reached = [server.connections for server in forbidden] != before
            promise.record(refused and not reached, f"{url}: {delivery.last_error}, {'reached' if reached else 'not reached'}")
    promise.measured = f"{sum(server.connections for server in forbidden)} connections at {len(forbidden)} listening sockets"
    for server in forbidden:
        server.close()
    return promise


def rebind_dns(hooks: Hooks) -> Promise:
    """A name that resolves by turns to an allowed receiver and to a forbidden server on the same port."""
    promise = Promise("A request goes to the address that was checked, also when the name resolves to another one later")
    with Receiver(host="::1") as receiver:
        forbidden = ForbiddenServer("127.0.0.1", receiver.port)
        with hooks.sender(allowed=["::1/128"]) as sender:
            for attempt in range(REBINDINGS):
                good, bad = ["::1"], ["127.0.0.1"]
                lists = [[good, bad], [bad, good], [good, bad, good, bad], [good + bad, good]][attempt % 4]
                resolver = Resolver({"rebinding.test": lists})
                before = len(receiver.requests)
                with resolver.installed():
                    delivery = hooks.attempt(sender, receiver.url(host="rebinding.test"))
                expected = lists[0] == good
                arrived, queries = len(receiver.requests) - before, len(resolver.queries)
                held = (delivery.state == "succeeded") == expected and arrived == expected and queries == 1 and not forbidden.connections
                promise.record(held, f"answers {lists}: {delivery.state}, {queries} queries, {forbidden.connections} forbidden connections")
        forbidden.close()
        promise.measured = f"{len(receiver.requests)} requests to the checked address, {forbidden.connections} to the other"
    return promise


def redirect(hooks: Hooks) -> Promise:
    """Receivers that answer with a redirect."""
    promise = Promise("Webhooks follow no redirect")
    forbidden = ForbiddenServer()
    with Receiver() as receiver, hooks.sender() as sender:
        locations = (
            f"http://127.0.0.1:{forbidden.port}/",
            f"//127.0.0.1:{forbidden.port}/",
            "http://169.254.169.254/latest/",
            "/elsewhere",
            "file:///etc/passwd",
        )
        for code in (300, 301, 302, 303, 305, 307, 308):
            for location in locations:
                receiver.answers["/"] = status(code, Location=location)
                delivery = hooks.attempt(sender, receiver.url())
                followed = forbidden.connections or receiver.on("/elsewhere")
                held = delivery.last_status == code and delivery.state == "pending" and not followed
                promise.record(held, f"{code} to {location}: {delivery.state}, {forbidden.connections} connections")
    forbidden.close()
    return promise


def answer_slowly(hooks: Hooks) -> Promise:
    """Receivers that answer byte by byte or not at all, and one that answers at once."""
    promise = Promise(f"No receiver occupies a sender for more than {TOTAL_SECONDS:g} s, and none delays another owner's deliveries")
    body = b"HTTP/1.1 500 No\r\nContent-Length: 9999\r\n\r\n"
    answers: dict[str, Answer] = {
        "/status": drip(60, b"HTTP/1.1 2"),
        "/head": drip(60),
        "/body": drip(60, body),
        "/chunks": drip(60, b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n"),
        "/continue": drip(60, b"HTTP/1.1 100 Continue\r\nX: "),
        "/nothing": lambda _: time.sleep(60),
    }
    silent_server = ForbiddenServer()
    longest = slowest = 0.0
    with Receiver(answers=answers) as receiver, hooks.sender(total_seconds=TOTAL_SECONDS) as sender:
        urls = [receiver.url(path) for path in answers] + [f"https://127.0.0.1:{silent_server.port}/"]
        for url in urls:
            began = time.monotonic()
            delivery = hooks.attempt(sender, url)
            took = time.monotonic() - began
            longest = max(longest, took)
            promise.record(took < TOTAL_SECONDS + 1 and delivery.state == "pending", f"{url}: {took:.1f} s, {delivery.state}")
        for url in urls:
            hooks.add_deliveries(hooks.add(url)[0], 20)
        hooks.become_another_owner()
        for _ in range(20):
            began = time.monotonic()
            delivery = hooks.attempt(sender, receiver.url("/quick"))
            took = time.monotonic() - began
            slowest = max(slowest, took)
            promise.record(took < QUICK_SECONDS and delivery.state == "succeeded", f"a delivery to a quick receiver took {took:.1f} s")
    silent_server.close()
    promise.measured = f"longest {longest:.2f} s; deliveries to a quick receiver within {slowest:.2f} s"
    return promise


def answer_endlessly(hooks: Hooks) -> Promise:
    """Receivers that answer with a gigabyte."""
    promise = Promise("At most a few kilobytes of an answer are read")
    sent: list[int] = []
    starts = {
        "/body": b"HTTP/1.1 200 OK\r\n\r\n",
        "/length": b"HTTP/1.1 500 No\r\nContent-Length: 1073741824\r\n\r\n",
        "/chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n",
        "/gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
        "/header": b"HTTP/1.1 200 OK\r\nX: ",
        "/status": b"HTTP/1.1 200 ",
        "/headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        "/continues": b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
    }
    answers = {path: flood(sent, start) for path, start in starts.items()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Receiver(answers=answers) as receiver, hooks.sender(total_seconds=TOTAL_SECONDS) as sender:
        for path in answers:
            count = len(sent)
            began = time.monotonic()
            delivery = hooks.attempt(sender, receiver.url(path))
            took = time.monotonic() - began
            while len(sent) == count and time.monotonic() - began < 10:
                time.sleep(0.02)
            taken = sum(sent[count:])
            held = took < TOTAL_SECONDS + 1 and taken < 16 << 20 and len(delivery.response_excerpt or "") <= 500
            promise.record(held, f"{path}: {took:.1f} s, {taken:,} bytes left the receiver, excerpt {delivery.response_excerpt!r:.60}")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    promise.measured = f"at most {max(sent, default=0) / 2**20:.1f} MiB left a receiver; peak memory grew by {grown:.0f} MiB"
    return promise


def forge_signatures(hooks: Hooks, rng: random.Random) -> Promise:
    """Verify messages with all kinds of text over HTTPS by the scheme's library, then the same messages with changes."""
    promise = Promise("Every message verifies under its secret; no changed message and no other secret does")
    os.environ["SSL_CERT_FILE"] = str(CERTIFICATE)
    with Receiver(tls=True) as receiver, Resolver({NAME: [["127.0.0.1"]]}).installed(), hooks.sender(allow_http=False) as sender:
        webhook_id, secret = hooks.add(receiver.url(host=NAME))
        other = hooks.add(receiver.url(host=NAME))[1]
        for number in range(MESSAGES):
            text = "".join(
                chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xA0, 0xD7FF), rng.randrange(0x1F300, 0x1F600)])) for _ in range(50)
            )
            with hooks.sessions.begin() as session:
                (row,) = add_deliveries(session, [hooks.webhook(webhook_id)], "job.failed", {"id": f"job_{number}", "text": text})
            (delivery,) = hooks.send(sender, row.id)
            received = receiver.requests[-1]
            held = delivery.state == "succeeded" and _verifies(secret, received.body, received.headers)
            promise.record(
                held and json.loads(received.body)["data"]["text"] == text, f"message {number} does not verify: {delivery.last_error}"
            )
            for body, headers, key in (
                (received.body.replace(f"job_{number}", f"job_{number + 1}"), received.headers, secret),
                (received.body, received.headers | {"webhook-id": "evt_another"}, secret),
                (received.body, received.headers | {"webhook-timestamp": str(int(received.headers["webhook-timestamp"]) + 1)}, secret),
                (received.body, received.headers, other),
            ):
                promise.record(not _verifies(key, body, headers), f"a changed message {number} verifies")
    del os.environ["SSL_CERT_FILE"]
    return promise


def kill_senders(hooks: Hooks, folder: Path) -> Promise:
    """Kill sender processes when a request has arrived, before they record it."""
    promise = Promise("A delivery that a killed sender did not record is sent again under the same id, and every delivery arrives")
    log = folder / "senders.log"
    environment = {
        **os.environ,
        "IIS_DATABASE_URL": hooks.settings.database_url,
        "IIS_API_KEY_SECRET": SECRET,
        "IIS_WEBHOOK_ALLOWED_NETWORKS": json.dumps(LOOPBACK),
        "IIS_WEBHOOK_ALLOW_HTTP": "true",
        "IIS_DATA_FOLDER": str(folder / "data"),
    }
    killed: list[str] = []
    with Receiver(answers={"/": lambda handler: (time.sleep(0.3), status(200)(handler))[1]}) as receiver:
        webhooks = [hooks.add(receiver.url()) for _ in range(4)]
        deliveries = [each for webhook_id, _ in webhooks for each in hooks.add_deliveries(webhook_id, 10)]
        for _ in range(KILLS + 1):
            received = len(receiver.requests)
            with log.open("ab") as output:
                process = subprocess.Popen([sys.executable, "-c", SENDER], env=environment, stdout=output, stderr=output)
            try:
                if len(killed) == KILLS:
                    until = time.monotonic() + 60
                    while _pending(hooks, deliveries) and time.monotonic() < until:
                        time.sleep(0.1)
                elif _pending(hooks, deliveries):
                    receiver.wait_for(received + 1, 30)
            finally:
                process.kill()
                process.wait()
            if len(killed) < KILLS:
                killed.append(receiver.requests[-1].headers["webhook-id"])
        times = Counter(received.headers["webhook-id"] for received in receiver.requests)
        bodies = {received.headers["webhook-id"]: {received.body} for received in receiver.requests}
        for received in receiver.requests:
            bodies[received.headers["webhook-id"]].add(received.body)
    for each in deliveries:
        row = hooks.delivery(each)
        held = row.state == "succeeded" and times[row.event_id] >= 1 and bodies[row.event_id] == {row.body}
        promise.record(held, f"{each} is {row.state}, arrived {times[row.event_id]} times")
    written = log.read_text()
    for _, secret in webhooks:
        promise.record(secret not in written and secret.removeprefix("whsec_") not in written, "a secret is in a sender's log")
    again = sum(count - 1 for count in times.values())
    promise.measured = f"{KILLS} senders killed in the middle of a request; {len(deliveries)} deliveries arrived, {again} of them again"
    return promise


def answer_gone(hooks: Hooks) -> Promise:
    """Receivers that answer 410 while more deliveries are pending."""
    promise = Promise("An answer 410 disables a webhook at once, and nothing more is sent to it")
    with Receiver() as receiver, hooks.sender() as sender:
        for number in range(20):
            receiver.answers[f"/{number}"] = status(410)
            webhook_id, _ = hooks.add(receiver.url(f"/{number}"))
            first, *rest = hooks.add_deliveries(webhook_id, 5)
            hooks.make_due(first)
            with hooks.sessions.begin() as session:
                for each in rest:
                    session.get_one(WebhookDelivery, each).next_attempt_at = None
            (delivery,) = hooks.send(sender, first)
            hooks.make_due(*rest)
            taken = sender.send_due()
            held = (
                delivery.state == "failed" and not hooks.webhook(webhook_id).enabled and not taken and len(receiver.on(f"/{number}")) == 1
            )
            promise.record(held, f"{delivery.state}, {taken} more sent, {len(receiver.on(f'/{number}'))} requests")
    return promise


@contextmanager
def postgres(folder: Path) -> Generator[str]:
    """Run PostgreSQL with every migration applied."""
    server = EmbeddedPostgres(folder, (("fsync", "off"),))
    server.prepare()
    process = subprocess.Popen(server.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **server.identity)
    try:
        while not server.answers():
            time.sleep(0.1)
        server.ensure_database("iis")
        upgrade(server.url("iis"))
        yield server.url("iis")
    finally:
        process.terminate()
        process.wait()


def _member(network: str, rng: random.Random) -> str:
    inside = ip_network(network)
    return str(inside[rng.randrange(inside.num_addresses)])


def _pending(hooks: Hooks, deliveries: list[str]) -> bool:
    with hooks.sessions() as session:
        statement = select(WebhookDelivery.id).where(WebhookDelivery.id.in_(deliveries), WebhookDelivery.state == "pending").limit(1)
        return session.scalar(statement) is not None


def _verifies(secret: str, body: str, headers: dict[str, str]) -> bool:
    try:
        Verifier(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True
