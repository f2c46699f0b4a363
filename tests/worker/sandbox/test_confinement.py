"""Confinement of the compute process, tested by programs that try what it must not do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from app.local.servers import EmbeddedPostgres
from support.confinement import CONFINE, NOT_TESTED, PRELUDE, ConfinedRun, run_confined
from worker.sandbox.confinement import CAP_DAC_READ_SEARCH, Grant
from worker.sandbox.environment import proxy_ports
from worker.sandbox.landlock import VERSION_WITH_PORTS
from worker.sandbox.pipes import REPLIES_QUEUED, new_reply_queue, read_replies
from worker.sandbox.resource_limits import LimitExceeded, ResourceLimits, ResourceMonitor
from worker.sandbox.scratch_folders import LockedFolder

if TYPE_CHECKING:
    from support.servers import ServerProcess
    from support.worker_service import Service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason=f"{NOT_TESTED}: Landlock and seccomp are Linux's.")

PERMITTED_TO_ROOT = 1 << CAP_DAC_READ_SEARCH
REFUSALS = {"PermissionError", "FileNotFoundError", "OSError"}
"""The last two in a private root, which does not have the file and is read-only."""
REPLY = b'{"type": "progress", "done": 1, "total": 2}\n'

Confined = Callable[..., ConfinedRun]


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """The service's data folder."""
    return tmp_path / "data"


@pytest.fixture
def own_folder(data_folder: Path) -> Path:
    """The compute process's folder within it."""
    folder = data_folder / "work" / "own"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def confined(own_folder: Path) -> Confined:
    """Evaluate expressions, given by keyword, in a confined process."""

    def run(
        *, network: bool = False, ports: tuple[int, ...] = (), readable: tuple[str, ...] = (), unprivileged: bool = False, **attempts: str
    ) -> ConfinedRun:
        return run_confined(own_folder, attempts, network=network, ports=ports, readable=readable, unprivileged=unprivileged)

    return run


def test_a_confined_process_cannot_run_a_program_or_create_a_process(confined: Confined) -> None:
    run = confined(
        execute="os.execv('/bin/true', ['true'])",
        run="subprocess.run(['/bin/true'])",
        setuid="os.execv('/bin/su', ['su'])",
        fork="os.fork()",
        bomb="[os.fork() for _ in range(1000)]",
    )
    run.require("calls")
    assert run.outcomes == dict.fromkeys(run.outcomes, "PermissionError")


def test_a_confined_process_can_create_threads(confined: Confined) -> None:
    run = confined(threads="[threading.Thread(target=len, args=('',)).start() for _ in range(8)] and None")
    run.require("calls")
    assert run.outcomes["threads"] == "done"


def test_a_confined_process_cannot_reach_other_processes(confined: Confined) -> None:
    run = confined(
        end="os.kill(os.getppid(), signal.SIGKILL)",
        suspend="os.kill(os.getppid(), signal.SIGSTOP)",
        trace="libc.ptrace(16, os.getppid(), 0, 0)",
        read="libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0)",
        environment="open(f'/proc/{os.getppid()}/environ').read()",
        memory="open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
        limits="resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        itself="os.kill(os.getpid(), 0)",
    )
    run.require("calls", "files")
    assert run.outcomes.pop("itself") == "done"
    assert set(run.outcomes.values()) <= {*REFUSALS, "Operation not permitted"}


def test_a_confined_process_cannot_mount_enter_namespaces_or_use_bpf_and_io_uring(confined: Confined) -> None:
    numbers = {"x86_64": (250, 321, 425, 323), "aarch64": (219, 280, 425, 282)}.get(os.uname().machine)
    if numbers is None:
        pytest.skip(f"{NOT_TESTED}: this test has the numbers of system calls for x86_64 and aarch64 alone.")
    keyctl, bpf, io_uring_setup, userfaultfd = numbers
    run = confined(
        mount="libc.mount(b'none', b'/mnt', b'tmpfs', 0, 0)",
        root="libc.chroot(b'/')",
        unshare="libc.unshare(0x10000000)",
        enter="libc.setns(0, 0)",
        keyctl=f"libc.syscall({keyctl}, 0, 0)",
        bpf=f"libc.syscall({bpf}, 0, 0, 0)",
        io_uring=f"libc.syscall({io_uring_setup}, 1, 0)",
        userfaultfd=f"libc.syscall({userfaultfd}, 0)",
        outlive_parent="libc.prctl(1, 0, 0, 0, 0)",
    )
    run.require("calls")
    assert run.outcomes == dict.fromkeys(run.outcomes, "Operation not permitted")


