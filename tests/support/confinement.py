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
def enter_container():
    # What Docker's default profile leaves: no namespaces or mounts, and 14 capabilities
    library = ctypes.CDLL('libseccomp.so.2')
    library.seccomp_init.restype = ctypes.c_void_p
    for function in (library.seccomp_load, library.seccomp_rule_add):
        function.argtypes = [ctypes.c_void_p] + [ctypes.c_uint32, ctypes.c_int, ctypes.c_uint] * (function is library.seccomp_rule_add)
    context = library.seccomp_init(0x7FFF0000)
    for name in (b'unshare', b'setns', b'mount', b'umount2', b'pivot_root', b'open_tree', b'move_mount', b'fsopen', b'mount_setattr'):
        library.seccomp_rule_add(context, 0x00050001, library.seccomp_syscall_resolve_name(name), 0)
    assert library.seccomp_load(context) == 0
    lower = sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31))
    for capability in range(64):
        if not lower >> capability & 1: libc.prctl(24, capability, 0, 0, 0)
    libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(lower, lower, 0, 0, 0, 0))
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
    container: bool = False,
    before: str = "",
    between: str = "",
) -> ConfinedRun:
    """Evaluate Python expressions in a confined process.

    Parameters
    ----------
    folder : the process's own, which it may write to
    attempts : expressions by name
    network, ports, readable : of the `Grant`
    unprivileged : change to an unprivileged user first, where the tests run as root
    container : refuse namespaces and most capabilities first, as a container does
    before, between : statements to run before and after the confinement
    """
    program = PRELUDE + "enter_container()\n" * container + "become_unprivileged()\n" * unprivileged
    program += before + "\n" + CONFINE + between + "\noutcomes = {}\n"
    program += "".join(f"outcomes[{name!r}] = outcome_of(lambda: {attempt})\n" for name, attempt in attempts.items())
    program += "print(json.dumps([protections.to_dict(), outcomes, capabilities()]))"
    grant = Grant(network, (str(folder),), readable, ports)
    command = [sys.executable, "-P", "-s", "-c", program, json.dumps(grant.to_dict())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
    return ConfinedRun(*json.loads(done.stdout))
