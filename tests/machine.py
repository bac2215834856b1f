"""A machine of a test's own, on which a lab that goes wrong can't hurt the one it runs on.

Run by root, a `Machine` has a network namespace and a mount namespace with an empty /run: what
linkspan takes for the real host. Nobody else uses it, so whatever is there after a test and was
not there before has been left behind by what the test did. Its commands run as root or as an
ordinary user who never logged in. Run by an ordinary user, it is the machine as it is, with a
folder of its own for the labs.

Processes are found by a variable in their environment, which they pass on to their children
wherever they go, and not by names or ancestors.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from linkspan.control.descriptors import close_all
from linkspan.sandbox.namespaces import enter
from linkspan.sandbox.syscalls import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_BIND,
    MS_PRIVATE,
    MS_REC,
    mount,
    unshare,
)

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = REPOSITORY / "examples"
ROOT, ORDINARY_USER = 0, 65534
PATIENCE = 20.0
"""Seconds after which a test gives up on what should happen soon; never a measure."""

_TOKEN = "LINKSPAN_TEST_MACHINE"


@dataclass(frozen=True)
class Traces:
    """Everything that a lab could leave behind."""

    processes: frozenset[str]
    interfaces: frozenset[str]
    mounts: frozenset[str]
    files: frozenset[str]
    names: frozenset[str]
    """The host's name and its /etc/hosts and /etc/resolv.conf."""

    def __sub__(self, other: Traces) -> list[str]:
        """What differs, a line each."""
        return [
            f"{field.name}: {'+' if text in getattr(self, field.name) else '-'} {text}"
            for field in fields(self)
            for text in sorted(getattr(self, field.name) ^ getattr(other, field.name))
        ]


class Program(subprocess.Popen[str]):
    """A program that does not outlive a `with` block that failed."""

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


