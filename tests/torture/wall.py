"""Attack `wall`: confined code that reaches outside, and output of confined code that harms its readers.

tests/worker/sandbox/test_wall.py makes the attacks of `wall_attacks` in the test suite, and those on output in fewer numbers.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.confinement import ConfinedRun, run_confined
from torture.promises import Promise
from torture.wall_attacks import ATTACKS, HELPERS, Attack
from torture.wall_outputs import attack_outputs

IPC_KEY = 0x1157
PORTS = (443,)
UNPRIVILEGED_UID = 65534
PRETEND_GPU = "worker.sandbox.confinement.has_cuda_devices = lambda: True"


@dataclass(frozen=True)
class Mode:
    """Where and with which grant a process is confined.

    Attributes
    ----------
    container : without the right to namespaces, as Docker's default profile leaves it
    unprivileged : as another user than root
    gpu : with the system calls that CUDA's driver needs
    """

    network: bool = False
    container: bool = False
    unprivileged: bool = False
    gpu: bool = False

    def __str__(self) -> str:
        names = {"network": self.network, "container": self.container, "gpu": self.gpu}
        return " ".join([*(name for name, holds in names.items() if holds), "plain user" if self.unprivileged else "root"])


MODES = tuple(
    Mode(network, container, unprivileged, gpu)
    for gpu in (False, True)
    for network in (False, True)
    for container in (False, True)
    for unprivileged in ((False, True) if os.geteuid() == 0 else (True,))
)


class Targets:
    """Files, ports and sockets outside the confined process's folder, and their state before the attacks."""

    def __init__(self, folder: Path, owner: int | None) -> None:
        self.own, self.outside, self.granted = folder / "own", folder / "outside", folder / "granted"
        for path in (folder, self.own, self.outside):
            path.mkdir(exist_ok=True)
            path.chmod(0o777)
        for path in (self.outside / "program", self.outside / "artifact", self.granted):
            path.write_text("content")
            path.chmod(0o755)
            os.setxattr(path, "user.kept", b"kept")
            if owner is not None:
                os.chown(path, owner, owner)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.abstract = f"iis-wall-{os.getpid()}"
        self.unix = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        for server, address in zip(self.unix, (str(self.outside / "listener"), f"\0{self.abstract}"), strict=True):
            server.bind(address)
            server.listen(8)
        (self.outside / "listener").chmod(0o777)
        self._before = self._state()

    def close(self) -> None:
        for server in (self.tcp, self.udp, *self.unix):
            server.close()

    def variables(self) -> str:
        """Statements that set the names of `wall_attacks`."""
        named = {"outside": str(self.outside), "own": str(self.own), "granted": str(self.granted)}
        named |= {"listener": str(self.outside / "listener"), "abstract": self.abstract}
        ports = {"port": self.tcp.getsockname()[1], "udp_port": self.udp.getsockname()[1]}
        return "".join(f"{name} = {value!r}\n" for name, value in (named | ports).items())

    def damage(self) -> list[str]:
        """Sentences on what has changed, and what was left behind, beside the answers that the attacks got."""
        after = self._state()
        changed = [f"{path} changed" for path in self._before.keys() | after.keys() if self._before.get(path) != after.get(path)]
        left = [str(path) for folder in ("/dev/shm", "/tmp", "/var/tmp") if (path := Path(folder, "left-behind")).exists()]  # noqa: S108
        kinds = ("shm", "sem", "msg") if sys.platform == "linux" else ()
        segments = [kind for kind in kinds if any(line.split()[0] == str(IPC_KEY) for line in _lines(f"/proc/sysvipc/{kind}"))]
        return [*changed, *(f"{name} left behind" for name in (*left, *segments))]

    def _state(self) -> dict[str, tuple[object, ...]]:
        state = dict[str, tuple[object, ...]]()
        for path in (*self.outside.iterdir(), self.granted):
            found = path.stat()
            content = path.read_bytes() if path.is_file() else b""
            attributes = tuple(sorted(os.listxattr(path)))
            state[path.name] = (found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, attributes, content)
        return state


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


@contextmanager
def targets(folder: Path, mode: Mode) -> Generator[Targets]:
    """Targets that belong to the attacking user, as the service's files belong to the compute process's."""
    opened = Targets(folder, UNPRIVILEGED_UID if mode.unprivileged and os.geteuid() == 0 else None)
    try:
        yield opened
    finally:
        opened.close()


def run_attacks(folder: Path, mode: Mode) -> tuple[ConfinedRun, list[Attack], list[str]]:
    """Make all attacks of a mode in one confined process.

    Returns
    -------
    The run, the attacks that succeeded though they must not where the process has its protections, and what they changed.
    """
    with targets(folder, mode) as aim:
        attacks = [attack for attack in ATTACKS if attack.network in (None, mode.network)]
        run = run_confined(
            aim.own,
            {attack.name: attack.expression for attack in attacks},
            network=mode.network,
            ports=PORTS if mode.network else (),
            readable=(str(aim.granted),),
            unprivileged=mode.unprivileged and os.geteuid() == 0,
            container=mode.container,
            before=aim.variables() + HELPERS + (PRETEND_GPU if mode.gpu else ""),
        )
        private = run.protections["root"] == "private"
        due = [attack for attack in attacks if attack.must_fail(private_root=private, gpu=mode.gpu)]
        return run, [attack for attack in due if run.outcomes[attack.name] == "done"], aim.damage()


def attack(folder: Path, seed: int) -> list[Promise]:
    """Make every attack in every mode, then read hostile output; `seed` varies the latter."""
    promises = {attack.row: Promise(f"A confined process: {attack.row}") for attack in ATTACKS}
    untouched = Promise("After all attacks files, segments and queues outside a confined process are as before")
    for number, mode in enumerate(MODES):
        run, succeeded, damage = run_attacks(folder / f"mode-{number}", mode)
        names = {attack.name for attack in succeeded}
        private = run.protections["root"] == "private"
        for each in ATTACKS:
            if each.name in run.outcomes and each.must_fail(private_root=private, gpu=mode.gpu):
                promises[each.row].record(each.name not in names, f"{each.name} as {mode}")
        untouched.record(not damage, f"as {mode}: {', '.join(damage)}")
    return [*promises.values(), untouched, *attack_outputs(folder, seed)]
