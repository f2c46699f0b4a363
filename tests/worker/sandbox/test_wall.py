"""Attacks on the confinement by programs, and hostile output of a compute process. `make torture PARTS=wall` makes more of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from PIL import Image

from support.confinement import CONFINE, NOT_TESTED, PRELUDE, run_confined
from torture.wall import MODES, Mode, run_attacks
from torture.wall_attacks import ATTACKS
from torture.wall_outputs import attack_outputs
from worker.sandbox.confinement import Grant, Protections
from worker.sandbox.environment import DNS_PORT, HTTPS_PORT, scrubbed_environment
from worker.sandbox.probe import measure_protections

if TYPE_CHECKING:
    from support.worker_service import Service

REPOSITORY = Path(__file__).parents[3]
IS_LINUX = sys.platform == "linux"
on_linux = pytest.mark.skipif(not IS_LINUX, reason=f"{NOT_TESTED}: Landlock and seccomp are Linux's.")
LANDLOCK_CREATE_RULESET = 444


@on_linux
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_every_attack_fails_and_leaves_nothing(tmp_path: Path, mode: Mode) -> None:
    tmp_path.chmod(0o777)
    run, succeeded, damage = run_attacks(tmp_path / "targets", mode)
    run.require("files", "calls")
    assert [attack.name for attack in succeeded] == []
    assert damage == []
    assert run.protections["root"] == ("open" if mode.container else run.protections["root"])


def test_every_row_of_the_table_has_an_attack() -> None:
    page = (REPOSITORY / "docs" / "security.md").read_text()
    table = page[page.index("| protection | mechanism |") :].partition("\n\n")[0]
    rows = {line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]}
    attacked = {attack.row for attack in ATTACKS}
    assert attacked <= rows
    assert rows - attacked == set(ATTACKED_ELSEWHERE)


ATTACKED_ELSEWHERE = {
    "no credentials": "test_owner_isolation.py",
    "unpickles no object": "here",
    "gains no privileges": "test_confinement.py",
    "no core dumps, 4096 descriptors, files up to 256 GiB": "here",
    "dies with the worker": "test_confinement.py",
}
"""Rows of the table with tests of their own."""


@on_linux
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other system call tables are x86's")
@pytest.mark.parametrize("machine_code", ["b8270000400f05c3", "b814000000cd80c3"], ids=["x32", "i386"])
def test_the_kernel_ends_a_process_that_uses_another_system_call_table(tmp_path: Path, machine_code: str) -> None:
    program = (
        PRELUDE
        + CONFINE
        + (
            "import mmap\n"
            "page = mmap.mmap(-1, 4096, prot=7)\n"
            f"page.write(bytes.fromhex({machine_code!r}))\n"
            "address = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
            "ctypes.CFUNCTYPE(ctypes.c_long)(address)()\n"
        )
    )
    grant = json.dumps(Grant(network=False, writable=(str(tmp_path),)).to_dict())
    done = subprocess.run([sys.executable, "-c", program, grant], capture_output=True, check=False, timeout=60)
    assert done.returncode in {-signal.SIGSYS, -signal.SIGSEGV}  # the latter where the kernel has no such table


@on_linux
def test_a_process_has_no_core_dump_few_descriptors_and_bounded_files(tmp_path: Path) -> None:
    run = run_confined(
        tmp_path,
        {
            "core": "resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) or -1",
            "descriptors": "resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 4096 or -1",
            "file": "os.truncate(os.open('large', os.O_RDWR | os.O_CREAT), 257 << 30)",
        },
        between="signal.signal(signal.SIGXFSZ, signal.SIG_IGN)",
    )
    assert (run.outcomes["core"], run.outcomes["descriptors"]) == ("done", "done")
    assert run.outcomes["file"] != "done"


RESOLVER = """
import select, struct
end, held = os.pipe()  # closes with this process
def serve(port, answer):
    server = socket.create_server(('127.0.0.1', port))
    if os.fork() == 0:
        for descriptor in (0, 1, 2, held): os.close(descriptor)
        while True:
            if end in select.select([server, end], [], [])[0]: os._exit(0)
            with server.accept()[0] as connection:
                answer(connection)
