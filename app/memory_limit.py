"""How much memory this process can have: the machine's, or less where a control group (a container's, say) limits it. Linux and macOS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP_FOLDER = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def memory_bytes(cgroup_folder: Path = CGROUP_FOLDER, own_cgroups: Path = OWN_CGROUPS) -> int | None:
    """The smallest limit that holds for this process; None where the platform names none.

    Parameters
    ----------
    cgroup_folder : where control groups are mounted, of version 1 or 2
    own_cgroups : the file that says which of them this process is in
    """
    return min([*_machine(), *_limits(cgroup_folder, own_cgroups)], default=None)


def _machine() -> Iterator[int]:
    try:
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # a name that this platform does not know
        return


def _limits(cgroup_folder: Path, own_cgroups: Path) -> Iterator[int]:
    """The limits of this process's control group and of all around it. Inside a container its own group is mounted as the root."""
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
            if limit.isdigit():  # version 2 says "max" where there is none
                yield int(limit)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
