"""Attacks on the confinement of a compute process, as Python expressions, by the row of docs/security.md's table that each must not break.

Names in an expression besides those of `support.confinement.PRELUDE`: `own` is the process's own folder, `outside` a folder outside it with
the files `program` and `artifact`, `granted` a file that it may read, `parent` the process id of another process of the same user, `port` a
listening TCP port, `udp_port` a UDP port, and `listener` and `abstract` the path and the abstract name of listening SOCK_SEQPACKET sockets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HELPERS = """
import fcntl, struct
end, held = os.pipe()  # closes with this process; the kernel's signal at a parent's death does not leave Landlock's scope
parent = os.fork()  # another process of this user, as the worker is one
if parent == 0:
    for descriptor in (0, 1, 2, held): os.close(descriptor)
    os.read(end, 1)
    os._exit(0)
signal.signal(signal.SIGIO, signal.SIG_IGN)
AT_FDCWD = -100
def number(name):
    x86 = os.uname().machine == 'x86_64'
    table = {
        'sched_setattr': (314, 274), 'ioprio_set': (251, 30), 'fchmodat2': (452, 452), 'setxattrat': (463, 463), 'file_setattr': (469, 469),
        'listns': (470, 470), 'shmget': (29, 194), 'semget': (64, 190), 'msgget': (68, 186), 'mq_open': (240, 180), 'kcmp': (312, 272),
        'inotify_init1': (294, 26), 'execveat': (322, 281), 'migrate_pages': (256, 238), 'io_uring_setup': (425, 425), 'bpf': (321, 280),
        'keyctl': (250, 219), 'userfaultfd': (323, 282), 'setns': (308, 268), 'name_to_handle_at': (303, 264), 'pidfd_open': (434, 434),
        'process_vm_writev': (311, 271), 'perf_event_open': (298, 241), 'fsopen': (430, 430), 'open_tree': (428, 428),
        'clone3': (435, 435), 'sendmmsg': (307, 269)}
    return table[name][0 if x86 else 1]
def call(name, *arguments):
    return libc.syscall(number(name), *arguments)
def opened(path):
    return os.open(path, os.O_RDONLY)
def fast_open(method):
    content = (b'GET',) if method == 'sendto' else ([b'GET'], [])
    getattr(socket.socket(socket.AF_INET, socket.SOCK_STREAM), method)(*content, 0x20000000, ('127.0.0.1', port))
def connected(family, kind, protocol, port):
    with socket.socket(family, kind, protocol) as attempt:
        attempt.settimeout(2)
        attempt.connect(('127.0.0.1', port))
        attempt.send(b'x')
def listening():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.listen(1)
def owned_signal():
    read, write = os.pipe()
    fcntl.fcntl(read, 8, parent)  # F_SETOWN
    fcntl.fcntl(read, 10, signal.SIGWINCH)  # F_SETSIG
def planted(path):
    with open(path, 'w') as file: file.write('left for the next owner')
    os.stat(path)
def owned_by_ioctl(request):
    first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    fcntl.ioctl(first, request, struct.pack('i', parent))
