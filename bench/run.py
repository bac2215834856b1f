"""`make bench`: measure our switch beside its peers and say which targets are met.

    python bench/run.py [--quick] [--only NAME,...] [--rounds N] [--output FILE]
    python bench/run.py scale [--containers N] [--rounds N] [--output FILE]

This file only makes the modules beside it importable; harness.py does the work, and
scale/harness.py that of `make bench-scale`.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    # As a script only `bench/` itself is on the path; its modules are named from the repository,
    # and the switch that is measured is the one beside them.
    paths = [str(REPOSITORY), str(REPOSITORY / "src")]
    sys.path[:0] = paths
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)  # for the programs that it starts
    is_of_scale = sys.argv[1:2] == ["scale"]
    if is_of_scale:
        del sys.argv[1]
    module = "bench.scale.harness" if is_of_scale else "bench.harness"
    runpy.run_module(module, run_name="__main__", alter_sys=True)