def answer_name(connection):
    while True:
        length = connection.recv(2)
        if not length: return
        query = connection.recv(*struct.unpack('>H', length))
        is_a = query[-4:-2] == b'\\0\\1'
        reply = query[:2] + b'\\x81\\x80\\0\\1' + (b'\\0\\1' if is_a else b'\\0\\0') + b'\\0\\0\\0\\0' + query[12:]
        reply += b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\x04' + bytes([127, 0, 0, 1]) if is_a else b''
        connection.sendall(struct.pack('>H', len(reply)) + reply)
if libc.unshare(0x40020000) != 0: raise SystemExit(77)
libc.mount(None, b'/', None, 0x44000, None)
import fcntl
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack('16sH14s', b'lo', 0x1 | 0x40, b''))  # SIOCSIFFLAGS: up
for name, line in (('resolv.conf', 'nameserver 127.0.0.1'), ('nsswitch.conf', 'hosts: dns')):
    with open(name, 'w') as file: file.write(line + '\\n')
    if libc.mount(os.path.abspath(name).encode(), os.path.realpath('/etc/' + name).encode(), None, 0x1000, None) != 0: raise SystemExit(77)
serve(53, answer_name)
serve(443, lambda connection: connection.sendall(b'reached'))
"""


@on_linux
def test_a_process_with_the_network_resolves_names_and_connects_by_tcp_alone(tmp_path: Path) -> None:
    """The name server of this test answers TCP only, and UDP sockets are refused."""
    if os.geteuid() != 0:
        pytest.skip("The test's own name server needs root.")
    grant = Grant(network=True, writable=(str(tmp_path),), ports=(DNS_PORT, HTTPS_PORT))
    program = PRELUDE + RESOLVER + CONFINE + "print(socket.create_connection(('weights.example', 443), 10).recv(7).decode())"
    environment = scrubbed_environment(os.environ, tmp_path, tmp_path, network=True)
    command = [sys.executable, "-P", "-s", "-c", program, json.dumps(grant.to_dict())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=60)
    if done.returncode == 77:
        pytest.skip("This machine allows no namespaces.")
    assert done.stdout == "reached\n", done.stderr


CONTENT = b"weights" * 10_000


class Hub(BaseHTTPRequestHandler):
    """A Hub with one file under every address."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        headers = {"ETag": f'"{sha256(CONTENT).hexdigest()}"', "X-Repo-Commit": "a" * 40, "Content-Length": str(len(CONTENT))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Print nothing."""


@pytest.fixture
def hub() -> Iterator[int]:
    """The port of a Hub on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@on_linux
@pytest.mark.slow
def test_the_libraries_of_the_hub_work_under_the_confinement(tmp_path: Path, hub: int) -> None:
    """They change modes, lock and link files, and share memory where they may."""
    own, downloads = tmp_path / "own", tmp_path / "downloads"
    for split in ("train", "test"):
        for label in ("a", "b"):
            (own / "images" / split / label).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(own / "images" / split / label / "0.png")
    downloads.mkdir()
    program = (
        PRELUDE
        + "import iis_engine\n"
        + CONFINE
        + (
            "from huggingface_hub import hf_hub_download\n"
            "for _ in range(2): path = hf_hub_download('owner/model', 'weights.safetensors')\n"
            "import torch.hub\n"
            f"torch.hub.download_url_to_file('http://127.0.0.1:{hub}/weights', 'weights', progress=False)\n"
            "from iis_engine.data.hub_datasets import write_class_folders\n"
            "from pathlib import Path\n"
            "import datasets\n"
            "write_class_folders(datasets.load_dataset('imagefolder', data_dir='images'), Path('written'))\n"
            "found = sorted(path.as_posix() for path in Path('written').rglob('*.png'))\n"
            "print(os.path.getsize(path), os.path.getsize('weights'), len(found))\n"
        )
    )
    grant = Grant(network=True, writable=(str(own), str(downloads)), ports=(hub,))
    environment = scrubbed_environment(os.environ, own, downloads, network=True) | {"HF_ENDPOINT": f"http://127.0.0.1:{hub}"}
    command = [sys.executable, "-P", "-s", "-c", program, json.dumps(grant.to_dict())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=own, env=environment, timeout=300)
    assert done.stdout.split() == [str(len(CONTENT)), str(len(CONTENT)), "4"], done.stderr


LOADS = (
    "pickle.load(open(path, 'rb'))",
    "pickle.loads(open(path, 'rb').read())",
    "pickle._Unpickler(open(path, 'rb')).load()",
    "torch.load(path, weights_only=False)",
    "torch.load(path)",
    "torch.hub.load_state_dict_from_url('https://weights.example/planted.pt', model_dir=folder)",
    "numpy.load(path, allow_pickle=True)",
)


def test_a_planted_pickle_runs_no_code_whichever_library_loads_it(tmp_path: Path, planted: Path) -> None:
    """The compute process's environment and audit hook, without its confinement."""
    program = (
        "import pickle, sys, numpy, torch, torch.hub\n"
        "from worker.child.unpickling import forbid_pickled_objects\n"
        "forbid_pickled_objects()\n"
        f"path, folder = {str(planted)!r}, {str(planted.parent)!r}\n"
    )
    for load in LOADS:
        program += f"try: {load}\nexcept Exception as error: print(type(error).__name__)\n"
    program += "torch.save({'weight': torch.ones(2)}, path)\nprint(torch.load(path)['weight'].sum().item())\n"
    environment = scrubbed_environment(os.environ, tmp_path, tmp_path, network=False)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.stdout.split() == ["UnpicklingError"] * len(LOADS) + ["2.0"], done.stdout + done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A checkpoint in the cache's place that runs code when it is unpickled, as a check shows."""
    import pickle

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "planted.pt"
    path.write_bytes(pickle.dumps(Payload()))
    pickle.loads(path.read_bytes())  # noqa: S301 (its own)
    (tmp_path / "ran").rmdir()
    return path


