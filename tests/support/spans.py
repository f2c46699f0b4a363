"""Spans that this process records, kept in memory by OpenTelemetry's SDK."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app import traces


class RecordedSpans:
    """Finished spans in the order of their ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        monkeypatch.setattr(traces, "_TRACER", provider.get_tracer("tests"))  # the provider of a process can be set once alone

    def named(self, name: str) -> ReadableSpan:
        """The only finished span of this name."""
        found = [span for span in self._exporter.get_finished_spans() if span.name == name]
        assert len(found) == 1, [span.name for span in self._exporter.get_finished_spans()]
        return found[0]

    def names(self) -> list[str]:
        return [span.name for span in self._exporter.get_finished_spans()]


def ids_of(span: ReadableSpan) -> tuple[int, int]:
    """Identifiers of its trace and of itself."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent_of(span: ReadableSpan) -> tuple[int, int] | None:
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)


def ids_in(traceparent: str | None) -> tuple[int, int]:
    """Identifiers in a W3C traceparent."""
    assert traceparent is not None
    context = trace.get_current_span(traces._PROPAGATOR.extract({traces.TRACEPARENT: traceparent})).get_span_context()
    return context.trace_id, context.span_id
