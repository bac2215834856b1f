"""What needs more than the kernel at hand may have runs in a guest whose kernel has it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from tests.full_kernel.guest_kernel import lacks, run

HERE = Path(__file__).parent
SECONDS = 400.0
"""After which the guest is given up; never a measure."""


def test_all_that_needs_a_full_kernel_passes_in_a_guest(tmp_path: Path) -> None:
    if missing := lacks():
        pytest.skip(missing)
    inside = [str(path) for path in sorted(HERE.glob("inside_*.py"))]
    assert inside
    environment = [f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}"]
    environment.append("PYTEST_DISABLE_PLUGIN_AUTOLOAD=1")
    pytest_there = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *inside]
    status, said = run(tmp_path, [*environment, *pytest_there], SECONDS)
    print(said)
    assert status == 0
    assert re.search(rf"{len(inside)} passed", said)
