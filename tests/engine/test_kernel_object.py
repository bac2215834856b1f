"""The compiled in-kernel cache is part of a wheel, and of nothing else.

Builds are of a copy of the sources, with the hooks that pip calls (PEP 517).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.machine import REPOSITORY

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
