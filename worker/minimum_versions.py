"""The oldest versions of packages that the compute process parses strangers' files with; what is done about older ones: `app.floors`."""

from __future__ import annotations

WORKER_FLOORS = {
    "onnx": "1.21.0",
    "pillow": "13.0.0",
    "pyarrow": "23.0.1",
    "torch": "2.10.0",
}
