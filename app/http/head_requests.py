"""HEAD for every GET: the same status and headers, without a body."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Pure ASGI: runs a HEAD request as a GET, sends its headers alone, and ends a stream at its first part."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        sent = asyncio.Event()

        async def receive_until_sent() -> Message:
            if not sent.is_set():
                message = await receive()
                if message["type"] == "http.request" and (message.get("body") or message.get("more_body")):
                    return message
                await sent.wait()
            return {"type": "http.disconnect"}

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
            elif not sent.is_set():
                sent.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app({**scope, "method": "GET"}, receive_until_sent, send_headers)
