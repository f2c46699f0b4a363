"""seccomp: refuse system calls that no computation needs.

This is a deny-list because numerical libraries and CUDA make nearly every ordinary call, and the set changes with each driver. Sockets, and
calls that are newer than this list, are refused unless allowed. libseccomp is called through ctypes because its own Python binding is not
on PyPI; without libseccomp no filter is installed.
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
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "perf_event_open"),
    *("pidfd_open", "pidfd_getfd", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tkill"),
    # Other processes' priorities.
    *("setpriority", "sched_setscheduler", "sched_setparam", "sched_setattr", "ioprio_set", "migrate_pages"),
    # Owner, mode, times and attributes of files, which Landlock does not restrict.
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "chown32", "fchown32", "lchown32"),
    *("utime", "utimes", "futimesat", "utimensat", "utimensat_time64"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
    # Events of files elsewhere.
    *("inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_init", "fanotify_mark"),
    # Segments, semaphores and queues that outlive the process.
    *("shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semtimedop_time64", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl"),
    *("ipc", "mq_open", "mq_unlink"),
    # Mounts and namespaces of files, network and users.
    *("mount", "umount", "umount2", "pivot_root", "chroot", "unshare", "setns", "mount_setattr", "open_tree", "move_mount"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "name_to_handle_at", "open_by_handle_at", "mknod", "mknodat"),
    # The kernel's keys, programs, modules and clocks; io_uring would open sockets past this filter.
    *("add_key", "request_key", "keyctl", "bpf", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff"),
    *("acct", "quotactl", "quotactl_fd", "iopl", "ioperm", "modify_ldt", "vm86", "vm86old", "syslog"),
    *("settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime"),
    *("sethostname", "setdomainname", "vhangup", "lookup_dcookie", "nfsservctl", "uselib"),
)
_LATER_CALLS = (*range(457, 462), *range(463, 512))
"""Numbers of Linux 6.8 and later, the same on every architecture, some not assigned yet: setxattrat and file_setattr change attributes of
files, statmount and listns list mounts and namespaces. Excepted is mseal. On ENOSYS, C libraries fall back to older calls."""

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NOT_EQUAL, _EQUAL, _GREATER, _MASKED_EQUAL = 1, 4, 6, 7
_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_SOCKET_TYPE_MASK = 0xF
_INT = 0xFFFFFFFF
"""Mask of an int argument: the kernel ignores the upper half of the register, and a comparison must ignore it too."""
_MSG_FASTOPEN, _TCP_FASTOPEN_CONNECT, _TCP_ULP = 0x20000000, 30, 31
"""TCP Fast Open connects past Landlock's rules for ports."""
_SENDING = {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}  # index of the flags
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY = 8, 10, 15, 1024, 1026
_IOCTLS = (
    *(0x40086602, 0x40046602, 0x40087602, 0x401C5820),  # FS_IOC_SETFLAGS (64 and 32 bit), SETVERSION, FSSETXATTR: attributes of files
    *(0x40806685, 0x800C6613),  # FS_IOC_ENABLE_VERITY, FS_IOC_SET_ENCRYPTION_POLICY
    *(0x8901, 0x8902),  # FIOSETOWN, SIOCSPGRP: signals to other processes
    *(0x5412, 0x541C),  # TIOCSTI, TIOCLINUX: input of a terminal
)