"""


@dataclass(frozen=True)
class Attack:
    """One attempt, as an expression.

    Attributes
    ----------
    row : of the table in docs/security.md
    network : whether the process has the network; None for either
    only_where : `private root` or `no GPU`, or both, for an attack that fails only where the process has one of them
    """

    name: str
    row: str
    expression: str
    network: bool | None = None
    only_where: frozenset[str] = frozenset()

    def must_fail(self, *, private_root: bool, gpu: bool) -> bool:
        """Whether the attack must fail in a process with or without a private root, and with or without a GPU."""
        has = {name for name, holds in ((PRIVATE_ROOT, private_root), (NO_GPU, not gpu)) if holds}
        return not self.only_where or bool(has & self.only_where)


PRIVATE_ROOT, NO_GPU = "private root", "no GPU"
FILES = "sees only its own folder, Python, system libraries and GPU devices"
PATHS = "cannot see other processes, nor watch or lock files"
EXISTENCE = "cannot ask whether a path exists, its size, times or owner"
METADATA = "cannot change owner, mode, times or attributes of any file"
LINKS = "cannot create links, pipes or devices that the parent might follow"
PROGRAMS = "executes no program, creates no process"
PROCESSES = "no signals to other processes, no tracing, no access to their memory"
PRIORITY = "cannot change the priority, processors or memory nodes of other processes"
LEFTOVERS = "leaves no shared memory, semaphore, queue or file for the next owner"
KERNEL = "no mounts, namespaces, keys, BPF, io_uring, modules, clocks"
NETWORK = "no network"
PORTS = "with the network, only TCP to port 443, name servers and the proxy's ports"
UNIX = "no Unix sockets of services (embedded PostgreSQL, Docker)"
PRIVILEGES = "no capabilities"


def _attacks(row: str, *, network: bool | None = None, only_where: Iterable[str] = (), **expressions: str) -> tuple[Attack, ...]:
    return tuple(Attack(name, row, expression, network, frozenset(only_where)) for name, expression in expressions.items())


ATTACKS: tuple[Attack, ...] = (
    *_attacks(
        METADATA,
        chmod="os.chmod(outside + '/program', 0o4755)",
        fchmod="os.fchmod(opened(granted), 0o4755)",
        fchmodat2="call('fchmodat2', AT_FDCWD, (outside + '/program').encode(), 0o4755, 0)",
        chown="os.chown(outside + '/program', os.getuid(), os.getgid())",
        lchown="os.lchown(outside + '/program', os.getuid(), os.getgid())",
        fchown="os.fchown(opened(granted), os.getuid(), os.getgid())",
        utime="os.utime(outside + '/artifact', (0, 0))",
        utime_descriptor="os.utime(opened(granted))",
        setxattr="os.setxattr(outside + '/artifact', 'user.planted', b'x')",
        setxattr_descriptor="os.setxattr(opened(granted), 'user.planted', b'x')",
        removexattr="os.removexattr(outside + '/artifact', 'user.kept')",
        setxattrat="call('setxattrat', AT_FDCWD, (outside + '/artifact').encode(), 0, b'user.x', struct.pack('QII', 0, 0, 0), 16)",
        file_setattr="call('file_setattr', AT_FDCWD, (outside + '/artifact').encode(), struct.pack('QIIIIQ', 0, 0, 0, 0, 0, 0), 24, 0)",
        inode_flags="fcntl.ioctl(opened(granted), 0x40086602, struct.pack('l', 0))",
        inode_flags_high_bits="-1 if libc.ioctl(opened(granted), ctypes.c_ulong(0xDEAD_0000_4008_6602), struct.pack('l', 0)) else None",
        own_file="os.chmod(own, 0o777)",
        chmod_zero="os.chmod(outside + '/artifact', 0)",
    ),
    *_attacks(
        PATHS,
        command_line="open(f'/proc/{parent}/cmdline').read()",
        command_line_of_first="open('/proc/1/cmdline').read()",
        status="open(f'/proc/{parent}/status').read()",
        descriptors="os.listdir(f'/proc/{parent}/fd')",
        root_of_parent="os.listdir(f'/proc/{parent}/root')",
        processes="os.listdir('/proc')",
        open_files="os.listdir(f'/proc/{parent}/map_files')",
        segments="open('/proc/sysvipc/shm').read()",
        locks="open('/proc/locks').read()",
        kernel_symbols="open('/proc/kallsyms').read()",
        control_groups="os.listdir('/sys/fs/cgroup')",
        kernel_settings="os.listdir('/sys/kernel')",
        watch="call('inotify_init1', 0)",
        lease="fcntl.fcntl(opened(granted), 1024, 0)",
        notify="fcntl.fcntl(opened(own), 1026, 2)",
    ),
    *_attacks(
        EXISTENCE,
        only_where=(PRIVATE_ROOT,),
        stat="os.stat(outside + '/artifact')",
        stat_log="os.stat('/var/log')",
        stat_process="os.stat(f'/proc/{parent}')",
        access="os.stat('/etc/shadow')",
        open_path="os.close(os.open(outside, os.O_PATH))",
        change_folder="os.chdir(outside)",
        read_link="os.readlink('/proc/1/exe') if os.path.lexists('/proc/1/exe') else opened('/proc/1')",
    ),
    *_attacks(
        FILES,
        read="open(outside + '/artifact').read()",
        write="open(outside + '/artifact', 'w')",
        truncate="os.truncate(outside + '/artifact', 0)",
        remove="os.remove(outside + '/artifact')",
        listing="os.listdir(outside)",
        create="open(outside + '/new', 'w')",
        make_folder="os.mkdir(outside + '/new')",
        move="os.rename(outside + '/artifact', own + '/artifact')",
        hard_link="os.link(outside + '/artifact', own + '/artifact')",
        shadow="open('/etc/shadow').read()",
        devices="os.listdir('/dev')",
        environment="open(f'/proc/{parent}/environ').read()",
        memory="open(f'/proc/{parent}/mem', 'rb').read(1)",
        handle="call('name_to_handle_at', AT_FDCWD, b'/', ctypes.create_string_buffer(128), ctypes.create_string_buffer(8), 0)",
        terminal="opened('/dev/tty')",
        own_executable="open(own + '/program', 'w').close() or os.execv(own + '/program', ['x'])",
    ),
    *_attacks(
        LINKS,
        symbolic_link="os.symlink('/etc/passwd', own + '/link')",
        pipe="os.mkfifo(own + '/pipe')",
        device="os.mknod(own + '/device', 0o20600, 0x0103)",
        unix_socket="socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(own + '/socket')",
    ),
    *_attacks(
        PROGRAMS,
        execute="os.execv('/bin/true', ['true'])",
        execute_descriptor="call('execveat', opened('/usr/bin/env'), b'', None, None, 0x1000)",
        run="subprocess.run(['/bin/true'])",
        spawn="os.posix_spawn('/bin/true', ['true'], {})",
        fork="os.fork()",
        clone3="call('clone3', struct.pack('8Q', 0, 0, 0, 0, 17, 0, 0, 0), 64)",
    ),
    *_attacks(
        PROCESSES,
        end="os.kill(parent, signal.SIGCONT)",
        end_all="os.kill(-1, 0)",
        owned_signal="owned_signal()",
        owner_by_ioctl="owned_by_ioctl(0x8901)",
        trace="libc.ptrace(16, parent, 0, 0)",
        read_memory="libc.process_vm_readv(parent, 0, 0, 0, 0, 0)",
        write_memory="call('process_vm_writev', parent, 0, 0, 0, 0, 0)",
        descriptor="call('pidfd_open', parent, 0)",
        compare="call('kcmp', parent, os.getpid(), 0, 0, 0)",
        limits="resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1))",
        outlive="libc.prctl(1, 0, 0, 0, 0)",
        hide="libc.prctl(4, 0, 0, 0, 0)",
        outlive_high_bits="libc.prctl(ctypes.c_ulong(0x1_0000_0001), ctypes.c_ulong(0), 0, 0, 0)",
        measure="call('perf_event_open', ctypes.create_string_buffer(128), parent, -1, -1, 0)",
    ),
    *_attacks(
        PRIORITY,
        renice="os.setpriority(os.PRIO_PROCESS, parent, 19)",
        renice_user="os.setpriority(os.PRIO_USER, os.getuid(), os.getpriority(os.PRIO_USER, os.getuid()))",
        pin="os.sched_setaffinity(parent, {0})",
        schedule="os.sched_setscheduler(parent, os.SCHED_IDLE, os.sched_param(0))",
        schedule_attributes="call('sched_setattr', parent, struct.pack('IIQiIQQQ', 48, 5, 0, 0, 0, 0, 0, 0), 0)",
        disk_priority="call('ioprio_set', 1, parent, 3 << 13)",
        memory_nodes="call('migrate_pages', parent, 64, struct.pack('Q', 1), struct.pack('Q', 1))",
    ),
    *_attacks(
        LEFTOVERS,
        shared_memory="planted('/dev/shm/left-behind')",
        segment="call('shmget', 0x1157, 4096, 0o1666)",
        semaphore="call('semget', 0x1157, 1, 0o1666)",
        message_queue="call('msgget', 0x1157, 0o1666)",
        posix_queue="call('mq_open', b'left-behind', 0o102, 0o666, None)",
        temporary="planted('/tmp/left-behind')",
        temporary_variable="planted('/var/tmp/left-behind')",
    ),
    *_attacks(
        KERNEL,
        mount="libc.mount(b'none', b'/usr', b'tmpfs', 0, 0)",
        root="libc.chroot(own.encode())",
        unshare="libc.unshare(0x10000000)",
        enter="call('setns', 0, 0)",
        keys="call('keyctl', 0, 0)",
        bpf="call('bpf', 0, 0, 0)",
        io_uring="call('io_uring_setup', 1, 0)",
        page_faults="call('userfaultfd', 0)",
        file_system="call('fsopen', b'tmpfs', 0)",
        tree="call('open_tree', AT_FDCWD, b'/', 1)",
        namespaces="call('listns', 0, 0, 0, 0)",
        later_calls="libc.syscall(500)",
        clock="libc.clock_settime(0, struct.pack('qq', 0, 0))",
    ),
    *_attacks(
        PRIVILEGES,
        hostname="libc.sethostname(b'hacked', 6)",
        become="os.setuid(12345)",
        groups="os.setgroups([0, 42])",
    ),
    *_attacks(
        NETWORK,
        network=False,
        connect="socket.create_connection(('127.0.0.1', port), 2).close()",
        connect_6="socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        packet="socket.socket(17, socket.SOCK_RAW)",
        pair="libc.socketpair(socket.AF_INET, 1, 0, ctypes.create_string_buffer(8))",
        mptcp_without_network="connected(socket.AF_INET, socket.SOCK_STREAM, 262, port)",
        udp_without_network="connected(socket.AF_INET, socket.SOCK_DGRAM, 0, udp_port)",
        family_high_bits="-1 if libc.socket(ctypes.c_ulong(0x1_0000_0002), ctypes.c_ulong(1), ctypes.c_ulong(0)) < 0 else None",
    ),
    *_attacks(
        PORTS,
        network=True,
        other_port="socket.create_connection(('127.0.0.1', port), 2).close()",
        mptcp="connected(socket.AF_INET, socket.SOCK_STREAM, 262, port)",
        smc="connected(socket.AF_INET, socket.SOCK_STREAM, 256, port)",
        smc_family="socket.socket(43, socket.SOCK_STREAM)",
        sctp="socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)",
        fast_open="fast_open('sendto')",
        fast_open_message="fast_open('sendmsg')",
        fast_open_option="socket.socket(socket.AF_INET, socket.SOCK_STREAM).setsockopt(6, 30, 1)",
        many_messages="call('sendmmsg', 0, 0, 0, 0x20000000)",
        udp="connected(socket.AF_INET, socket.SOCK_DGRAM, 0, udp_port)",
        udp_6="socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        raw="socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        packets="socket.socket(17, socket.SOCK_RAW)",
        routes="socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
        listen="socket.create_server(('127.0.0.1', 0))",
    ),
    *_attacks(PORTS, network=True, only_where=(NO_GPU,), listen_unbound="listening()"),
    *_attacks(
        UNIX,
        unix_stream="socket.socket(socket.AF_UNIX).connect(listener)",
        unix_datagram_pair="socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', listener)",
        unix_datagram="socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', listener)",
        virtual_machine="socket.socket(40, socket.SOCK_STREAM)",
    ),
    *_attacks(
        UNIX,
        network=True,
        only_where=(PRIVATE_ROOT, NO_GPU),
        unix_packets_with_network="socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(listener)",
    ),
    *_attacks(UNIX, network=False, unix_packets="socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(listener)"),
    *_attacks(UNIX, network=False, unix_abstract="socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('\\0' + abstract)"),
    # With a GPU, Landlock 6 refuses it alone.
    *_attacks(
        UNIX,
        network=True,
        only_where=(NO_GPU,),
        unix_abstract_with_network="socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect('\\0' + abstract)",
    ),
)
