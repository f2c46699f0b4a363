"""Traces by OpenTelemetry: spans of requests, jobs, stages and tasks, exported by OTLP over HTTP where IIS_TRACES_URL is set.

Without that setting the calls below record nothing, and OpenTelemetry's SDK (extra `traces`) is not imported. The context of a span
reaches the worker as a W3C traceparent in the row of the job or task.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.settings import Settings

TRACEPARENT = "traceparent"
EXPORT_TIMEOUT_SECONDS = 3  # also delays the end of a process whose last spans cannot be sent
Attribute = str | int | float | bool

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("iis")


def configure_traces(settings: Settings, service: str) -> None:
    """Export the spans of this process to `settings.traces_url`, if it is set; call it once per process.

    Parameters
    ----------
    service : name of the program, as OpenTelemetry's `service.name`

    Raises
    ------
    ValueError
        If the setting needs the extra `traces`, which is not installed.
    """
    if settings.traces_url is None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ValueError("IIS_TRACES_URL needs OpenTelemetry's SDK and its OTLP exporter; install the extra `traces`.") from error
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=str(settings.traces_url), timeout=EXPORT_TIMEOUT_SECONDS)))
    trace.set_tracer_provider(provider)


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span; None outside of spans."""
    carrier = dict[str, str]()
    _PROPAGATOR.inject(carrier)
    return carrier.get(TRACEPARENT)


@contextmanager
def span(
    name: str, attributes: Mapping[str, Attribute], *, parent: str | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> Generator[Span]:
    """Record a span of the block, within the current span.

    An error marks the span as failed with the name of its class; its message can quote what an owner sent and is not recorded.

    Parameters
    ----------
    attributes : identifiers and numbers; nothing that an owner wrote
    parent : traceparent of a span of another process, to which this one belongs
    """
    context = None if parent is None else _PROPAGATOR.extract({TRACEPARENT: parent})
    with _TRACER.start_as_current_span(
        name, context=context, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as opened:
        try:
            yield opened
        except BaseException as error:
            mark_failed(opened, type(error).__name__)
            raise


@contextmanager
def request_span(method: str, request_id: str, given: str | None) -> Generator[Span]:
    """Record the span of a request as a new trace.

    Parameters
    ----------
    given : the request's own traceparent, which the span links to. It is not the parent, since any client may send any
    """
    sent = [] if given is None else [trace.get_current_span(_PROPAGATOR.extract({TRACEPARENT: given})).get_span_context()]
    links = [Link(context) for context in sent if context.is_valid]
    attributes = {"http.request.method": method, "iis.request.id": request_id}
    with _TRACER.start_as_current_span(
        method, kind=SpanKind.SERVER, attributes=attributes, links=links, record_exception=False, set_status_on_exception=False
    ) as opened:
        yield opened


def mark_failed(opened: Span, error_type: str) -> None:
    """Set the status of a span to failed."""
    opened.set_attribute("error.type", error_type)
    opened.set_status(StatusCode.ERROR)
