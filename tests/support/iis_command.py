"""The `iis` command, run in this process or started as a program of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Protocol

import pytest

from iis_client.cli import main
from iis_client.transport.address import Address


class RunCommand(Protocol):
    """Runs `iis` with these arguments and environment variables."""

    def __call__(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]: ...


class StartCommand(Protocol):
    """Starts `iis` with these arguments and environment variables."""

    def __call__(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]: ...


def run_iis(service: Address, folder: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the `iis` command in this process: starting a program takes longer than most commands."""
    words, code = ["iis", *map(str, arguments)], 0
    out, err = io.BytesIO(), io.BytesIO()
    texts = [io.TextIOWrapper(stream, encoding="utf-8", write_through=True) for stream in (out, err)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(texts[0]), redirect_stderr(texts[1]):
        patch.setattr(sys, "argv", words)
        patch.chdir(folder)
        for name, value in (_client_environment(service) | environment).items():
            patch.setenv(name, value)
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue().decode(), err.getvalue().decode())


def start_iis_program(service: Address, folder: Path, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start the `iis` program as a process of its own."""
    program = Path(sys.executable).parent / "iis"
    words = ["/usr/bin/env", "--default-signal=INT", str(program), *map(str, arguments)]  # processes in the background ignore it
    variables = os.environ | _client_environment(service) | environment
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables, cwd=folder)


def _client_environment(service: Address) -> dict[str, str]:
    return {"IIS_URL": service.url, "IIS_API_KEY": service.api_key, "COLUMNS": "160", "XDG_CONFIG_HOME": "/nowhere"}
