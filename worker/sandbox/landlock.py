"""Landlock: restrict the compute process to the files and TCP ports that it needs.

The three system calls and structures of linux/landlock.h are called directly because no established Python library wraps them.
"""

from __future__ import annotations

import ctypes
import glob
import os
import site
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_RULE_PATH_BENEATH, _RULE_PORT = 1, 2

_WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 1, 1 << 2, 1 << 3
_MAKE_SPECIAL = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
"""Creation of devices, sockets, pipes and symbolic links; the parent could follow a link to a file that only it may read."""
_MOVE, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_FIRST_VERSION_WITH = {_MOVE: 2, _TRUNCATE: 3, _IOCTL: 5}
_EVERYTHING = (1 << 16) - 1
_EXECUTE = 1
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _READ_FILE | _READ_FOLDER
_USE_DEVICE = _READ | _WRITE_FILE | _IOCTL
_WRITE = _EVERYTHING & ~(_EXECUTE | _MAKE_SPECIAL | _IOCTL)

OLDEST_VERSION = 2
"""Landlock of Linux 5.19: version 1 forbids every move of a file to another folder."""
VERSION_WITH_PORTS, VERSION_WITH_SCOPES = 4, 6
_BIND, _CONNECT = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2

SYSTEM_FOLDERS = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/opt/rocm", "/nix/store", "/run/opengl-driver")
HARDWARE_FOLDERS = ("bus", "class", "dev", "devices", "module", "kernel/mm")
"""Of /sys; the rest shows control groups, and with them other processes."""
PROCESS_FILES = ("cpuinfo", "meminfo", "stat", "version", "filesystems", "devices", "modules", "driver", "sys", "loadavg", "uptime")
"""Of /proc, besides the process's own folder; the rest shows other processes."""
SYSTEM_FILES = (
    # Files of /etc that libraries read. The whole folder is not allowed: it has files that only root may read.
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "nsswitch.conf", "passwd", "group", "hosts", "host.conf"),
    *("resolv.conf", "gai.conf", "services", "protocols", "ssl", "pki", "ca-certificates", "fonts", "mime.types", "nvidia", "alternatives"),
)
DEVICES = (
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
    *("/dev/nvidia*", "/dev/dri", "/dev/kfd", "/dev/dxg"),
)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


class _PortRule(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def restrict_files(writable: Iterable[Path], readable: Iterable[Path], ports: Iterable[int]) -> int:
    """Deny access to all files but system libraries, Python, our packages and the given folders and files.

    Where the kernel's version can, this also denies binding ports, connecting to ports not given, and signals and abstract sockets to
    processes outside. Call it while the process has one thread, after PR_SET_NO_NEW_PRIVS.

    Returns
    -------
    The version of Landlock in force; 0 where the kernel has none or one that is too old.
    """
    version = landlock_version()
    if version < OLDEST_VERSION:
        return 0
    libc = _libc()
    handled = _EVERYTHING & ~sum(right for right, first in _FIRST_VERSION_WITH.items() if version < first)
    with_ports, with_scopes = version >= VERSION_WITH_PORTS, version >= VERSION_WITH_SCOPES
    ruleset = _Ruleset(handled, (_BIND | _CONNECT) * with_ports, (_ABSTRACT_SOCKETS | _SIGNALS) * with_scopes)
    size = 8 * (1 + with_ports + with_scopes)
    descriptor = libc.syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if descriptor < 0:
        return 0
    try:
        for path, rights in _rights(writable, readable):
            _allow(libc, descriptor, path, rights & handled)
        for port in ports if with_ports else ():
            rule = _PortRule(_CONNECT, port)
            libc.syscall(_ADD_RULE, descriptor, _RULE_PORT, ctypes.byref(rule), ctypes.c_uint32(0))
        return version if libc.syscall(_RESTRICT_SELF, descriptor, ctypes.c_uint32(0)) == 0 else 0
    finally:
        os.close(descriptor)


def has_cuda_devices() -> bool:
    """Whether the machine has device files of CUDA's driver."""
    return any(glob.glob(pattern) for pattern in ("/dev/nvidia*", "/dev/dxg"))


def visible_paths(writable: Iterable[Path], readable: Iterable[Path]) -> list[str]:
    """All paths that the process may access."""
    return [path for path, _ in _rights(writable, readable)]


def _rights(writable: Iterable[Path], readable: Iterable[Path]) -> Iterator[tuple[str, int]]:
    """Paths and the rights on each."""
    of_kernel = (*(f"/proc/{name}" for name in PROCESS_FILES), *(f"/sys/{name}" for name in HARDWARE_FOLDERS))
    system = (*SYSTEM_FOLDERS, *(f"/etc/{name}" for name in SYSTEM_FILES), *of_kernel)
    for path in (*system, *_code_folders(), *map(str, readable)):
        yield path, _READ
    for pattern in DEVICES:
        for path in glob.glob(pattern):
            yield path, _USE_DEVICE
    for path in map(str, writable):
        yield path, _WRITE
    yield f"/proc/{os.getpid()}", _READ | _WRITE_FILE  # threads write their names there


def _code_folders() -> Iterator[str]:
    """Python's folders and our packages; not the parent folder of our packages, which may contain anything."""
    yield from {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *site.getsitepackages()}
    packages = Path(__file__).parents[2]
    yield from (str(packages / "worker"), str(packages / "iis_engine"))
    for name in ("LD_LIBRARY_PATH", "CUDA_HOME"):
        yield from filter(None, os.environ.get(name, "").split(os.pathsep))


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """Allow rights on a path and everything under it; a path that does not exist is skipped."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        rule = _PathRule(rights, descriptor)
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def landlock_version() -> int:
    """The kernel's version of Landlock; 0 or less where it has none."""
    if sys.platform != "linux":
        return 0
    return _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
