"""The ways to a lab of so many containers on one bridge, each with what it takes to come and go.

All do the same: a bridge with an address, and for each container a namespace, a veth pair to the
bridge, an address and a default route, everything up. Only linkspan reads it again and compares.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkspan.control.client import connect
from linkspan.sandbox import state

HERE: Final = Path(__file__).resolve().parent
SYSTEM_PYTHON: Final = "/usr/bin/python3"
LIMIT: Final = 300.0
"""Seconds that one command may take."""


class WayError(Exception):
    """A command failed; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took."""

    seconds: float
    cpu: float
    """Seconds of processor time, of itself and the processes that it waited for."""
    mebibytes: float
    """The largest of those processes in memory."""


def run(words: list[str], folder: Path, status: int | None = 0) -> tuple[Cost, str]:
    """Run a command; its cost and what it printed. Raises WayError when its status is another;
    None is any."""
    output = folder / "output"
    with output.open("wb") as file:
        begin = time.monotonic()
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file) as process:
            _, code, used = os.wait4(process.pid, 0)
            seconds = time.monotonic() - begin
            process.returncode = os.waitstatus_to_exitcode(code)
    text = output.read_text(errors="replace")
    if status is not None and process.returncode != status:
        raise WayError(f"{' '.join(words)}: status {process.returncode}: {text[-400:].strip()}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), text


def linkspan(*words: str) -> list[str]:
    """The command line of linkspan beside this file."""
    return [sys.executable, "-m", "linkspan", *words]


def lab_name(engine: str, number: int) -> str:
    return f"scale-{engine}-{number}"


def lab_file(folder: Path, engine: str, number: int) -> Path:
    """The file of such a lab."""
    lines = [
        f"name: {lab_name(engine, number)}",
        f"bridges: {{br0: {{engine: {engine}, address: 10.99.0.1/16}}}}",
        "nodes:",
    ]
    lines += [
        f"  n{index}: {{ports: {{eth0: {{bridge: br0, address: {address(index)}/16}}}},"
        f" gateway: 10.99.0.1}}"
        for index in range(number)
    ]
    path = folder / f"{engine}-{number}.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def address(index: int) -> str:
    """The address of a container, behind the bridge's own."""
    return f"10.99.{(index + 2) >> 8}.{(index + 2) & 255}"


def init_mebibytes(lab: str) -> float:
    """The most that the lab's init process ever had in memory."""
    with connect(state.folder(lab) / state.INIT_SOCKET, 5.0) as sock:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    process = struct.unpack("=iII", credentials)[0]
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def by_hand(action: str, number: int) -> list[str]:
    """The command line of the script."""
    return ["sh", str(HERE / "by_hand.sh"), action, str(number)]


def mininet_is_missing() -> str:
    """Why there is no Mininet to compare with; nothing where there is one."""
    for program, package in (("mnexec", "mininet"), ("brctl", "bridge-utils")):
        if not shutil.which(program):
            return f"{program} is missing: package {package}"
    found = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import mininet"], capture_output=True, check=False
    )
    return "" if found.returncode == 0 else f"{SYSTEM_PYTHON} has no module mininet"


def mininet(number: int, folder: Path) -> tuple[float, float]:
    """Seconds that Mininet takes to bring up and to end so many hosts on a Linux bridge."""
    apart = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    program = [SYSTEM_PYTHON, str(HERE / "with_mininet.py"), str(number)]
    _, text = run([*apart, *program], folder)
    up, down = text.split()[-2:]
    return float(up), float(down)
