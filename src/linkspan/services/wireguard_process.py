"""Become wireguard-go, with the tun that init holds, and have it configured.

    python -m linkspan.services.wireguard_process DESCRIPTOR

DESCRIPTOR is a file with JSON: `program`, the `interface`, the node's namespaces and the tun under
`descriptors`, the `folder` that is to be its /run (its control socket would be in everybody's
otherwise), the `key` file and the wanted `device`. A child waits for the control socket and
configures; the process itself becomes wireguard-go, so init sees its end. Killed, the next one
finds interface, addresses and routes as they were: the tun is init's.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from linkspan.control.descriptors import close_all
from linkspan.model.state import Wireguard
from linkspan.sandbox.namespaces import NODE_KINDS, enter
from linkspan.sandbox.syscalls import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, mount, unshare
from linkspan.services.wireguard_api import request

PATIENCE = 10.0


def main(arguments: list[str]) -> None:
    """Enter, configure, become. Raises OSError when the kernel refuses, which ends the process."""
    with open(int(arguments[0]), "rb") as file:
        configuration: dict[str, Any] = json.load(file)
    namespaces, (tun,) = configuration["descriptors"].values()
    wanted = msgspec.convert(configuration["device"], Wireguard)
    text = request(Path(configuration["key"]).read_text(), wanted)
    enter([namespaces[NODE_KINDS.index("net")]])
    close_all(namespaces)
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount(configuration["folder"], "/run", "none", MS_BIND)
    os.chdir("/")
    name = configuration["interface"]
    place = Path("/run/wireguard", f"{name}.sock")
    place.unlink(missing_ok=True)
    if os.fork() == 0:
        os.close(tun)
        if os.fork() == 0:
            _configure(place, text)
        os._exit(0)
    os.wait()
    environment = {
        **os.environ,
        "WG_TUN_FD": str(tun),
        "WG_PROCESS_FOREGROUND": "1",
        "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1",
        "LOG_LEVEL": "error",
    }
    os.execve(configuration["program"], [configuration["program"], "-f", name], environment)


def _configure(place: Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(place))
                sock.sendall(text.encode())
                answer = sock.recv(4096).decode(errors="replace").strip()
            if answer != "errno=0":
                print(f"wireguard-go refuses its configuration: {answer}", file=sys.stderr)
            return
        except OSError:
            time.sleep(0.01)
    print("wireguard-go does not answer", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
