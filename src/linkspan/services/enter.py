"""Enter a node and become a program: what stands between a lab's init process and a service.

    python -m linkspan.services.enter DESCRIPTOR

DESCRIPTOR is a file with JSON: the program's `arguments`, the namespaces to enter in the order of
`NODE_KINDS` (`descriptors`, under the node's name), which `kinds` of these, and `mounts`, pairs of
what is bound over what, in a mount namespace of the program's own. With an `environment` the
program has that and no other, and is looked for by its PATH. The process stays the same, so
init sees the program's end as the service's.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linkspan.control.descriptors import close_all
from linkspan.sandbox.namespaces import NODE_KINDS, enter
from linkspan.sandbox.syscalls import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, mount, unshare


def main(arguments: list[str]) -> None:
    """Enter and become. Raises OSError when the kernel refuses, which ends the process."""
    with open(int(arguments[0]), "rb") as file:
        configuration: dict[str, Any] = json.load(file)
    (namespaces,) = configuration["descriptors"].values()
    enter([namespaces[NODE_KINDS.index(kind)] for kind in configuration["kinds"]])
    close_all(namespaces)
    if configuration["mounts"]:
        _cover(configuration["mounts"])
    os.chdir("/")
    words, environment = configuration["arguments"], configuration.get("environment")
    if environment is None:
        os.execv(words[0], words)
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        sys.exit(f"linkspan: {words[0]}: {error.strerror}")


def _cover(mounts: Sequence[Sequence[str]]) -> None:
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    for source, target in mounts:
        if Path(target).exists():
            mount(source, target, "none", MS_BIND)


if __name__ == "__main__":
    main(sys.argv[1:])
