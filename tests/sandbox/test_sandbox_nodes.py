"""Many nodes made side by side: each has what is its own, and the process stays where it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.engine.networks import needs_root

from linkspan.control.descriptors import close_all
from linkspan.sandbox.namespaces import NODE_KINDS, enter, open_namespaces
from linkspan.sandbox.nodes import Recipe, make_nodes
from linkspan.sandbox.syscalls import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare
from linkspan.sandbox.worker import run_inside

pytestmark = needs_root
NAMES = [f"n{number}" for number in range(9)]


def in_mounts_of_our_own(names: Sequence[str], folder: Path) -> dict[str, tuple[str, str, str]]:
    """Make nodes with an /etc/hosts each; what each finds of itself."""
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    before = [os.stat(f"/proc/thread-self/ns/{kind}").st_ino for kind in NODE_KINDS]
    for name in names:
        (folder / name).write_text(f"127.0.0.1 {name}\n")
    made = make_nodes(
        [
            Recipe(name, {"/etc/hosts": folder / name, "/etc/not-there": folder / name})
            for name in names
        ]
    )
    assert [os.stat(f"/proc/thread-self/ns/{kind}").st_ino for kind in NODE_KINDS] == before
    assert list(made) == list(names)
    here, found = open_namespaces(), {}
    for name, descriptors in made.items():
        enter(descriptors)
        interfaces = ",".join(os.listdir("/sys/class/net"))
        found[name] = (socket.gethostname(), Path("/etc/hosts").read_text(), interfaces)
        enter(here)
        close_all(descriptors)
    return found


@pytest.mark.parametrize("count", [1, 2, 9])
def test_each_node_has_a_name_files_and_interfaces_of_its_own(tmp_path: Path, count: int) -> None:
    found = run_inside([], lambda: in_mounts_of_our_own(NAMES[:count], tmp_path))
    assert found == {name: (name, f"127.0.0.1 {name}\n", "lo") for name in NAMES[:count]}


def test_when_one_cannot_be_made_none_is_left(tmp_path: Path) -> None:
    def attempt() -> tuple[str, bool]:
        unshare(CLONE_NEWNS)
        mount("none", "/", "", MS_REC | MS_PRIVATE)
        before = len(os.listdir("/proc/self/fd"))
        recipes = [Recipe(name, {}) for name in [*NAMES, "x" * 65]]
        try:
            make_nodes(recipes)
        except OSError as error:
            return str(error), len(os.listdir("/proc/self/fd")) == before
        return "", False

    assert run_inside([], attempt) == ("[Errno 22] Invalid argument", True)
