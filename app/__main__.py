"""`python -m app`: serve the API over HTTP/1.1, with `--workers N` in N processes."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence

from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from app.db.pooler_check import refuse_transaction_pooling
from app.metrics import MULTIPROCESS_FOLDER
from app.settings import get_settings

GRACEFUL_SHUTDOWN_SECONDS = 10
START_SECONDS = 60  # that a process may take to start, and to answer its parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    settings = get_settings()
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve the API of the Inherent Interpretability Score.")
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.port)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that share the port")
    parser.add_argument("--graceful-shutdown-seconds", type=int, default=GRACEFUL_SHUTDOWN_SECONDS, help="time to end open requests")
    options = parser.parse_args(arguments)
    refuse_transaction_pooling(settings)
    proxies = [str(network) for network in settings.trusted_proxies]
    config = Config(
        "app.server.application:create_served_app",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        http="app.server.protocol:DeadlineProtocol",
        ws="none",
        loop="app.server.listening:BatchingEventLoop",
        access_log=False,
        timeout_worker_healthcheck=START_SECONDS,
        timeout_graceful_shutdown=options.graceful_shutdown_seconds,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        server_header=False,
    )
    if options.workers == 1:
        server = Server(config)
        server.run()
        return 0 if server.started else 3
    with tempfile.TemporaryDirectory(prefix="iis-metrics-") as folder:
        os.environ[MULTIPROCESS_FOLDER] = folder  # read by prometheus_client when the processes import it
        Multiprocess(config, sockets=[config.bind_socket()]).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
