"""Confine the compute process: namespaces, Landlock, seccomp, capabilities, kernel resource limits.

libc is called directly because Python 3.11 wraps neither prctl nor capset.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from worker.sandbox.landlock import has_cuda_devices, restrict_files, visible_paths
from worker.sandbox.messages import JsonObject
from worker.sandbox.namespaces import enter_namespaces, enter_private_root
from worker.sandbox.seccomp import refuse_system_calls

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_READ_SEARCH = 2
OPEN_FILES = 4096
FILE_SIZE_BYTES = 256 * 1024**3
CPU_SLACK_SECONDS = 60


@dataclass(frozen=True)
class Grant:
    """Access that a compute process keeps.

    Attributes
    ----------
    network : whether it may download by name
    writable, readable : folders and files it may access besides Python and the system's libraries
    ports : TCP ports it may connect to; without effect where `network` is false
    """

    network: bool
    writable: tuple[str, ...]
    readable: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    def covers(self, other: Grant) -> bool:
        """Whether a process with this grant can run a stage that needs the other one, with no more than its files to read besides."""
        same = (self.network, self.writable, self.ports) == (other.network, other.writable, other.ports)
        return same and set(other.readable) <= set(self.readable)

    def to_dict(self) -> JsonObject:
        return asdict(self)


@dataclass(frozen=True)
class Protections:
    """Protections in force on this platform; docs/security.md explains each."""

    network: str  # isolated (own namespace), refused (no sockets), open
    root: str  # private (own mount namespace with the granted paths only), or open
    files: str  # landlock with its version, or open
    calls: str  # seccomp, or open
    privileges: str  # none, or kept

    def missing(self) -> str | None:
        """A sentence on the protections that Linux should offer and this machine lacks; None where it has them, and on other systems."""
        lacking = {"Landlock (kernel 5.19 or later)": self.files, "seccomp (libseccomp.so.2)": self.calls}
        names = [name for name, state in lacking.items() if state == "open"]
        if sys.platform != "linux" or not names:
            return None
        return (
            f"This machine lacks {' and '.join(names)}, which confines the processes that parse uploaded files. Install or enable it, or "
            "set IIS_CONFINEMENT=best-effort on a machine for your own files only."
        )

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def confine(parent_pid: int, grant: Grant) -> Protections:
    """Give up all access but the grant, irrevocably. Call it while the process has one thread, before torch is imported."""
    limit_resources()
    writable, readable = [Path(path) for path in grant.writable], [Path(path) for path in grant.readable]
    separate = enter_namespaces(network=grant.network)
    private = separate and enter_private_root(visible_paths(writable, readable))
    version = restrict_files(writable, readable, grant.ports if grant.network else ())
    unprivileged = drop_capabilities()
    die_with_parent(parent_pid)
    filtered = refuse_system_calls(network=grant.network, gpu=has_cuda_devices())
    return Protections(
        network="isolated" if separate and not grant.network else "refused" if filtered and not grant.network else "open",
        root="private" if private else "open",
        files=f"landlock {version}" if version else "open",
        calls="seccomp" if filtered else "open",
        privileges="none" if unprivileged else "kept",
    )


def hide_from_children() -> None:
    """Hide this process's memory and environment, which hold credentials, from other processes of the same user (Linux).

    Otherwise a child without its own user namespace could read /proc/<parent>/environ.
    """
    if sys.platform == "linux":
        _libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when the parent dies (Linux). Elsewhere the end of standard input ends it, a little later."""
    if sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the call
        raise SystemExit(1)


def limit_resources() -> None:
    """Forbid core dumps (they would contain weights) and new privileges; bound open files and file sizes."""
    for kind, limit in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, OPEN_FILES), (resource.RLIMIT_FSIZE, FILE_SIZE_BYTES)):
        _, hard = resource.getrlimit(kind)
        bounded = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (bounded, bounded))
    if sys.platform == "linux":
        _libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit_processor_time(seconds: float) -> None:
    """Let the kernel kill this process after `seconds` more of processor time on every core.

    The parent kills a job at its deadline; this limit holds while the parent is suspended and another worker may run the job.
    The process serves many requests, so each request sets the soft limit again and leaves the hard one.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds * (os.cpu_count() or 1)) + CPU_SLACK_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def drop_capabilities() -> bool:
    """Drop all capabilities, in the user namespace too; False where the platform has none.

    Root keeps CAP_DAC_READ_SEARCH because data sets on the server may belong to other users; Landlock decides which are readable.
    """
    if sys.platform != "linux":
        return False
    libc = _libc()
    kept = 1 << CAP_DAC_READ_SEARCH if os.geteuid() == 0 else 0
    for capability in range(64):
        if not kept >> capability & 1:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    current = (ctypes.c_uint32 * 6)()
    if libc.capget(header, current) != 0:
        return False
    # (effective, permitted, inheritable) of capabilities 0 to 31, then of 32 to 63; a process cannot add to what is permitted.
    lower = kept & current[1]
    reduced = (ctypes.c_uint32 * 6)(lower, lower, 0, 0, 0, 0)
    return libc.capset(header, reduced) == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
