"""The one interface of a contender: connect two endpoints, say whose CPU and memory count."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from typing import Protocol

from bench.stage import Endpoint, Stage


@dataclass(frozen=True, slots=True)
class Wired:
    """Two endpoints that a contender has connected, and the processes that do its forwarding.

    A switch inside the kernel has no process of its own.
    """

    left: Endpoint
    right: Endpoint
    switch_pids: tuple[int, ...] = ()


def addresses(pairs: int) -> tuple[tuple[str, str], ...]:
    """An address for the left and one for the right end of each pair, all in one network."""
    return tuple((f"10.9.1.{number}", f"10.9.2.{number}") for number in range(1, pairs + 1))


class Contender(Protocol):
    """Something that carries frames between namespaces."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    @property
    def summary(self) -> str:
        """What it is, in half a line."""

    def missing(self) -> str:
        """Why it cannot run here, such as "not installed: package X"; empty when it can."""

    def version(self) -> str:
        """The version that is measured."""

    def wire(self, stage: Stage, pairs: int = 1) -> tuple[Wired, ...]:
        """Connect pairs of endpoints (1 to 254), all by one switch; one that serves as a mere
        limit may connect each pair by itself. All that is made must end with the stage.

        Raises TrialError when that fails.
        """


def missing_package(program: str, package: str) -> str:
    """ "not installed: package X" unless the program is found."""
    return "" if shutil.which(program) else f"not installed: package {package}"


def package_version(package: str) -> str:
    """The package and its version as Debian's package manager knows it."""
    command = ["dpkg-query", "--show", "--showformat=${Version}", package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"{package}, version unknown"
    return f"{package} {done.stdout.strip() or 'of unknown version'}"


def kernel_version() -> str:
    """The running kernel, for what is part of it."""
    return f"Linux {platform.release()}"
