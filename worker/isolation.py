"""What the compute process gives up before it parses anything: core dumps, privileges and the network. Nothing computes here."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
OPEN_FILES = 4096
FILE_SIZE_BYTES = 256 * 1024**3


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


def leave_network() -> bool:
    """Move into a network name space without any interface; False where the platform does not allow it.

    Needs a process with one thread, so call it before torch is imported. Without the privilege to do it directly a user
    name space is made first, in which this process keeps its own user id.
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


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)
