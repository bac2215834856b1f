"""WireGuard by wireguard-go.

The interface is a tun that init holds: it is there, with its addresses and routes, whether or not
wireguard-go runs at the moment. That is a service of the lab's init process, which starts it again;
`wireguard_process` is what is started, and configures it. A change is told to the running one by
its control socket, and to init for the next one. Peers that stay keep their sessions.
What is there is asked of the control socket.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from linkspan.control.client import connect
from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.engine.user.devices import open_tun
from linkspan.errors import Missing, Refusal
from linkspan.model.names import Mark
from linkspan.model.state import Wireguard, WireguardKey
from linkspan.sandbox.namespaces import inside, node_key
from linkspan.services.wireguard_api import DeviceStatus, parse, update
from linkspan.services.wireguard_keys import file_of
from linkspan.services.wireguard_places import folder_of, mark_of

PROGRAM: Final = "wireguard-go"
PACKAGE: Final = "wireguard-go"
COMMAND: Final = (sys.executable, "-P", "-m", "linkspan.services.wireguard_process")
PATIENCE: Final = 10.0
"""Seconds that a process that was just started gets until it is configured."""

_ANSWER: Final = 2.0
_POLL: Final = 0.01
_WITHOUT_HEADER: Final = (0, 0, 20230223)
"""Since this version wireguard-go reads a tun without the four bytes of struct tun_pi."""

_PLACES: Final = "/usr/local/bin:/usr/bin:/usr/sbin"


def find_program() -> str:
    """The path of wireguard-go. Raises Missing, naming the package."""
    path = shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:{_PLACES}")
    if path is None:
        raise Missing(f"{PROGRAM} is not installed\n  next: apt install {PACKAGE}")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Missing(
            "WireGuard needs /dev/net/tun, which this user may not open\n"
            "  next: run as root, or chmod 0666 /dev/net/tun"
        )
    return path


class GoWireguards:
    """WireGuard interfaces of one lab that wireguard-go makes."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def add(self, key: WireguardKey, wanted: Wireguard) -> None:
        """Make an interface and have it configured. Raises Refusal, OSError or Missing."""
        program, init = find_program(), self._site.init
        with inside(self._site.network(key.node)):
            tun = open_tun(key.interface, with_header=_version(program) < _WITHOUT_HEADER)
        try:
            init.call("hold", [tun], name=_tun(key))
        finally:
            os.close(tun)
        mark = str(Mark(self._site.lab, mark_of(key)))
        netlink = self._site.netlink(key.node)
        netlink.run([set_link(key.interface, mtu=wanted.mtu, alias=mark)])
        folder_of(self._site.folder, key).mkdir(parents=True, exist_ok=True)
        init.call("run", name=_service(key), arguments=COMMAND, **self._setup(key, wanted, program))
        self._await(key, wanted)

    def change(self, key: WireguardKey, before: Wireguard, after: Wireguard) -> None:
        """Configure an interface anew. Raises Refusal, OSError or Missing."""
        setup = self._setup(key, after, find_program())
        self._site.init.call("configure", services={_service(key): setup})
        if before.mtu != after.mtu:
            self._site.netlink(key.node).run([set_link(key.interface, mtu=after.mtu)])
        answer = _ask(self._site.folder, key, update(after, before))
        if "errno=0" not in answer:
            raise Refusal(f"{PROGRAM} refuses it: {answer.strip()}")

    def remove(self, key: WireguardKey) -> None:
        """Remove an interface, or what is left of one. Raises Refusal."""
        self._site.init.call("stop", name=_service(key))
        self._site.init.call("drop", names=[_tun(key)])
        shutil.rmtree(folder_of(self._site.folder, key), ignore_errors=True)

    def _setup(self, key: WireguardKey, wanted: Wireguard, program: str) -> dict[str, Any]:
        return {
            "give": [node_key(key.node), _tun(key)],
            "configuration": {
                "program": program,
                "interface": key.interface,
                "folder": str(folder_of(self._site.folder, key)),
                "key": str(file_of(self._site.folder, wanted.public_key)),
                "device": msgspec.to_builtins(wanted),
            },
        }

    def _await(self, key: WireguardKey, wanted: Wireguard) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = look(self._site.folder, key)
            if status is not None and status.has_key and len(status.peers) == len(wanted.peers):
                return
            time.sleep(_POLL)
        raise Refusal(f"{PROGRAM} of {key.interface} of {key.node} does not come up")


def look(folder: Path, key: WireguardKey) -> DeviceStatus | None:
    """What a device says of itself; None when it does not answer."""
    try:
        return parse(_ask(folder, key, "get=1\n\n"))
    except (Missing, OSError, ValueError):
        return None


def configured(site: Site, key: WireguardKey) -> Wireguard | None:
    """What the service of an interface is told; None when there is no such service."""
    if _service(key) not in site.init.call("status")["services"]:
        return None
    answer = site.init.call("configuration", name=_service(key))["configuration"]
    return msgspec.convert(answer["device"], Wireguard)


def look_patiently(folder: Path, key: WireguardKey) -> DeviceStatus | None:
    """One that is being started again gets the time for it."""
    deadline = time.monotonic() + _ANSWER
    while True:
        status = look(folder, key)
        if (status is not None and status.has_key) or time.monotonic() > deadline:
            return status
        time.sleep(_POLL)


def _ask(folder: Path, key: WireguardKey, request: str) -> str:
    """Send a request to a device. Raises Missing or OSError when it does not answer."""
    place = folder_of(folder, key) / "wireguard" / f"{key.interface}.sock"
    answer = b""
    with connect(place, _ANSWER) as sock:
        sock.sendall(request.encode())
        while b"errno=" not in answer or not answer.endswith(b"\n\n"):
            part = sock.recv(1 << 16)
            if not part:
                break
            answer += part
    return answer.decode()


def _service(key: WireguardKey) -> str:
    return f"wireguard:{key.node}:{key.interface}"


def _tun(key: WireguardKey) -> str:
    return f"tun:{key.node}:{key.interface}"


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
    found = re.search(r"v?(\d+)\.(\d+)\.(\d+)", said.stdout)
    return tuple(map(int, found.groups())) if found else _WITHOUT_HEADER
