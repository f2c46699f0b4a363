"""HTTP/1.1 connections with deadlines: for the headers of a request, and for the rest of a body whose request was answered already."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.http.admission.early_refusal import EarlyRefusal
from app.http.shutdown import Shutdown

FIRST_REQUEST_SECONDS = 1.0  # for a connection that was accepted just before the process is to end
DRAIN_SECONDS = 5.0
DRAIN_BYTES = 1 << 20  # of a body that the answer did not wait for; a client that sends reads its answer afterwards
TIMEOUT_ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: 46\r\n\r\n"
    b"The headers of the request arrived too slowly."
)


class DeadlineProtocol(H11Protocol):
    """One connection. uvicorn itself closes idle connections only, not those that send headers or a body slowly."""

    header_seconds: ClassVar[float] = 10.0
    early_refusal: ClassVar[EarlyRefusal | None] = None
    process_shutdown: ClassVar[Shutdown | None] = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._drained_bytes: int | None = None  # None while no answered request sends its body
        self._is_new = True
        self._is_last = False  # whether the request in progress is the last one of the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._set_deadline(self.header_seconds)

    def shutdown(self) -> None:
        """Called by uvicorn for each open connection when the process is to end: a new one may still send its first request."""
        self._is_last = True
        if self.process_shutdown is not None:
            self.process_shutdown.begin()
        if self._is_new:
            self._clear_deadline()
            self._set_deadline(FIRST_REQUEST_SECONDS)
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._drained_bytes is not None:
            self._drained_bytes += len(data)
            if self._drained_bytes > DRAIN_BYTES:
                self.transport.close()
                return
        if self._is_new:
            self._is_new = False
            if (answer := self._refusal(data)) is not None:
                self._clear_deadline()
                self.transport.write(answer)
                self.transport.close()
                return
        super().data_received(data)
        if self._is_last and self.conn.their_state in (h11.SEND_BODY, h11.DONE):
            self.cycle.keep_alive = False
        if self.conn.their_state is h11.IDLE:
            if self._deadline is None and not self.transport.is_closing():
                self._set_deadline(self.header_seconds)
        elif self._drained_bytes is None:
            self._clear_deadline()

    def handle_events(self) -> None:
        super().handle_events()
        if self._drained_bytes is not None and self.conn.their_state is not h11.SEND_BODY:
            self._drained_bytes = None
            self._clear_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._drained_bytes = 0
            self._clear_deadline()
            self._set_deadline(DRAIN_SECONDS)

    def _refusal(self, data: bytes) -> bytes | None:
        return self.early_refusal.answer(data, self.client[0]) if self.early_refusal is not None and self.client is not None else None

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._expire)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._drained_bytes is None and self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self.transport.write(TIMEOUT_ANSWER)
        self.transport.close()
