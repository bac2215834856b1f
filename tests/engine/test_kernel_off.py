"""Without the in-kernel cache the switch works as well, and `show` and the log say why it is off.

What is missing is taken out of a copy of the package.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from tests.engine.networks import needs_cache, needs_root
from tests.engine.running_lab import containers
from tests.machine import Machine

import linkspan
from linkspan.engine import libbpf
from linkspan.engine.user import load
from linkspan.sandbox import state

PACKAGE = Path(linkspan.__file__).parent


def assert_works_and_says(machine: Machine, why: str, cache: str = "auto") -> None:
    file = machine.file("name: off\n" + containers(["a", "b"], f", cache: {cache}"))
    machine.linkspan("up", file)
    try:
        assert f"in-kernel cache off: {why} " in machine.linkspan("show", "off").stdout
        log = (machine.labs / "off" / state.LOG).read_text()
        assert f"br0: in-kernel cache off: {why}\n" in log
        machine.linkspan("ping", "off")
    finally:
        machine.linkspan("down", "off")


@pytest.fixture
def package(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, which the machine's commands use."""
    monkeypatch.setenv("PYTHONPATH", str(machine.folder))
    copy = machine.folder / "linkspan"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def copied(package: Path, path: str | None) -> Path:
    assert path is not None
    return package / Path(path).relative_to(PACKAGE)


@needs_root
def test_file_says_no(machine: Machine) -> None:
    assert_works_and_says(machine, "the file says so", "off")


@needs_cache
def test_object_was_not_built(machine: Machine, package: Path) -> None:
    copied(package, str(load.OBJECT)).unlink()
    assert_works_and_says(machine, "clang was missing when linkspan was built")


@needs_cache
def test_object_is_damaged(machine: Machine, package: Path) -> None:
    copied(package, str(load.OBJECT)).write_bytes(b"\x7fELF" + bytes(60))
    assert_works_and_says(machine, "kernel_cache.bpf.o is not an object that libbpf can read")


@needs_cache
def test_kernel_refuses_the_program(machine: Machine, package: Path) -> None:
    """It calls a helper that no kernel has."""
    redirect, unknown = (struct.pack("=BBhi", 0x85, 0, 0, helper) for helper in (23, 9999))
    program = load.OBJECT.read_bytes()
    assert redirect in program
    copied(package, str(load.OBJECT)).write_bytes(program.replace(redirect, unknown))
    why = "loading kernel_cache.bpf.o: Invalid argument (invalid func unknown#9999)"
    assert_works_and_says(machine, why)


@needs_cache
def test_libbpf_is_not_installed(machine: Machine, package: Path) -> None:
    source = copied(package, libbpf.__file__)
    source.write_text(source.read_text().replace('"libbpf.so.', '"libnone.so.'))
    assert_works_and_says(machine, "libbpf is not installed (package libbpf1)")


@pytest.mark.skipif(not load.OBJECT.exists(), reason="says that first")
def test_ordinary_user_lacks_the_privilege(ordinary_machine: Machine) -> None:
    assert_works_and_says(ordinary_machine, "loading kernel_cache.bpf.o: Operation not permitted")


def test_verifiers_last_words_are_about_the_program() -> None:
    log = (
        "libbpf: prog 'x': BPF program load failed: Permission denied\n"
        "libbpf: prog 'x': -- BEGIN PROG LOAD LOG --\n"
        "0: R1=ctx(off=0,imm=0) R10=fp0\nR0 invalid mem access 'scalar'\n"
        "verification time 12 usec\nstack depth 0\n"
        "processed 2 insns (limit 1000000) max_states_per_insn 0\n-- END PROG LOAD LOG --\n"
        "libbpf: failed to load program 'x'\n"
    )
    assert libbpf.last_words(log) == "R0 invalid mem access 'scalar'"
    assert libbpf.last_words("libbpf: Error in bpf_object__probe_loading(): EPERM\n") == ""
