"""`make bench-scale`: bring labs of many containers up and down, and compare.

    python bench/run.py scale [--containers N] [--rounds N] [--output FILE]

Each round gives every way its turn, in an order that rotates, so that whatever else the machine
does hits all of them; what counts is the ratio within a round. Everything happens in a mount
namespace of its own, so the script's named namespaces end with this process, however it ends; labs
that an interrupted run left are taken down by the next.

linkspan is measured as it is when it is installed: its byte code is there (pip compiles what it
installs), also where it runs from its sources and this shell says that none is to be written.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from bench.measure import share_of_others
from bench.scale.report import SCRIPT, Figures, Found, render
from bench.scale.ways import (
    WayError,
    by_hand,
    init_mebibytes,
    lab_file,
    lab_name,
    linkspan,
    mininet,
    mininet_is_missing,
    run,
)
from linkspan.model.topology import MOST_PORTS
from linkspan.sandbox.syscalls import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare

NOTES: Final = Path(__file__).resolve().parent / "notes.md"
ENGINES: Final = ("kernel", "user")
SMALL: Final = 100
"""Hosts of the topology that Mininet is measured by."""


def tell(text: str) -> None:
    """Progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)


def of_linkspan(engine: str, number: int, folder: Path, with_readings: bool) -> Figures:
    """One lab: up, up again, read in several ways, down."""
    file, lab = str(lab_file(folder, engine, number)), lab_name(engine, number)
    up, _ = run(linkspan("up", file), folder)
    figures = {"up": up.seconds, "up, CPU": up.cpu, "memory, command": up.mebibytes}
    try:
        figures["memory, init"] = init_mebibytes(lab)
        if with_readings:
            for name, words in (
                ("second up", ("up", file)),
                ("plan", ("plan", file)),
                ("show --json", ("show", "--json", lab)),
            ):
                cost, _ = run(linkspan(*words), folder)
                figures |= {name: cost.seconds, f"{name}, CPU": cost.cpu}
    finally:
        down, _ = run(linkspan("down", lab), folder)
    return figures | {"down": down.seconds, "down, CPU": down.cpu}


def of_script(number: int, folder: Path) -> Figures:
    """The same by hand."""
    up, _ = run(by_hand("up", number), folder)
    down, _ = run(by_hand("down", number), folder)
    return {
        "up": up.seconds,
        "up, CPU": up.cpu,
        "memory, command": up.mebibytes,
        "down": down.seconds,
        "down, CPU": down.cpu,
    }


def of_mininet(folder: Path) -> Figures:
    """Mininet's hundred."""
    up, down = mininet(SMALL, folder)
    return {"up": up, "down": down}


def measure(containers: int, rounds: int, folder: Path) -> Found:
    """All rounds, then what is looked at once."""
    begin, missing = time.monotonic(), mininet_is_missing()
    ways: dict[str, Callable[[], Figures]] = {
        f"linkspan, {engine} engine": partial(of_linkspan, engine, containers, folder, True)
        for engine in ENGINES
    }
    ways[SCRIPT] = partial(of_script, containers, folder)
    ways[f"linkspan, {SMALL}"] = partial(of_linkspan, "kernel", SMALL, folder, False)
    if not missing:
        ways[f"Mininet, {SMALL}"] = partial(of_mininet, folder)
    samples: dict[str, list[Figures]] = defaultdict(list)
    others: list[float] = []
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        order = list(ways)
        turn = number % len(order)
        for name in (*order[turn:], *order[:turn]):
            others.append(share_of_others())
            figures = ways[name]()
            samples[name].append(figures)
            shown = ", ".join(f"{key} {value:.2f}" for key, value in figures.items())
            tell(f"  {name}: {shown}")
    for engine in ENGINES:
        tell(f"1000 containers, {engine} engine")
        samples[f"linkspan, {engine} engine, 1000"].append(
            of_linkspan(engine, 1000, folder, with_readings=True)
        )
    seconds = time.monotonic() - begin
    refusal = _too_many(folder)
    return Found(containers, rounds, dict(samples), missing, others, seconds, refusal)


def _too_many(folder: Path) -> str:
    """What is said of a file with one port more than a bridge can have."""
    file = lab_file(folder, "kernel", MOST_PORTS + 1)
    _, said = run(linkspan("plan", str(file)), folder, status=2)
    return said.replace(str(file), file.name).strip()


def _stand_apart() -> None:
    """Go into a mount namespace of our own, with a place for names of namespaces."""
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    Path("/run/netns").mkdir(exist_ok=True)
    mount("none", "/run/netns", "tmpfs")


def _have_byte_code(folder: Path) -> None:
    """Have the byte code of linkspan, and of all that it imports, in a folder."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "byte-code")
    for engine in ENGINES:
        of_linkspan(engine, 2, folder, with_readings=True)


def main() -> int:
    """Run the bench; returns the exit status: 0 done, 1 a way failed, 4 not root or no iproute2."""
    parser = argparse.ArgumentParser(description="measure labs of many containers")
    parser.add_argument("--containers", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report here too")
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("ip"):
        tell("bench: needs root and iproute2, for named network namespaces")
        return 4
    _stand_apart()
    with tempfile.TemporaryDirectory(prefix="linkspan-scale-") as name:
        folder = Path(name)
        for engine in ENGINES:
            for number in (SMALL, options.containers, 1000):
                run(linkspan("down", lab_name(engine, number)), folder, status=None)
        try:
            _have_byte_code(folder)
            found = measure(options.containers, options.rounds, folder)
        except WayError as trouble:
            tell(f"bench: {trouble}")
            return 1
    text = render(found, NOTES.read_text(encoding="utf-8") if NOTES.exists() else "")
    print(text, end="")
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
        tell(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