class Machine:
    """Runs commands and tells what they left."""

    def __init__(self, user: int) -> None:
        self.user = user
        self._token = uuid.uuid4().hex
        self._folder = tempfile.TemporaryDirectory(prefix="linkspan-test-")
        self.folder = Path(self._folder.name)
        """A folder for the test's files, readable by everybody."""
        self.home = self.folder / "home"
        self.home.mkdir(mode=0o700)
        self.folder.chmod(0o755)
        self._holder: subprocess.Popen[str] | None = None
        self._namespaces: list[int] = []
        self._process = os.getpid()
        if os.geteuid() == ROOT:
            os.chown(self.home, user, user)
            self._make_namespaces()
        self.before = self.traces()

    def _make_namespaces(self) -> None:
        self._holder = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        self._process = self._holder.pid
        self._namespaces = [
            os.open(f"/proc/{self._process}/ns/{kind}", os.O_RDONLY) for kind in ("mnt", "net")
        ]

    def close(self) -> None:
        """Kill what is still there and let the machine go."""
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        close_all(self._namespaces)
        if self._holder is not None:
            self._holder.communicate()
        self._folder.cleanup()

    @property
    def network(self) -> int:
        """A descriptor of its network namespace; only for root."""
        return self._namespaces[1]

    def close_tun(self) -> None:
        """From now on only root may open /dev/net/tun, as on many machines; needs root."""
        subprocess.run(
            [
                *("nsenter", f"--mount=/proc/{self._process}/ns/mnt", "sh", "-ec"),
                "mknod -m 600 /run/tun c 10 200; mount --bind /run/tun /dev/net/tun",
            ],
            check=True,
        )
        self.before = self.traces()

    def shadow(self, *folders: str, below: Path | None = None) -> None:
        """Have what is written into folders such as `etc` go where it ends with the machine, and
        let them hold what those of the same names in `below` do; needs root.
        """
        changes = self.folder / "changes"
        changes.mkdir()
        self.run(["mount", "-t", "tmpfs", "none", changes], 0)
        for name in folders:
            upper, work = changes / name, changes / f"{name}.work"
            self.run(["mkdir", upper, work], 0)
            lower = f"/{name}" if below is None else f"{below / name}:/{name}"
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            self.run(["mount", "-t", "overlay", "-o", options, "none", f"/{name}"], 0)
        self.before = self.traces()

    # running

    @property
    def labs(self) -> Path:
        """The folder of the labs, as this process sees it."""
        inside = Path(f"/proc/{self._process}/root") if self._namespaces else Path("/")
        place = "/run/linkspan" if self.user == ROOT else f"{self.home}/linkspan"
        return inside / place.lstrip("/")

    def start(
        self, arguments: Sequence[str | Path], terminal: int | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start a program; `terminal` becomes its controlling terminal and standard streams."""
        folder = str(options.pop("cwd", self.folder))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "PYTHONDONTWRITEBYTECODE": "1",
            _TOKEN: self._token,
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
            **options.pop("environment", {}),
        }

        def prepare() -> None:
            enter(self._namespaces)
            os.chdir(folder)
            if terminal is not None:
                os.login_tty(os.dup(terminal))
            if os.geteuid() == ROOT and self.user != ROOT:
                os.setgroups([])
                os.setgid(self.user)
                os.setuid(self.user)

        return Program(
            [str(argument) for argument in arguments],
            env=environment,
            preexec_fn=prepare,
            text=True,
            **options,
        )

    def run(
        self, arguments: Sequence[str | Path], status: int | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, which must be `status` if that is given."""
        text = options.pop("input", None)
        options.setdefault("stdin", subprocess.DEVNULL if text is None else subprocess.PIPE)
        with self.start(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        ) as process:
            output, errors = process.communicate(text, timeout=120)
        assert "Traceback" not in errors, errors
        if status is not None:
            assert process.returncode == status, (process.returncode, output, errors)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def linkspan(
        self, *arguments: str | Path, status: int | None = 0, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run the command `linkspan`, which must end with `status`."""
        return self.run(linkspan_command(*arguments), status, **options)

    def file(self, text: str, name: str = "lab.yaml") -> Path:
        """Write a lab's file and return its path."""
        path = self.folder / name
        path.write_text(text)
        return path

    # traces

    def processes(self) -> dict[int, str]:
        """Command lines of the processes that the machine's commands started, by number."""
        found = {}
        for process in self._processes():
            with contextlib.suppress(OSError):  # it has ended in the meantime
                line = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ")
                found[process] = line.decode(errors="replace")
        return found

    def process(self, *words: str) -> int:
        """The one process whose command line has all these words."""
        (found,) = [
            process
            for process, line in self.processes().items()
            if all(word in line for word in words)
        ]
        return found

    def _processes(self) -> list[int]:
        mark = f"{_TOKEN}={self._token}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            # A process that is gone or a zombie has no environment any more.
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def traces(self) -> Traces:
        """What there is now."""
        proc = Path(f"/proc/{self._process}")
        run = self.labs.parent
        return Traces(
            frozenset(f"{process} {line}" for process, line in self.processes().items()),
            frozenset(_interfaces(proc)),
            frozenset((proc / "mountinfo").read_text().splitlines()),
            frozenset(str(path.relative_to(run)) for path in run.rglob("*")),
            frozenset(
                [
                    socket.gethostname(),
                    *(Path(f"/etc/{name}").read_text() for name in ("hosts", "resolv.conf")),
                ]
            ),
        )

    def assert_as_before(self) -> None:
        """Nothing is left of what was made, or will not be in a moment."""
        wait_until(lambda: self.traces() == self.before, lambda: self.traces() - self.before)


def _interfaces(proc: Path) -> Iterator[str]:
    for line in (proc / "net" / "dev").read_text().splitlines()[2:]:
        yield line.partition(":")[0].strip()


def linkspan_command(*arguments: str | Path) -> list[str | Path]:
    """The command line of the installed `linkspan`."""
    return [sys.executable, "-P", "-m", "linkspan", *arguments]


def wait_until(condition: Any, explain: Any = lambda: "it did not happen") -> None:
    """Wait for what should happen soon, and fail with an explanation when it does not."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.02)


def why_no_user_namespace() -> str:
    """Why an ordinary user can't have a user namespace here; empty when that is possible."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            if os.geteuid() == ROOT:
                os.setgroups([])
                os.setgid(ORDINARY_USER)
                os.setuid(ORDINARY_USER)
            unshare(CLONE_NEWUSER)
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(process, 0)
    return "" if ended == 0 else "this machine gives ordinary users no user namespace"


def _become_a_machine() -> None:
    """Make the namespaces and hold them until standard input ends."""
    unshare(CLONE_NEWNS | CLONE_NEWNET)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    _open_to_everybody([REPOSITORY, Path(sys.prefix), Path(sys.base_prefix)])
    print("ready", flush=True)
    sys.stdin.read()


def _open_to_everybody(needed: Sequence[Path]) -> None:
    """Let ordinary users reach our program where it lies below a folder closed to them, such as
    /root: over that folder comes an open one that holds nothing but the program.
    """
    closed: dict[Path, list[tuple[Path, int]]] = {}
    for path in needed:
        for above in reversed(path.parents):
            if not above.stat().st_mode & stat.S_IXOTH:
                closed.setdefault(above, []).append((path, os.open(path, os.O_PATH)))
                break
    for folder, paths in closed.items():
        mount("tmpfs", str(folder), "tmpfs", 0, "mode=755")
        for path, descriptor in paths:
            path.mkdir(parents=True, exist_ok=True)
            mount(f"/proc/self/fd/{descriptor}", str(path), "none", MS_BIND | MS_REC)


if __name__ == "__main__":
    _become_a_machine()
