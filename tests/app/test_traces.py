"""Traces of the API: a span for each request, whose context is stored with the job, and export by OTLP."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient

pytest.importorskip("opentelemetry.sdk", reason="the extra traces is not installed")

from opentelemetry.trace import StatusCode

from app.db.models import Job
from app.db.session import SessionFactory
from app.settings import Settings
from app.traces import configure_traces, current_traceparent, span
from support.rows import Rows
from support.spans import RecordedSpans, ids_in, ids_of, parent_of

FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> RecordedSpans:
    return RecordedSpans(monkeypatch)


def test_a_job_carries_the_span_of_its_request(client: TestClient, rows: Rows, sessions: SessionFactory, spans: RecordedSpans) -> None:
    answer = client.post("/v1/jobs", json=rows.request(), headers={"traceparent": FOREIGN})
    assert answer.status_code == 201, answer.text
    with sessions() as session:
        stored = session.get_one(Job, answer.json()["id"]).traceparent
    request = spans.named("POST /v1/jobs")
    assert ids_in(stored) == ids_of(request)
    assert parent_of(request) is None
    assert [(link.context.trace_id, link.context.span_id) for link in request.links] == [ids_in(FOREIGN)]
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/jobs",
        "http.response.status_code": 201,
        "iis.request.id": answer.headers["X-Request-Id"],
    }
    assert "traceparent" not in answer.json()


def test_pages_health_and_metrics_have_no_span_and_a_hostile_traceparent_no_effect(client: TestClient, spans: RecordedSpans) -> None:
    for path in ("/v1/health/live", "/v1/metrics", "/signin"):
        client.get(path)
    assert spans.names() == []
    client.get("/v1/jobs/job_unknown", headers={"traceparent": f"{FOREIGN}{'x' * 4000}"})
    found = spans.named("GET /v1/jobs/{job_id}")
    assert (list(found.links), found.status.status_code) == ([], StatusCode.UNSET)


def test_without_recording_a_job_has_no_traceparent(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    job_id = client.post("/v1/jobs", json=rows.request(), headers={"traceparent": FOREIGN}).json()["id"]
    with sessions() as session:
        assert session.get_one(Job, job_id).traceparent is None
    assert current_traceparent() is None


def test_an_error_marks_a_span_with_its_class_and_not_its_message(spans: RecordedSpans) -> None:
    with pytest.raises(ValueError, match="secret"), span("stage extract", {}):
        raise ValueError("a secret that an owner sent")
    failed = spans.named("stage extract")
    assert failed.status.status_code is StatusCode.ERROR
    assert dict(failed.attributes or {}) == {"error.type": "ValueError"}
    assert "secret" not in failed.to_json()


def test_the_setting_without_the_extra_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    asked = Settings.model_validate({**settings.model_dump(), "traces_url": "http://127.0.0.1:4318/v1/traces"})
    with pytest.raises(ValueError, match="install the extra `traces`"):
        configure_traces(asked, "iis-api")


@pytest.mark.slow
def test_spans_are_exported_by_otlp_when_the_process_ends() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    received = list[tuple[str, bytes]]()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    program = (
        "from app.settings import Settings; from app.traces import configure_traces, current_traceparent, span\n"
        f"configure_traces(Settings(traces_url={url!r}), 'iis-worker')\n"
        f"with span('job score', {{'iis.job.id': 'job_1'}}, parent={FOREIGN!r}):\n    print(current_traceparent())"
    )
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, env=environment)
    server.shutdown()
    ((path, body),) = received
    assert path == "/v1/traces"
    resource = ExportTraceServiceRequest.FromString(body).resource_spans[0]
    assert ("service.name", "iis-worker") in [(each.key, each.value.string_value) for each in resource.resource.attributes]
    exported = resource.scope_spans[0].spans[0]
    assert exported.name == "job score"
    found = (int.from_bytes(exported.trace_id), int.from_bytes(exported.parent_span_id))
    assert found == ids_in(FOREIGN)
    assert ids_in(shown.stdout.strip()) == (found[0], int.from_bytes(exported.span_id))
