"""Minimum versions of packages that parse uploaded files, because of known vulnerabilities; `app.minimum_versions` enforces them."""

from __future__ import annotations

WORKER_MINIMUM_VERSIONS = {
    "onnx": "1.21.0",
    "pillow": "13.0.0",
    "pyarrow": "23.0.1",
    "torch": "2.10.0",
}
