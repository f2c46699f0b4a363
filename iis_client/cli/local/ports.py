"""Check that the port of the local service is free, and find the process that holds it."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from iis_client.errors import ConfigurationError
from iis_client.transport.address import local_address

LOOPBACK = "127.0.0.1"
SHOWN_CHARACTERS = 80


def require_free_port(port: int) -> None:
    """Check that a port of this machine is free; 0, any free port, is.

    Raises
    ------
    ConfigurationError
        When a process listens on it; the sentence names the process.
    """
    if port == 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that ended do not hold the port
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ConfigurationError(f"Port {port} is taken by {_holder(port)}, or choose another port: iis up --port 0") from error


def _holder(port: int) -> str:
    """The process that listens on a port, and what to do with it."""
    running = local_address()
    if running is not None and urlsplit(running.url).port == port:
        return f"a service of yours that runs already at {running.url}; use it, or stop it with Ctrl-C in its terminal"
    process = _listening_process(port)
    return f"{process}; stop it" if process is not None else "a process of another user; ask for it to be stopped"


def _listening_process(port: int) -> str | None:
    """Id and command line of the process that listens on a port; None where this user cannot see it."""
    import psutil

    try:
        listening = [each for each in psutil.net_connections("tcp4") if each.status == psutil.CONN_LISTEN and each.pid is not None]
        for each in listening:
            if each.laddr and each.laddr[1] == port:
                words = " ".join(psutil.Process(each.pid).cmdline())
                return f"process {each.pid} ({words[:SHOWN_CHARACTERS]})"
    except psutil.Error:  # it has ended since, or belongs to another user
        return None
    return None
