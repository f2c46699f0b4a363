"""Event loop that accepts a few connections at a time: a burst of connections does not hold it."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

ACCEPTED_AT_ONCE = 16
BACKLOG = 2048  # connections that the kernel keeps until they are accepted


class BatchingEventLoop(asyncio.SelectorEventLoop):
    """asyncio accepts as many connections at once as the `backlog` of a server; the kernel's queue is made longer afterwards."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
        """As in the base class, whatever `backlog` is given."""
        server = await super().create_server(*arguments, **options | {"backlog": ACCEPTED_AT_ONCE})
        for listener in server.sockets:
            with socket.socket(fileno=os.dup(listener.fileno())) as raw:
                raw.listen(BACKLOG)
        return server
