"""What a compute process may no longer do, tried by programs that really try, under the very same confinement."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from worker.sandbox.confinement import Grant
from worker.sandbox.environment import proxy_ports
from worker.sandbox.pipes import ANSWERS_WAITING, new_answers, pump_answers
from worker.sandbox.resource_limits import LimitExceeded, ResourceLimits, ResourceMonitor
from worker.sandbox.scratch_folders import LockedFolder

if TYPE_CHECKING:
    from support.servers import ServerProcess
    from support.worker_service import Service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's means; elsewhere only the limits of resources hold")

PRELUDE = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading
from worker.sandbox.confinement import Grant, confine, limit_processor_time
import worker.sandbox.confinement
held = confine(os.getppid(), Grant(**json.loads(sys.argv[1])))
libc = ctypes.CDLL(None, use_errno=True)
def tried(action):
    try: outcome = action()
    except OSError as error: return type(error).__name__
    return 'done' if outcome is None or outcome != -1 else os.strerror(ctypes.get_errno())
"""

Confined = Callable[..., dict[str, Any]]


@pytest.fixture
def rooms(tmp_path: Path) -> tuple[Path, Path]:
    """A process's own folder, and the service's data folder around it."""
    own = tmp_path / "data" / "work" / "own"
    own.mkdir(parents=True)
    return own, tmp_path / "data"