@pytest.mark.parametrize("unprivileged", [False, True])
def test_a_confined_process_has_no_capability_but_roots_to_read_files(confined: Confined, unprivileged: bool) -> None:
    """An unprivileged process gets every capability in the user namespace in which it leaves the network, and must drop them too."""
    run = confined(
        unprivileged=unprivileged,
        hostname="libc.sethostname(b'hacked', 6)",
        become="os.setuid(12345)",
        own="os.chown('/etc/hosts', 1, 1)",
    )
    permitted = PERMITTED_TO_ROOT if os.geteuid() == 0 and not unprivileged else 0
    assert run.protections["privileges"] == "none"
    assert run.capabilities["CapEff"] | run.capabilities["CapPrm"] | run.capabilities["CapInh"] | permitted == permitted
    assert "done" not in run.outcomes.values()
    if (os.geteuid() == 0 and not unprivileged) or run.protections["network"] == "isolated":
        assert run.capabilities["CapBnd"] | permitted == permitted


def test_a_confined_process_sees_its_own_folder_and_granted_files_alone(
    confined: Confined, data_folder: Path, own_folder: Path, tmp_path: Path
) -> None:
    (data_folder / "api-key-secret").write_text("secret")
    (data_folder / "work" / "another").mkdir()
    (data_folder / "work" / "another" / "weights").write_text("another owner's")
    (tmp_path / "granted").mkdir()
    (tmp_path / "granted" / "x").write_text("granted")
    run = confined(
        readable=(str(tmp_path / "granted"),),
        key=f"open({str(data_folder / 'api-key-secret')!r}).read()",
        others=f"open({str(data_folder / 'work' / 'another' / 'weights')!r}).read()",
        listing=f"os.listdir({str(data_folder)!r})",
        outside=f"open({str(tmp_path / 'evil')!r}, 'w')",
        code=f"open({str(Path(__file__).parents[3] / 'worker' / 'evil.py')!r}, 'w')",
        packages="open(os.path.join(os.path.dirname(os.__file__), 'evil.py'), 'w')",
        shadow="open('/etc/shadow').read()",
        disks="os.listdir('/dev')",
        link=f"os.symlink('/etc/passwd', {str(own_folder / 'report.json')!r})",
        pipe=f"os.mkfifo({str(own_folder / 'pipe')!r})",
        written=f"open({str(own_folder / 'mine')!r}, 'w').write('x') and None",
        moved=f"os.mkdir({str(own_folder / 'd')!r}) or os.rename({str(own_folder / 'mine')!r}, {str(own_folder / 'd' / 'mine')!r})",
        granted=f"open({str(tmp_path / 'granted' / 'x')!r}).read() and None",
        changed=f"open({str(tmp_path / 'granted' / 'x')!r}, 'w')",
    )
    run.require("files")
    allowed = {"written", "moved", "granted"}
    assert {name for name, outcome in run.outcomes.items() if outcome == "done"} == allowed
    assert {outcome for name, outcome in run.outcomes.items() if name not in allowed} <= REFUSALS


@pytest.fixture
def listening_port() -> Iterator[int]:
    """The port of a server on this machine, as Redis is one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_confined_process_cannot_connect_to_a_server_on_this_machine(confined: Confined, listening_port: int) -> None:
    run = confined(connect=f"socket.create_connection(('127.0.0.1', {listening_port}), 2).close()", packet="socket.socket(17, 3)")
    run.require("network")
    assert "done" not in run.outcomes.values()


def test_a_process_with_the_network_can_connect_to_the_ports_of_downloads_alone(confined: Confined, listening_port: int) -> None:
    attempt = f"socket.create_connection(('127.0.0.1', {listening_port}), 2).close()"
    run = confined(network=True, ports=(443,), connect=attempt, listen="socket.create_server(('127.0.0.1', 0))")
    run.require("files")
    if int(run.protections["files"].split()[1]) < VERSION_WITH_PORTS:
        pytest.skip(f"{NOT_TESTED}: this kernel's Landlock cannot restrict ports.")
    assert run.outcomes == {"connect": "PermissionError", "listen": "PermissionError"}
    assert confined(network=True, ports=(listening_port,), connect=attempt).outcomes["connect"] == "done"


@pytest.mark.parametrize("network", [False, True])
def test_a_confined_process_cannot_connect_to_the_database_through_its_unix_socket(
    confined: Confined, postgres_server: ServerProcess, network: bool
) -> None:
    """The embedded PostgreSQL accepts every process that may enter its socket's folder, which a process of the same user may."""
    assert isinstance(postgres_server.server, EmbeddedPostgres)
    path = next(postgres_server.server.socket_folder.glob(".s.PGSQL.*"))
    run = confined(network=network, connect=f"socket.socket(socket.AF_UNIX).connect({str(path)!r})")
    run.require("calls")
    assert run.outcomes["connect"] == "PermissionError"


