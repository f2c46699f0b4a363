"""Public names, imports and exceptions of the package."""

from __future__ import annotations

import subprocess
import sys

import iis_client


def test_the_public_names_are_pinned() -> None:
    assert iis_client.__all__ == [
        "AsyncIISClient",
        "CheckFailedError",
        "ConfigurationError",
        "ConflictError",
        "FieldError",
        "ForbiddenError",
        "IISClient",
        "IISError",
        "InvalidInputError",
        "JobCanceledError",
        "JobFailedError",
        "LocalFileError",
        "NotFoundError",
        "ServiceError",
        "ServiceUnreachableError",
        "TooLargeError",
        "TooManyRequestsError",
        "UnauthorizedError",
        "UnavailableError",
        "UnexpectedAnswerError",
        "WaitTimeoutError",
    ]
    assert all(hasattr(iis_client, name) for name in iis_client.__all__)


def test_importing_the_client_imports_neither_the_service_nor_torch() -> None:
    script = (
        "import sys, iis_client, iis_client.cli, iis_client.client\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted({'app', 'worker', 'torch', 'numpy', 'pandas', 'mlflow', 'wandb', 'fastapi', 'sqlalchemy'} & loaded))\n"
        "engine = {name.split('.')[1] for name in sys.modules if name.startswith('iis_engine.')}\n"
        "print(sorted(engine - {'display', 'tracking', 'versions'}))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split() == ["[]", "[]"]


def test_the_command_builds_no_models_before_it_runs() -> None:
    script = "import sys, iis_client.cli; print(sorted({'pydantic', 'httpx', 'yaml'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_docstring_of_errors_draws_every_exception() -> None:
    from iis_client import errors

    exceptions = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    drawn = errors.__doc__ or ""
    assert {name for name in exceptions if name not in drawn} == set()
