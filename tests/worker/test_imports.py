"""Modules that the worker imports: no web framework, no torch in the parent, and no resource slice of the API."""

from __future__ import annotations

import json
import subprocess
import sys

SHARED_PACKAGES = {"db", "storage", "webhook_security"}
SHARED_MODULES = {
    "errors",
    "logging",
    "memory_limit",
    "minimum_versions",
    "query_queue",
    "queue",
    "secret_files",
    "setting_sources",
    "settings",
    "traces",
    "worker_queries",
}


def test_the_worker_imports_no_web_framework_and_only_shared_modules_of_the_api() -> None:
    program = "import json, sys, worker.tasks; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    modules = json.loads(printed.splitlines()[-1])  # after the warning that the database is not reached
    assert {name.partition(".")[0] for name in modules} & {"fastapi", "starlette", "uvicorn", "torch"} == set()
    parts = {name.split(".")[1] for name in modules if name.startswith("app.")}
    assert parts == SHARED_PACKAGES | SHARED_MODULES
