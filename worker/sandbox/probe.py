"""Measure the protections that this machine offers, in a process that confines itself (`python -m worker.sandbox.probe`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from worker.sandbox.confinement import Grant, Protections, confine
from worker.sandbox.environment import scrubbed_environment

TIMEOUT_SECONDS = 60


class ConfinementMissing(SystemExit):
    """The machine lacks Landlock or seccomp. The message is a sentence."""


def measure_protections() -> Protections:
    """The protections of a process that is confined in the way of a compute process."""
    with tempfile.TemporaryDirectory(prefix="iis-probe-") as folder:
        grant = json.dumps(Grant(network=False, writable=(folder,)).to_dict())
        command = [sys.executable, "-P", "-s", "-m", "worker.sandbox.probe", str(os.getpid()), grant]
        environment = scrubbed_environment(os.environ, Path(folder), Path(folder), network=False)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_SECONDS, cwd=folder, env=environment)
    return Protections(**json.loads(done.stdout))


def require_confinement(*, best_effort: bool) -> None:
    """Refuse to start a worker on a Linux machine that cannot confine its compute processes.

    Raises
    ------
    ConfinementMissing
        Unless `best_effort` is set.
    """
    if sys.platform == "linux" and not best_effort and (reason := measure_protections().missing()) is not None:
        raise ConfinementMissing(reason)


if __name__ == "__main__":
    print(json.dumps(confine(int(sys.argv[1]), Grant(**json.loads(sys.argv[2]))).to_dict()))
