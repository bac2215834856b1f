"""The place of one trial: private namespaces, the processes in them, and their sure end.

Nothing here has a name on the machine. A namespace is held by a child process and reached through
`/proc/PID/ns/net`; it vanishes with that process. Every child is started through the `traffic`
helper, which asks the kernel to kill it when the bench dies (PR_SET_PDEATHSIG), so that Ctrl-C and
`kill -9` leave neither process nor namespace nor interface. The one thing that could stay, the
folder for sockets and databases, carries the bench's pid and is swept by the next run.

Needs root: namespaces, taps, raw sockets.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parent
TOOLS = ("traffic", "frames", "counts", "c_loop")
FOLDER_PREFIX = "linkspan-bench-"
NETWORK_BITS = 16  # of every address
COMMAND_LIMIT = 20.0  # seconds that a wiring command or the word "ready" may take


class TrialError(Exception):
    """A contender could not be set up or measured; the message says at which command and why."""


def build_tools(into: Path) -> None:
    """Compile the C sources that are newer than their programs.

    Raises TrialError with the compiler's words.
    """
    into.mkdir(parents=True, exist_ok=True)
    for name in TOOLS:
        source, program = SOURCES / f"{name}.c", into / name
        if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
            continue
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TrialError(f"gcc cannot build {source.name}: {done.stderr.strip()}")


def sweep_stale_folders(parent: Path) -> None:
    """Remove the folders of bench runs that are gone."""
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace, by a process that lives in it or that holds a descriptor of it."""

    pid: int
    descriptor: int | None = None

    @property
    def path(self) -> str:
        held = "ns/net" if self.descriptor is None else f"fd/{self.descriptor}"
        return f"/proc/{self.pid}/{held}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of the path under test: an interface with an IPv4 address in a namespace."""

    namespace: Namespace
    address: str
    interface: str = "eth0"


class Stage(ExitStack):
    """Namespaces and processes of one trial; leaving it ends all of them, last started first.

    Contenders whose set-up is a context manager of its own enter it with `enter_context`.
    """

    def __init__(self, tools: Path) -> None:
        super().__init__()
        self.tools = tools
        prefix = f"{FOLDER_PREFIX}{os.getpid()}-"
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))

    def namespace(self) -> Namespace:
        """A new network namespace with its loopback up."""
        holder = self.start([str(self.tools / "traffic"), "hold"], expect="ready")
        made = Namespace(holder.pid)
        self.run(made, ["ip", "link", "set", "lo", "up"])
        return made

    def start(self, command: Sequence[str], *, expect: str = "") -> subprocess.Popen[str]:
        """Start a program that ends with the stage; with `expect`, wait until it prints that line.

        Raises TrialError when the line does not come.
        """
        with (self.folder / "stderr").open("a", encoding="utf-8") as complaints:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if expect else subprocess.DEVNULL,
                stderr=complaints,
                text=True,
                cwd="/",
            )
        self.callback(self.end, process)
        if expect and first_line(process) != expect:
            raise TrialError(f"{' '.join(command)}: not ready: {self.complaints()}")
        return process

    def start_reporting(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program whose output `finish` returns; it too ends with the stage."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        self.callback(self.end, process)
        return process

    def start_in(
        self, namespace: Namespace, command: Sequence[str], *, expect: str = ""
    ) -> subprocess.Popen[str]:
        """Start a program inside a namespace; its pid is the program's own."""
        return self.start(self._inside(namespace, command), expect=expect)

    def run(self, namespace: Namespace, command: Sequence[str], text: str = "") -> str:
        """Run a program inside a namespace, with `text` as its input, and return what it prints.

        Raises TrialError when it fails or takes more than 20 seconds.
        """
        return finish(self.start_reporting(self._inside(namespace, command)), COMMAND_LIMIT, text)

    def ip(self, namespace: Namespace, *lines: str) -> None:
        """Run lines of iproute2's `ip` as one batch inside a namespace."""
        self.run(namespace, ["ip", "-batch", "-"], "\n".join(lines) + "\n")

    def endpoint(self, namespace: Namespace, address: str) -> Endpoint:
        """Address the namespace's `eth0`, which must be there, and set it up."""
        self.ip(namespace, f"addr add {address}/{NETWORK_BITS} dev eth0", "link set eth0 up")
        return Endpoint(namespace, address)

    def complaints(self) -> str:
        """The last line that any program of this stage wrote to its standard error."""
        lines = (self.folder / "stderr").read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "no message"

    @staticmethod
    def end(process: subprocess.Popen[str]) -> None:
        """Kill a program and wait for it; one that already ended is only reaped."""
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def _inside(self, namespace: Namespace, command: Sequence[str]) -> list[str]:
        return [str(self.tools / "traffic"), "exec", namespace.path, *command]


def first_line(process: subprocess.Popen[str]) -> str:
    """What a program prints first, without the line break; empty after 20 seconds or at its end."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], COMMAND_LIMIT)
    return process.stdout.readline().strip() if readable else ""


def finish(process: subprocess.Popen[str], limit: float, text: str = "") -> str:
    """Wait for a program and return what it printed.

    Raises TrialError when it fails, or when it takes more than `limit` seconds (it is killed then).
    """
    shown = " ".join(map(str, process.args)) if isinstance(process.args, list) else "program"
    try:
        out, complaints = process.communicate(text, timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise TrialError(f"{shown}: no end after {limit:.0f} s") from None
    if process.returncode:
        why = (complaints or "").strip() or f"exit status {process.returncode}"
        raise TrialError(f"{shown}: {why}")
    return out or ""


def figures_of(line: str) -> dict[str, float]:
    """The one line of JSON that a measuring program prints."""
    found: Any = json.loads(line)
    return {str(key): float(value) for key, value in found.items()}