_Rule = tuple[str | int, int, tuple[tuple[int, ...], ...]]
"""System call by name or number, errno, and comparisons of arguments that must all hold."""


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`: index of the argument, operator, and one or two values."""

    _fields_ = (("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("first", ctypes.c_uint64), ("second", ctypes.c_uint64))


def refuse_system_calls(*, network: bool, gpu: bool) -> bool:
    """Install the filter, irrevocably and for all later threads; False where libseccomp or the kernel does not support it.

    Call it while the process has one thread.

    Parameters
    ----------
    network : whether TCP sockets may be opened and connected
    gpu : whether Unix sockets of type SOCK_SEQPACKET may be opened and bound, which CUDA's driver needs
    """
    library = _library()
    if library is None:
        return False
    context = library.seccomp_init(_ALLOW)
    if not context:
        return False
    rules: list[_Rule] = [(name, errno.EPERM, ()) for name in _NEVER]
    rules += [(number, errno.ENOSYS, ()) for number in _LATER_CALLS]
    rules += _refused_by_argument() + _refused_sockets(network=network, gpu=gpu)
    try:
        for call, code, comparisons in rules:
            number = call if isinstance(call, int) else library.seccomp_syscall_resolve_name(call.encode())
            if number < 0:  # unknown to this architecture or to this version of libseccomp
                continue
            array = (_Comparison * len(comparisons))(*(_Comparison(*comparison) for comparison in comparisons))
            if library.seccomp_rule_add_array(context, _ERRNO | code, number, len(comparisons), array) != 0:
                return False
        return library.seccomp_load(context) == 0
    finally:
        library.seccomp_release(context)


def _refused_by_argument() -> list[_Rule]:
    """Calls that are refused for some arguments only."""
    own = os.getpid()
    rules: list[_Rule] = [
        ("clone", errno.EPERM, ((0, _MASKED_EQUAL, _CLONE_THREAD, 0),)),
        ("clone3", errno.ENOSYS, ()),  # its flags are in memory, which a filter cannot read; on ENOSYS the C library falls back to clone
        ("kill", errno.EPERM, ((0, _NOT_EQUAL, own, 0),)),
        ("tgkill", errno.EPERM, ((0, _NOT_EQUAL, own, 0),)),
        ("prlimit64", errno.EPERM, ((0, _GREATER, 0, 0),)),
        ("sched_setaffinity", errno.EPERM, ((0, _NOT_EQUAL, 0, 0),)),
        ("move_pages", errno.EPERM, ((0, _NOT_EQUAL, 0, 0),)),
    ]
    # It dies with its parent, and stays dumpable: otherwise the parent could not see the files that it holds open.
    rules += [("prctl", errno.EPERM, ((0, _MASKED_EQUAL, _INT, option),)) for option in (_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE)]
    for command in (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY):
        rules += [(call, errno.EPERM, ((1, _MASKED_EQUAL, _INT, command),)) for call in ("fcntl", "fcntl64")]
    rules += [("ioctl", errno.EPERM, ((1, _MASKED_EQUAL, _INT, request),)) for request in _IOCTLS]
    return rules


def _refused_sockets(*, network: bool, gpu: bool) -> list[_Rule]:
    """All sockets but connected pairs of Unix sockets, TCP with the network, and SOCK_SEQPACKET with a GPU.

    A rule names what it refuses, so the families, types and protocols that are allowed are those that no rule names.
    """
    rules: list[_Rule] = [("socketpair", errno.EACCES, ((0, _NOT_EQUAL, socket.AF_UNIX, 0),))]
    # A datagram socket of a pair can send to other addresses.
    rules += _types_but({socket.SOCK_STREAM, socket.SOCK_SEQPACKET}, "socketpair")
    rules += [(call, errno.EACCES, ((place, _MASKED_EQUAL, _MSG_FASTOPEN, _MSG_FASTOPEN),)) for call, place in _SENDING.items()]
    rules += [
        ("setsockopt", errno.EACCES, ((1, _MASKED_EQUAL, _INT, socket.IPPROTO_TCP), (2, _MASKED_EQUAL, _INT, option)))
        for option in (_TCP_FASTOPEN_CONNECT, _TCP_ULP)
    ]
    types = {socket.AF_INET: socket.SOCK_STREAM, socket.AF_INET6: socket.SOCK_STREAM} if network else {}
    types |= {socket.AF_UNIX: socket.SOCK_SEQPACKET} if gpu else {}
    refused_calls = (*(() if network else ("connect",)), *(() if gpu else ("bind", "listen", "accept", "accept4")))
    rules += [(call, errno.EACCES, ()) for call in refused_calls]
    if not types:
        return [*rules, ("socket", errno.EACCES, ())]
    highest = max(types)
    rules += [("socket", errno.EACCES, ((0, _EQUAL, family, 0),)) for family in range(highest) if family not in types]
    rules.append(("socket", errno.EACCES, ((0, _GREATER, highest, 0),)))
    for family, kind in types.items():
        rules += _types_but({kind}, "socket", (0, _EQUAL, family, 0))
        if family != socket.AF_UNIX:  # protocol 0 or TCP: not MPTCP, SMC or SCTP, whose ports Landlock does not restrict
            protocols = [(2, _GREATER, socket.IPPROTO_TCP, 0), *((2, _EQUAL, number, 0) for number in range(1, socket.IPPROTO_TCP))]
            rules += [("socket", errno.EACCES, ((0, _EQUAL, family, 0), protocol)) for protocol in protocols]
    return rules


def _types_but(allowed: set[socket.SocketKind], call: str, *further: tuple[int, ...]) -> list[_Rule]:
    """Refuse all socket types but these."""
    types = (kind for kind in range(_SOCKET_TYPE_MASK + 1) if kind not in allowed)
    return [(call, errno.EACCES, (*further, (1, _MASKED_EQUAL, _SOCKET_TYPE_MASK, kind))) for kind in types]


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
