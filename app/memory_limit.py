"""Memory available to this process: that of the machine, or the limit of its control groups (containers). Linux and macOS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP_FOLDER = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def memory_bytes(cgroup_folder: Path = CGROUP_FOLDER, own_cgroups: Path = OWN_CGROUPS) -> int | None:
    """Smallest memory limit of this process in bytes; None where the platform reports none.

    Parameters
    ----------
    cgroup_folder : mount point of control groups, version 1 or 2
    own_cgroups : file that lists the control groups of this process
    """
    return min([*_machine(), *_limits(cgroup_folder, own_cgroups)], default=None)


def _machine() -> Iterator[int]:
    try:
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # sysconf name unknown on this platform
        return


def _limits(cgroup_folder: Path, own_cgroups: Path) -> Iterator[int]:
    """Limits of this process's control group and its ancestors. In a container the group itself is mounted as the root."""
    for line in _text(own_cgroups).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounted, name = cgroup_folder, "memory.max"
        elif "memory" in controllers.split(","):
            mounted, name = cgroup_folder / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        for folder in (group, *group.parents):
            limit = _text(mounted / folder / name).strip()
            if limit.isdigit():  # version 2 has "max" for no limit
                yield int(limit)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
