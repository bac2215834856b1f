"""The compiled in-kernel cache: part of a wheel and of nothing else, and fit for Linux 5.10.

Builds are of a copy of the sources, with the hooks that pip calls (PEP 517).
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.networks import needs_cache
from tests.machine import REPOSITORY

from linkspan.engine.libbpf import BpfObject
from linkspan.engine.user import load

SOURCES = ("pyproject.toml", "hatch_build.py", "README.md", ".gitignore", "src")
SOURCE = "linkspan/engine/user/kernel_cache.bpf.c"
OBJECT = "linkspan/engine/user/kernel_cache.bpf.o"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources, with an object that another build has left."""
    folder = tmp_path / "linkspan"
    folder.mkdir()
    for name in SOURCES:
        place = REPOSITORY / name
        if place.is_dir():
            shutil.copytree(place, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, folder / name)
    (folder / "src" / OBJECT).write_bytes(b"old")
    return folder


def build(sources: Path, kind: str, path: str = os.environ["PATH"]) -> tuple[Path, str]:
    """A wheel or an sdist, and what the build said."""
    program = f"import hatchling.build; print(hatchling.build.build_{kind}('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=sources,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return sources / "dist" / done.stdout.split()[-1], done.stderr


@pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")
def test_wheel_holds_the_object(sources: Path) -> None:
    built, said = build(sources, "wheel")
    with zipfile.ZipFile(built) as wheel:
        assert wheel.read(OBJECT).startswith(b"\x7fELF")
    assert said == ""


def test_wheel_built_without_clang_holds_none_and_the_build_says_so(
    sources: Path, tmp_path: Path
) -> None:
    built, said = build(sources, "wheel", str(tmp_path))
    with zipfile.ZipFile(built) as wheel:
        assert OBJECT not in wheel.namelist()
    assert "built without the in-kernel cache: clang is not there" in said


def test_source_distribution_holds_the_source_only(sources: Path) -> None:
    built, _ = build(sources, "sdist")
    with tarfile.open(built) as archive:
        names = {name.partition("/src/")[2] for name in archive.getnames()}
    assert SOURCE in names
    assert OBJECT not in names


# what an old kernel has to know

EXECUTABLE = 4
LOAD_64, CALL, JUMP_32 = 0x18, 0x85, 6
ATOMIC_ADD = (0xC3, 0xDB)
REDIRECT_PEER = 155
"""The last helper that came with Linux 5.10 and is used here; they are numbered as they came."""

HASH, ARRAY = 1, 2


def instructions(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Opcode, source register and immediate value of every instruction of an object (ELF-64)."""
    (sections,) = struct.unpack_from("=Q", data, 40)
    size, count = struct.unpack_from("=HH", data, 58)
    for number in range(count):
        _, _, flags, _, offset, length = struct.unpack_from(
            "=IIQQQQ", data, sections + number * size
        )
        at, end = offset, offset + length if flags & EXECUTABLE else offset
        while at < end:
            opcode, registers, _, value = struct.unpack_from("=BBhi", data, at)
            yield opcode, registers >> 4, value
            at += 16 if opcode == LOAD_64 else 8


@needs_cache
def test_program_asks_for_nothing_that_came_after_linux_5_10() -> None:
    found = list(instructions(load.OBJECT.read_bytes()))
    assert len(found) > 200
    calls = [(source, helper) for opcode, source, helper in found if opcode == CALL]
    assert (0, REDIRECT_PEER) in calls
    for source, helper in calls:
        assert source == 0, "only helpers are called"
        assert helper <= REDIRECT_PEER
    adds = [value for opcode, _, value in found if opcode in ATOMIC_ADD]
    assert adds
    assert set(adds) == {0}, "atomic operations that give a value back came with 5.12"
    assert not [opcode for opcode, _, _ in found if opcode & 7 == JUMP_32]


@needs_cache
def test_maps_are_of_old_kinds() -> None:
    loaded = BpfObject(load.OBJECT)
    try:
        for name in ("flows", "slots", "ports", "state", "numbers", "watched"):
            descriptor = loaded.map(name)
            text = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
            os.close(descriptor)
            (kind,) = (line.split()[1] for line in text.splitlines() if "map_type" in line)
            assert int(kind) in (HASH, ARRAY)
    finally:
        loaded.close()
