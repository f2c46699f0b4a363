"""seccomp: refuse system calls that no computation needs.

This is a deny-list because numerical libraries and CUDA make nearly every ordinary call, and the set changes with each driver.
libseccomp is called through ctypes because its own Python binding is not on PyPI; without libseccomp no filter is installed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys

LIBRARY = "libseccomp.so.2"

_NEVER = (
    # Running programs and creating processes; clone, which also creates threads, is filtered by its flags below.
    *("execve", "execveat", "fork", "vfork"),
    # Other processes' memory and descriptors.
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kcmp"),
    *("rt_sigqueueinfo", "rt_tgsigqueueinfo", "tkill", "perf_event_open"),
    # Mounts and name spaces of files, network and users.
    *("mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "mount_setattr", "open_tree", "move_mount"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "name_to_handle_at", "open_by_handle_at", "mknod", "mknodat"),
    # The kernel's keys, programs, modules and clocks; io_uring would open sockets past this filter.
    *("add_key", "request_key", "keyctl", "bpf", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff"),
    *("acct", "quotactl", "quotactl_fd", "iopl", "ioperm", "syslog", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex"),
    *("sethostname", "setdomainname", "vhangup", "fanotify_init", "lookup_dcookie", "nfsservctl"),
)
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NOT_EQUAL, _EQUAL, _GREATER, _MASKED_EQUAL = 1, 4, 6, 7
_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG = 1
_SOCKET_TYPE_MASK = 0xF


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`: index of the argument, operator, and one or two values."""

    _fields_ = (("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("first", ctypes.c_uint64), ("second", ctypes.c_uint64))


def refuse_system_calls(*, network: bool) -> bool:
    """Install the filter, irrevocably and for all later threads; False where libseccomp or the kernel does not support it.

    Call it while the process has one thread.

    Parameters
    ----------
    network : whether internet sockets may be opened. Unix sockets are limited to SOCK_SEQPACKET, which CUDA's driver needs; PostgreSQL,
        Docker and other services listen on SOCK_STREAM.
    """
    library = _library()
    if library is None:
        return False
    context = library.seccomp_init(_ALLOW)
    if not context:
        return False
    try:
        refused = [(name, errno.EPERM, ()) for name in _NEVER] + _refused_by_argument(network=network)
        for name, code, comparisons in refused:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number < 0:  # unknown to this architecture or to this version of libseccomp
                continue
            array = (_Comparison * len(comparisons))(*(_Comparison(*comparison) for comparison in comparisons))
            if library.seccomp_rule_add_array(context, _ERRNO | code, number, len(comparisons), array) != 0:
                return False
        return library.seccomp_load(context) == 0
    finally:
        library.seccomp_release(context)


def _refused_by_argument(*, network: bool) -> list[tuple[str, int, tuple[tuple[int, ...], ...]]]:
    """(system call, errno, comparisons of arguments) of calls that are refused for some arguments only."""
    own = os.getpid()
    refused = [
        ("clone", errno.EPERM, ((0, _MASKED_EQUAL, _CLONE_THREAD, 0),)),
        ("clone3", errno.ENOSYS, ()),  # its flags are in memory, which a filter cannot read; on ENOSYS the C library falls back to clone
        ("kill", errno.EPERM, ((0, _NOT_EQUAL, own, 0),)),
        ("tgkill", errno.EPERM, ((0, _NOT_EQUAL, own, 0),)),
        ("prlimit64", errno.EPERM, ((0, _GREATER, 0, 0),)),
        ("prctl", errno.EPERM, ((0, _EQUAL, _PR_SET_PDEATHSIG, 0),)),
    ]
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW)
    refused += [
        ("socket", errno.EACCES, ((0, _EQUAL, socket.AF_UNIX, 0), (1, _MASKED_EQUAL, _SOCKET_TYPE_MASK, int(kind)))) for kind in kinds
    ]
    highest = socket.AF_NETLINK
    allowed = {socket.AF_UNIX, *((socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK) if network else ())}
    refused += [("socket", errno.EACCES, ((0, _EQUAL, family, 0),)) for family in range(highest + 1) if family not in allowed]
    refused += [("socket", errno.EACCES, ((0, _GREATER, highest, 0),))]
    return refused


def _library() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_release.restype = None
    return library