@pytest.fixture
def confined(rooms: tuple[Path, Path]) -> Confined:
    """Run the expressions of `attempts` in a confined process; returns what became of each, by its name."""

    def run(*, network: bool = False, ports: tuple[int, ...] = (), reads: tuple[str, ...] = (), **attempts: str) -> dict[str, Any]:
        grant = Grant(network, (str(rooms[0]),), reads, ports)
        program = PRELUDE + "found = held.to_dict()\n"
        program += "".join(f"found[{name!r}] = tried(lambda: {attempt})\n" for name, attempt in attempts.items())
        program += "print(json.dumps(found))"
        command = [sys.executable, "-P", "-s", "-c", program, json.dumps(grant.to_dict())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def require(found: dict[str, Any], name: str) -> None:
    """Skip, loudly, where this platform does not grant a protection."""
    if found[name] in {"open", "kept"}:
        pytest.skip(f"This platform does not hold {name}.")


def test_no_program_is_executed_and_no_process_made(confined: Confined) -> None:
    found = confined(
        execute="os.execv('/bin/true', ['true'])",
        run="subprocess.run(['/bin/true'])",
        setuid="os.execv('/bin/su', ['su'])",
        fork="os.fork()",
        bomb="[os.fork() for _ in range(1000)]",
    )
    require(found, "calls")
    refused = {name: found[name] for name in ("execute", "run", "setuid", "fork", "bomb")}
    assert refused == dict.fromkeys(refused, "PermissionError")


def test_threads_are_still_made(confined: Confined) -> None:
    started = "[threading.Thread(target=len, args=('',)).start() for _ in range(8)] and None"
    assert confined(threads=started)["threads"] == "done"


def test_other_processes_are_out_of_reach(confined: Confined) -> None:
    found = confined(
        end="os.kill(os.getppid(), signal.SIGKILL)",
        suspend="os.kill(os.getppid(), signal.SIGSTOP)",
        trace="libc.ptrace(16, os.getppid(), 0, 0)",
        read="libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0)",
        environment="open(f'/proc/{os.getppid()}/environ').read()",
        memory="open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
        limits="resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        itself="os.kill(os.getpid(), 0)",
    )
    require(found, "calls")
    require(found, "files")
    assert found["itself"] == "done"
    assert {found[name] for name in ("end", "suspend", "trace", "read", "environment", "memory", "limits")} <= {
        "PermissionError",
        "Operation not permitted",
    }


def test_the_kernel_s_machinery_is_out_of_reach(confined: Confined) -> None:
    numbers = {"x86_64": (250, 321, 425, 323), "aarch64": (219, 280, 425, 282)}.get(os.uname().machine)
    if numbers is None:
        pytest.skip("The numbers of system calls are known for two architectures here.")
    keys, programs, rings, faults = numbers
    found = confined(
        mount="libc.mount(b'none', b'/mnt', b'tmpfs', 0, 0)",
        root="libc.chroot(b'/')",
        unshare="libc.unshare(0x10000000)",
        enter="libc.setns(0, 0)",
        keys=f"libc.syscall({keys}, 0, 0)",
        programs=f"libc.syscall({programs}, 0, 0, 0)",
        rings=f"libc.syscall({rings}, 1, 0)",
        faults=f"libc.syscall({faults}, 0)",
        survive="libc.prctl(1, 0, 0, 0, 0)",
    )
    require(found, "calls")
    tried = [name for name in found if name not in {"network", "files", "calls", "privileges"}]
    assert {name: found[name] for name in tried} == dict.fromkeys(tried, "Operation not permitted")


def test_no_capability_is_left_but_to_read(confined: Confined) -> None:
    found = confined(clock="libc.sethostname(b'hacked', 6)", become="os.setuid(12345)", own="os.chown('/etc/hosts', 1, 1)")
    require(found, "privileges")
    assert {found[name] for name in ("clock", "become", "own")} <= {"PermissionError", "Operation not permitted"} or os.geteuid() != 0


def test_nothing_of_the_service_is_seen_but_its_own_folder(confined: Confined, rooms: tuple[Path, Path], tmp_path: Path) -> None:
    own, data = rooms
    (data / "api-key-secret").write_text("secret")
    (data / "work" / "another").mkdir()
    (data / "work" / "another" / "weights").write_text("theirs")
    (tmp_path / "granted").mkdir()
    (tmp_path / "granted" / "x").write_text("given")
    found = confined(
        reads=(str(tmp_path / "granted"),),
        key=f"open({str(data / 'api-key-secret')!r}).read()",
        others=f"open({str(data / 'work' / 'another' / 'weights')!r}).read()",
        listing=f"os.listdir({str(data)!r})",
        outside=f"open({str(tmp_path / 'evil')!r}, 'w')",
        code=f"open({str(Path(__file__).parents[3] / 'worker' / 'evil.py')!r}, 'w')",
        packages="open(os.path.join(os.path.dirname(os.__file__), 'evil.py'), 'w')",
        shadow="open('/etc/shadow').read()",
        disks="os.listdir('/dev')",
        link=f"os.symlink('/etc/passwd', {str(own / 'report.json')!r})",
        pipe=f"os.mkfifo({str(own / 'pipe')!r})",
        written=f"open({str(own / 'mine')!r}, 'w').write('x') and None",
        moved=f"os.mkdir({str(own / 'd')!r}) or os.rename({str(own / 'mine')!r}, {str(own / 'd' / 'mine')!r})",
        given=f"open({str(tmp_path / 'granted' / 'x')!r}).read() and None",
        changed=f"open({str(tmp_path / 'granted' / 'x')!r}, 'w')",
    )
    require(found, "files")
    allowed = {"written", "moved", "given"}
    assert {name: found[name] for name in allowed} == dict.fromkeys(allowed, "done")
    refused = ("key", "others", "listing", "outside", "code", "packages", "shadow", "disks", "link", "pipe", "changed")
    assert {name: found[name] for name in refused} == dict.fromkeys(refused, "PermissionError")


@pytest.fixture
def listener() -> Iterator[int]:
    """A server on this machine, as Redis is one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_server_on_this_machine_is_not_reached(confined: Confined, listener: int) -> None:
    found = confined(reach=f"socket.create_connection(('127.0.0.1', {listener}), 2).close()", packet="socket.socket(17, 3)")
    if found["network"] == "open":
        pytest.skip("This platform keeps no process from the network.")
    assert found["reach"] != "done"
    assert found["packet"] != "done"


def test_with_the_network_only_the_ports_of_downloads_are_reached(confined: Confined, listener: int) -> None:
    attempt = f"socket.create_connection(('127.0.0.1', {listener}), 2).close()"
    found = confined(network=True, ports=(443,), reach=attempt, listen="socket.create_server(('127.0.0.1', 0))")
    require(found, "files")
    if int(found["files"].split()[1]) < 4:
        pytest.skip("This kernel's Landlock knows no ports.")
    assert (found["reach"], found["listen"]) == ("PermissionError", "PermissionError")
    assert confined(network=True, ports=(listener,), reach=attempt)["reach"] == "done"


@pytest.mark.parametrize("network", [False, True])
def test_the_database_is_not_reached_through_its_socket(confined: Confined, postgres_server: ServerProcess, network: bool) -> None:
    """The embedded PostgreSQL trusts whoever may enter its socket's folder, which a process of the same user may."""
    path = next(Path(postgres_server.server.socket_folder).glob(".s.PGSQL.*"))  # type: ignore[union-attr]
    connect = f"socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    found = confined(network=network, reach=connect)
    require(found, "calls")
    assert found["reach"] == "PermissionError"


def test_a_process_computes_no_longer_than_it_may_even_unwatched(rooms: tuple[Path, Path]) -> None:
    program = PRELUDE + "worker.sandbox.confinement.CPU_SLACK_SECONDS = 0\nlimit_processor_time(1 / os.cpu_count())\nwhile True: pass\n"
    grant = json.dumps(Grant(network=False, writes=(str(rooms[0]),)).to_dict())
    done = subprocess.run([sys.executable, "-c", program, grant], capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGXCPU


def test_it_dies_with_its_parent_also_in_a_user_name_space_of_its_own(rooms: tuple[Path, Path], wait_until: Callable[..., Any]) -> None:
    """As an unprivileged user, who needs one to leave the network."""
    program = (
        "import ctypes, os, signal\n"
        "from worker.sandbox.confinement import Grant, confine\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"  # a process that has changed its user may not write its own maps
        "child = os.fork()\n"
        "if child == 0:\n"
        "    held = confine(os.getppid(), Grant(False, ()))\n"
        "    print(os.getpid(), held.network, flush=True)\n"
        "    signal.pause()\n"
        "os.waitpid(child, 0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[0])
        assert psutil.pid_exists(pid)
        parent.kill()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10, "the child to die")


def test_a_compute_process_holds_every_protection_that_the_platform_grants(service: Service, confined: Confined) -> None:
    granted = confined()
    assert service.run(service.add_check()) == "succeeded"
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{service.compute.pid}/status").read_text().splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == ("2" if granted["calls"] == "seccomp" else "0")
    if granted["privileges"] == "none":
        assert int(status["CapEff"], 16) & ~(1 << 2) == 0
        assert int(status["CapBnd"], 16) & ~(1 << 2) == 0 or os.geteuid() != 0


def test_a_compute_process_inherits_no_descriptor_but_its_pipes(service: Service, tmp_path: Path) -> None:
    kept_open = (tmp_path / "secret").open("w")
    os.set_inheritable(kept_open.fileno(), True)
    with kept_open:
        service.compute.kill()
        assert service.run(service.add_check()) == "succeeded"
        folder = Path(f"/proc/{service.compute.pid}/fd")
        targets = {os.readlink(entry) for entry in folder.iterdir()}
    ordinary = {target for target in targets if target.startswith(("pipe:", "/dev/null", "anon_inode:", "/memfd:"))}
    assert targets - ordinary == set()


def test_each_owner_gets_a_process_that_read_no_other_owner_s_files(service: Service) -> None:
    assert service.run(service.add_check()) == "succeeded"
    first = service.compute.pid
    assert service.run(service.add_check()) == "succeeded"
    assert service.compute.pid == first
    left = service.compute.folder / "home" / "left-behind"
    left.write_text("for whoever comes next")
    service.become_another_owner()
    assert service.run(service.add_check()) == "succeeded"
    assert service.compute.pid != first
    assert not left.exists()


def test_a_job_that_fills_the_disk_is_ended_with_a_sentence(service: Service) -> None:
    with service.frozen_compute():
        service.runtime.settings.child_disk_bytes = 1000
        job_id = service.add_check()
        assert service.run_aside(job_id).result(60) == "failed"
    error = service.job(job_id).error
    assert error["code"] == "disk_limit_exceeded"
    assert error["message"].endswith("Send a smaller data set.")
    assert list(service.compute.folder.glob("job_*")) == []


def test_a_process_of_too_many_threads_is_told(tmp_path: Path) -> None:
    program = "import threading, time\nfor _ in range(1100): threading.Thread(target=time.sleep, args=(60,)).start()"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        monitor, until = ResourceMonitor(process.pid, tmp_path), time.monotonic() + 30
        try:
            with pytest.raises(LimitExceeded, match="threads") as caught:
                weigh_until(monitor, until)
        finally:
            process.kill()
    assert caught.value.code == "process_limit_exceeded"


def weigh_until(monitor: ResourceMonitor, until: float) -> None:
    while time.monotonic() < until:
        monitor.check(ResourceLimits())
        time.sleep(0.05)


def test_a_process_that_talks_without_end_fills_no_memory_of_the_worker() -> None:
    read, write = os.pipe()
    answers = new_answers()
    with os.fdopen(read, "r") as pipe, os.fdopen(write, "w") as speaker:
        pump = threading.Thread(target=pump_answers, args=(pipe, answers, []), daemon=True)
        pump.start()
        talker = threading.Thread(target=_talk, args=(speaker,), daemon=True)
        talker.start()
        time.sleep(0.5)
        assert answers.qsize() == ANSWERS_WAITING
        assert talker.is_alive()
        heard = threading.Thread(target=lambda: [None for _ in iter(answers.get, None)], daemon=True)
        heard.start()
        talker.join(30)
        speaker.close()
        heard.join(30)
        assert not heard.is_alive()


def _talk(speaker: Any) -> None:
    for _ in range(20_000):
        speaker.write('{"type": "progress", "done": 1, "total": 2}\n')
    speaker.flush()


def test_the_folder_of_a_killed_worker_is_removed_by_the_next(tmp_path: Path) -> None:
    killed, alive = LockedFolder(tmp_path, "killed"), LockedFolder(tmp_path, "alive")
    for folder in (killed, alive):
        (folder.claim() / "weights").write_text("x")
    assert killed._lock is not None
    killed._lock.close()  # what the kernel does for a process that dies
    LockedFolder(tmp_path, "next").claim()
    assert {folder.name for folder in tmp_path.iterdir()} == {"alive", "next"}
    assert (alive.claim() / "weights").exists()


def test_proxies_are_the_only_other_ports() -> None:
    assert proxy_ports({"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://proxy"}) == (80, 3128)
    assert proxy_ports({}) == ()
