"""A server of the Hugging Face Hub's file layout: one repository at its latest commit."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def commit_of(folder: Path) -> str:
    """The commit that the server names: another one whenever a file changes."""
    content = b"".join(path.name.encode() + path.read_bytes() for path in sorted(folder.iterdir()))
    return sha256(content).hexdigest()[:40]


@contextmanager
def hub_of(repository: str, folder: Path) -> Generator[tuple[str, list[str]]]:
    """Serve the files of a folder as `repository` -> the server's address, and the paths that were asked for."""
    asked = list[str]()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, *, with_body: bool) -> None:
            asked.append(self.path)
            path = folder / self.path.rpartition("/")[2]
            commit = commit_of(folder)
            is_here = self.path.startswith((f"/{repository}/resolve/main/", f"/{repository}/resolve/{commit}/"))
            content = path.read_bytes() if is_here and path.is_file() else None
            self.send_response(200 if content is not None else 404)
            self.send_header("X-Repo-Commit", commit)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound" if is_here else "RepoNotFound")
            else:
                self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if with_body and content is not None:
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