def test_the_kernel_kills_a_process_at_its_limit_of_processor_time(own_folder: Path) -> None:
    program = PRELUDE + CONFINE
    program += "worker.sandbox.confinement.CPU_SLACK_SECONDS = 0\nlimit_processor_time(1 / os.cpu_count())\nwhile True: pass\n"
    grant = json.dumps(Grant(network=False, writable=(str(own_folder),)).to_dict())
    done = subprocess.run([sys.executable, "-c", program, grant], capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGXCPU


def test_an_unprivileged_confined_process_dies_with_its_parent(wait_until: Callable[..., Any]) -> None:
    """An unprivileged process leaves the network through a user namespace."""
    program = PRELUDE + (
        "become_unprivileged()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    confine(os.getppid(), Grant(False, ()))\n"
        "    print(os.getpid(), flush=True)\n"
        "    signal.pause()\n"
        "os.waitpid(child, 0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10, "the child to die")


def test_the_compute_process_has_every_protection_that_the_platform_offers(service: Service, confined: Confined) -> None:
    offered = confined().protections
    assert service.run(service.add_check()) == "succeeded"
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{service.compute.pid}/status").read_text().splitlines() if ":\t" in line)
    permitted = PERMITTED_TO_ROOT if os.geteuid() == 0 else 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == ("2" if offered["calls"] == "seccomp" else "0")
    assert int(status["CapEff"], 16) | permitted == permitted
    if os.geteuid() == 0 or offered["network"] == "isolated":
        assert int(status["CapBnd"], 16) | permitted == permitted


def test_the_compute_process_inherits_no_descriptor_but_its_pipes(service: Service, tmp_path: Path) -> None:
    kept_open = (tmp_path / "secret").open("w")
    os.set_inheritable(kept_open.fileno(), True)
    with kept_open:
        service.compute.kill()
        assert service.run(service.add_check()) == "succeeded"
        folder = Path(f"/proc/{service.compute.pid}/fd")
        targets = {os.readlink(entry) for entry in folder.iterdir()}
    ordinary = {target for target in targets if target.startswith(("pipe:", "/dev/null", "anon_inode:", "/memfd:"))}
    assert targets - ordinary == set()


def test_another_owner_gets_a_fresh_process_and_an_empty_home(service: Service) -> None:
    assert service.run(service.add_check()) == "succeeded"
    first = service.compute.pid
    assert service.run(service.add_check()) == "succeeded"
    assert service.compute.pid == first
    left = service.compute.folder / "home" / "left-behind"
    left.write_text("of the first owner")
    service.become_another_owner()
    assert service.run(service.add_check()) == "succeeded"
    assert service.compute.pid != first
    assert not left.exists()


def test_a_job_that_fills_the_disk_fails_with_a_sentence_and_leaves_no_workspace(service: Service) -> None:
    with service.frozen_compute():
        service.runtime.settings.child_disk_bytes = 1000
        job_id = service.add_check()
        assert service.run_aside(job_id).result(60) == "failed"
    error = service.error_of(job_id)
    assert error["code"] == "disk_limit_exceeded"
    assert error["message"].endswith("Send a smaller data set.")
    assert list(service.compute.folder.glob("job_*")) == []


def test_a_process_with_too_many_threads_exceeds_its_limit(tmp_path: Path, wait_until: Callable[..., Any]) -> None:
    program = "import threading, time\nfor _ in range(1100): threading.Thread(target=time.sleep, args=(60,)).start()"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        monitor = ResourceMonitor(process.pid, tmp_path)
        try:
            with pytest.raises(LimitExceeded, match="threads") as caught:
                wait_until(lambda: monitor.check(ResourceLimits()), 30, "the monitor to count the threads")
        finally:
            process.kill()
    assert caught.value.code == "process_limit_exceeded"


def test_endless_replies_fill_a_bounded_queue_and_not_the_memory(wait_until: Callable[..., Any]) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    replies, sent = new_reply_queue(), 0

    def queue_and_pipe_are_full() -> bool:
        nonlocal sent
        with suppress(BlockingIOError):
            while True:
                os.write(write, REPLY)
                sent += 1
        return replies.full()

    with os.fdopen(read, "r") as pipe:
        reader = threading.Thread(target=read_replies, args=(pipe, replies), daemon=True)
        reader.start()
        wait_until(queue_and_pipe_are_full, 30, "the reader to stop reading")
        assert replies.qsize() == REPLIES_QUEUED
        assert sent * len(REPLY) < 1 << 20
        os.close(write)
        assert sum(1 for _ in iter(replies.get, None)) == sent
        reader.join(30)
        assert not reader.is_alive()


def test_the_next_worker_removes_the_folder_of_a_killed_worker(tmp_path: Path) -> None:
    killed, alive = LockedFolder(tmp_path, "killed"), LockedFolder(tmp_path, "alive")
    for folder in (killed, alive):
        (folder.create() / "weights").write_text("x")
    assert killed._lock is not None
    killed._lock.close()  # as the kernel does when a process dies
    LockedFolder(tmp_path, "next").create()
    assert {folder.name for folder in tmp_path.iterdir()} == {"alive", "next"}
    assert (alive.create() / "weights").exists()


def test_the_ports_of_proxies_are_granted_besides_https() -> None:
    assert proxy_ports({"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://proxy"}) == (80, 3128)
    assert proxy_ports({}) == ()