@on_linux
def test_the_process_of_another_owner_has_no_downloads_and_no_files_of_the_first(service: Service) -> None:
    service.become_another_owner()
    assert service.run(service.add_check()) == "succeeded"
    first, folder = downloads_of(service), service.compute.folder
    assert Path(f"/proc/{service.compute.pid}/root{first}").is_dir()
    (first / "planted.pt").write_bytes(b"planted")
    (folder / "left-behind").write_text("x")
    (folder / "left-behind-folder").mkdir()
    (folder / "left-behind-folder" / "file").write_text("x")
    service.become_another_owner()
    assert service.run(service.add_check()) == "succeeded"
    second = downloads_of(service)
    assert (first.parent, second.name) == (second.parent, service.owner_id)
    assert list(second.iterdir()) == []
    if measure_protections().root == "private":
        assert not Path(f"/proc/{service.compute.pid}/root{first}").exists()
    assert {path.name for path in folder.iterdir()} == {"lock", "home"}


def downloads_of(service: Service) -> Path:
    return Path(psutil.Process(service.compute.pid).environ()["HF_HOME"])


WITHOUT_LANDLOCK = f"""
library = ctypes.CDLL('libseccomp.so.2')
library.seccomp_init.restype = ctypes.c_void_p
library.seccomp_load.argtypes = [ctypes.c_void_p]
library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
context = library.seccomp_init(0x7FFF0000)
library.seccomp_rule_add(context, 0x00050026, {LANDLOCK_CREATE_RULESET}, 0)
assert library.seccomp_load(context) == 0
"""


@on_linux
def test_a_machine_without_landlock_is_refused_unless_best_effort_is_set() -> None:
    program = (
        PRELUDE
        + WITHOUT_LANDLOCK
        + (
            "from worker.sandbox.probe import require_confinement\n"
            "require_confinement(best_effort=True)\n"
            "print('started', flush=True)\n"
            "require_confinement(best_effort=False)\n"
        )
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.returncode) == ("started\n", 1)
    assert "This machine lacks Landlock (kernel 5.19 or later)" in done.stderr
    assert "IIS_CONFINEMENT=best-effort" in done.stderr


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("confinement", ["required", "best-effort"])
def test_a_worker_without_landlock_starts_only_with_best_effort(confinement: str) -> None:
    program = PRELUDE + WITHOUT_LANDLOCK + "import worker.celery_app\nprint('started')"
    environment = os.environ | {"IIS_CONFINEMENT": confinement}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert (done.returncode == 0) == (done.stdout == "started\n") == (confinement == "best-effort"), done.stderr


def test_the_missing_protections_are_named() -> None:
    lacking = Protections(network="refused", root="open", files="open", calls="open", privileges="none").missing()
    assert (lacking is not None) == IS_LINUX
    assert Protections(network="refused", root="open", files="landlock 4", calls="seccomp", privileges="none").missing() is None


def test_hostile_output_is_refused_or_read_within_bounds(tmp_path: Path) -> None:
    for promise in attack_outputs(tmp_path, 0, mutants=200):
        assert promise.attempts, promise.sentence
        assert promise.broken == [], promise.sentence
