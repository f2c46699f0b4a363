"""Server that accepts a few connections at a time: a burst of connections does not hold the event loop."""

from __future__ import annotations

import os
import socket

from uvicorn import Server

ACCEPTED_AT_ONCE = 16
BACKLOG = 2048  # connections that the kernel keeps until they are accepted


class BatchingServer(Server):
    """asyncio accepts as many connections at once as its `backlog`; the kernel's queue is made longer afterwards."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            for listener in server.sockets:
                with socket.socket(fileno=os.dup(listener.fileno())) as raw:
                    raw.listen(BACKLOG)
