"""Build the in-kernel cache with clang when the package is built.

The object file becomes part of the wheel and of an editable installation, never of the sources.
Without clang the package is built all the same; the switch then works without the cache, and says
why.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/linkspan/engine/user/kernel_cache.bpf.c")

FLAGS = ("-O2", "-g", "-Wall", "-target", "bpf", "-mcpu=v2")
"""Instructions that Linux has had since 4.14, whatever this clang takes for the default."""


class KernelCacheHook(BuildHookInterface):  # type: ignore[misc]
    """Compiles `kernel_cache.bpf.c` next to its source."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files."""
        source = Path(self.root) / SOURCE
        target = source.with_suffix(".o")
        compiler = shutil.which("clang")
        if compiler is None:
            target.unlink(missing_ok=True)
            self._warn("clang is not there")
            return
        command = [compiler, *FLAGS, *_include_folders()]
        command += ["-c", str(source), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            target.unlink(missing_ok=True)
            self._warn(done.stderr.strip())
            return
        build_data.setdefault("artifacts", []).append(str(target.relative_to(self.root)))

    def _warn(self, why: str) -> None:
        print(f"linkspan is built without the in-kernel cache: {why}", file=sys.stderr)


def _include_folders() -> list[str]:
    """Where Debian and its kin keep <asm/types.h> of this machine."""
    return [f"-I{folder}" for folder in Path("/usr/include").glob("*-linux-gnu") if folder.is_dir()]
