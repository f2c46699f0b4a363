"""Run programs under the same confinement as the compute process; skip loudly where the platform lacks a protection."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from worker.sandbox.confinement import Grant

NOT_TESTED = "NOT TESTED: confinement"
"""Beginning of every reason for a skip, which CI treats as a failure."""

PRELUDE = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading
import worker.sandbox.confinement
from worker.sandbox.confinement import Grant, confine, limit_processor_time
libc = ctypes.CDLL(None, use_errno=True)
def become_unprivileged():
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
        libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: a process that changed its user may not write its own uid_map otherwise
def outcome_of(action):
    try: result = action()
    except OSError as error: return type(error).__name__
    return 'done' if result is None or result != -1 else os.strerror(ctypes.get_errno())
def capabilities():
    lines = open('/proc/self/status').read().splitlines()
    return {line[:6]: int(line[7:], 16) for line in lines if line.startswith('Cap')}
"""
CONFINE = "protections = confine(os.getppid(), Grant(**json.loads(sys.argv[1])))\n"


@dataclass(frozen=True)
class ConfinedRun:
    """Result of a confined program.

    Attributes
    ----------
    protections : in force on this platform, by kind
    outcomes : per attempt `done`, the name of an OSError, or the message of an errno
    capabilities : sets of the process by their names in /proc/self/status
    """

    protections: dict[str, str]
    outcomes: dict[str, str]
    capabilities: dict[str, int]

    def require(self, *kinds: str) -> None:
        """Skip the test where this platform lacks one of these protections."""
        for kind in kinds:
            if self.protections[kind] in {"open", "kept"}:
                pytest.skip(f"{NOT_TESTED}: this kernel, or its lack of libseccomp, leaves {kind} {self.protections[kind]}.")


def run_confined(
    folder: Path,
    attempts: Mapping[str, str],
    *,
    network: bool = False,
    ports: tuple[int, ...] = (),
    readable: tuple[str, ...] = (),
    unprivileged: bool = False,
) -> ConfinedRun:
    """Evaluate Python expressions in a confined process.

    Parameters
    ----------
    folder : the process's own, which it may write to
    attempts : expressions by name
    network, ports, readable : of the `Grant`
    unprivileged : change to an unprivileged user first, where the tests run as root
    """
    program = PRELUDE + ("become_unprivileged()\n" if unprivileged else "") + CONFINE + "outcomes = {}\n"
    program += "".join(f"outcomes[{name!r}] = outcome_of(lambda: {attempt})\n" for name, attempt in attempts.items())
    program += "print(json.dumps([protections.to_dict(), outcomes, capabilities()]))"
    grant = Grant(network, (str(folder),), readable, ports)
    command = [sys.executable, "-P", "-s", "-c", program, json.dumps(grant.to_dict())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ConfinedRun(*json.loads(done.stdout))
