"""What the compute process gives up before it parses anything, and what of that this platform grants. Nothing computes here."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.sandbox.landlock import see_only
from worker.sandbox.seccomp import refuse_system_calls

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_READ_SEARCH = 2
OPEN_FILES = 4096
FILE_SIZE_BYTES = 256 * 1024**3
CPU_SLACK_SECONDS = 60


@dataclass(frozen=True)
class Grant:
    """What a compute process keeps.

    Attributes
    ----------
    network : whether it may fetch by name
    writes, reads : folders and files that it sees beside Python and the system's libraries
    ports : that it may connect to; of no meaning without the network
    """

    network: bool
    writes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    def covers(self, other: Grant) -> bool:
        """Whether a process with this grant can do what needs the other: all of it, and as isolated."""
        same = (self.network, self.writes, self.ports) == (other.network, other.writes, other.ports)
        return same and set(other.reads) <= set(self.reads)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Protections:
    """What holds on this platform; docs/security.md says what to make of it."""

    network: str  # isolated (a name space of its own), refused (no sockets), open
    files: str  # landlock and its version, or open
    calls: str  # seccomp, or open
    privileges: str  # none, or kept

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def confine(parent_pid: int, grant: Grant) -> Protections:
    """Give up everything but the grant, for good. Call it while the process has one thread, before torch is imported."""
    limit_resources()
    isolated = not grant.network and leave_network()
    version = see_only(map(Path, grant.writes), map(Path, grant.reads), grant.ports if grant.network else ())
    bare = drop_capabilities()
    die_with_parent(parent_pid)
    filtered = refuse_system_calls(network=grant.network)
    return Protections(
        network="isolated" if isolated else "refused" if filtered and not grant.network else "open",
        files=f"landlock {version}" if version else "open",
        calls="seccomp" if filtered else "open",
        privileges="none" if bare else "kept",
    )


def hide_from_children() -> None:
    """Keep this process's memory and environment, which hold credentials, from other processes of the same user (Linux).

    A child that could not get a user name space of its own would otherwise read /proc/<parent>/environ.
    """
    if sys.platform == "linux":
        _libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with_parent(parent_pid: int) -> None:
    """Be killed when the parent dies. Elsewhere than on Linux the end of standard input does the same a little later."""
    if sys.platform == "linux":
        _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before we asked
        raise SystemExit(1)


def limit_resources() -> None:
    """No core dumps (they would hold the weights), bounded descriptors and file sizes, no way to gain privileges."""
    for kind, limit in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, OPEN_FILES), (resource.RLIMIT_FSIZE, FILE_SIZE_BYTES)):
        _, hard = resource.getrlimit(kind)
        bounded = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (bounded, bounded))
    if sys.platform == "linux":
        _libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def limit_processor_time(seconds: float) -> None:
    """Let the kernel end this process once it has computed that much longer, on all its threads together.

    The parent ends a job at its deadline. This holds where the parent cannot: while it is suspended its job may be another worker's.
    The process stays warm from job to job, so the limit is set anew for each request, and only the soft one.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds * (os.cpu_count() or 1)) + CPU_SLACK_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def leave_network() -> bool:
    """Move into a network name space without any interface; False where the platform does not allow it.

    Needs a process with one thread. Without the privilege to do it directly a user name space is made first, in which this process
    keeps its own user id.
    """
    if sys.platform != "linux":
        return False
    libc = _libc()
    if libc.unshare(CLONE_NEWNET) == 0:
        return True
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    return True


def drop_capabilities() -> bool:
    """Give up what makes root more than a user, also in a user name space of our own; False where there are no capabilities.

    Root keeps the right to read what belongs to others, for data sets on the server may; Landlock decides which.
    """
    if sys.platform != "linux":
        return False
    libc = _libc()
    kept = 1 << CAP_DAC_READ_SEARCH if os.geteuid() == 0 else 0
    for capability in range(64):
        if not kept >> capability & 1:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    held = (ctypes.c_uint32 * 6)()
    if libc.capget(header, held) != 0:
        return False
    # Two times (effective, permitted, inheritable), for the lower and the upper 32: never more than is held.
    lower = kept & held[1]
    fewer = (ctypes.c_uint32 * 6)(lower, lower, 0, 0, 0, 0)
    return libc.capset(header, fewer) == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)
