"""An HTTP server with scripted responses, for responses that a healthy service does not send."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ScriptedService:
    """Sends the scripted responses to each request in order, and repeats the last one."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: list[str | None] = []
        self.sizes: list[int] = []  # bytes of each body
        self._answers: dict[str, list[tuple[int, str, bytes, dict[str, str]]]] = defaultdict(list)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: str, *answers: tuple[int, Any] | tuple[int, Any, dict[str, str]]) -> None:
        """Script the responses to `request` ("GET /v1/jobs"): a status, the text of a stream or a JSON value, and header fields."""
        for status, body, *fields in answers:
            media_type = "text/event-stream" if isinstance(body, str) else "application/json"
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self._answers[request].append((status, media_type, content, fields[0] if fields else {}))

    def times(self, request: str) -> int:
        return self.asked.count(request)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                service.sizes.append(len(self.rfile.read(int(self.headers.get("Content-Length", 0)))))
                request = f"{self.command} {self.path}"
                service.asked.append(request)
                service.keys.append(self.headers.get("Idempotency-Key"))
                answers = service._answers[request]
                status, media_type, body, fields = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                for name, value in fields.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 (http.server looks for these names)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
                return

        return Handler
