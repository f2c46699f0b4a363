"""A TCP proxy before the service whose connections a test breaks."""

from __future__ import annotations

import socket
import threading

from iis_client.transport.address import Address


class BreakingProxy:
    """Passes bytes to the service; after `break_after_bytes` it resets every connection and refuses new ones."""

    def __init__(self, service: Address) -> None:
        host, _, port = service.url.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.break_after_bytes: int | None = None
        self.sent_bytes = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def mend(self) -> None:
        self.break_after_bytes = None
        self.sent_bytes = 0

    def close(self) -> None:
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave the thread in its accept
        self._listener.close()
        self.drop_all()

    @property
    def broken(self) -> bool:
        return self.break_after_bytes is not None and self.sent_bytes >= self.break_after_bytes

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.broken:
                near.close()
                continue
            far = socket.create_connection(self._target)
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._pass_on, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(far, near, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while content := source.recv(65536):
                target.sendall(content)
                if counted:
                    self.sent_bytes += len(content)
                if self.broken:
                    self.drop_all()
                    return
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def drop_all(self) -> None:
        with self._lock:
            dropped, self._open = self._open, set()
        for connection in dropped:
            _reset(connection)


def _reset(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    finally:
        connection.close()
