"""Move the compute process into namespaces of its own: mounts with the granted paths only, IPC, and a network without interfaces.

libc is called directly because Python 3.11 wraps neither unshare nor mount.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_POINTS = ("/var", "/tmp", "/mnt", "/srv", "/home", "/opt")  # noqa: S108 (a mount is made here, no file)
"""The new root is mounted on one of them until it replaces the old one."""


def enter_namespaces(*, network: bool) -> bool:
    """Enter new namespaces of mounts and IPC, and without `network` one of the network; False where the platform does not allow it.

    Needs a process with one thread. An unprivileged process creates a user namespace as well, in which it keeps its user id.
    """
    if sys.platform != "linux":
        return False
    libc = _libc()
    spaces = CLONE_NEWNS | CLONE_NEWIPC | (0 if network else CLONE_NEWNET)
    if libc.unshare(spaces) == 0:
        return True
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | spaces) != 0:
        return False
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    return True


def enter_private_root(paths: Iterable[str]) -> bool:
    """Replace the root folder by an empty one with these files and folders at their own paths; False where a mount is refused.

    Landlock denies reading other files but not asking for their existence, size, times and owner. Call it in a mount namespace of the
    process's own. `paths` should include the process's own folder in /proc.
    """
    libc = _libc()
    if libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        return False
    folder, sources = os.getcwd(), _open_sources(paths)
    try:
        place = _mount_point(sources)
        if place is None or libc.mount(b"tmpfs", place.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=0755,size=4m") != 0:
            return False
        if not _replace_root(libc, place, sources):
            libc.umount2(place.encode(), MNT_DETACH)
            os.chdir(folder)
            return False
    finally:
        for descriptor in sources.values():
            os.close(descriptor)
    os.chdir(folder if Path(folder).is_dir() else "/")
    return True


def _open_sources(paths: Iterable[str]) -> dict[str, int]:
    """Descriptors of the existing paths, outermost first, by the path itself and by the path it resolves to."""
    sources = dict[str, int]()
    for path in sorted({os.path.normpath(each) for given in paths for each in (given, os.path.realpath(given))}):
        covered = any(path.startswith(f"{outer}/") and os.path.realpath(path) == path for outer in sources)
        if not covered and os.path.exists(path):
            sources[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
    return sources


def _mount_point(sources: Iterable[str]) -> str | None:
    """An existing folder that is neither a source nor inside one, which would then show the new root."""
    covered = [f"{path}/" for path in sources]
    return next((place for place in MOUNT_POINTS if Path(place).is_dir() and not f"{place}/".startswith(tuple(covered))), None)


def _replace_root(libc: ctypes.CDLL, place: str, sources: Mapping[str, int]) -> bool:
    """Fill the new root at `place` and make it the root; False where the kernel refuses."""
    try:
        for path, descriptor in sources.items():
            if not _bind(libc, descriptor, Path(place + path)):
                return False
        os.symlink(str(os.getpid()), f"{place}/proc/self")
        os.symlink("self/mounts", f"{place}/proc/mounts")
        os.chdir(place)
    except OSError:
        return False
    if libc.pivot_root(b".", b".") != 0:
        return False
    libc.umount2(b".", MNT_DETACH)  # the old root, which is mounted over the new one
    libc.mount(None, b"/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, None)
    return True


def _bind(libc: ctypes.CDLL, descriptor: int, target: Path) -> bool:
    """Mount an open file or folder at a path, which is created."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    return libc.mount(f"/proc/self/fd/{descriptor}".encode(), os.fsencode(target), None, MS_BIND | MS_REC, None) == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)
