"""Carrying out changes of WireGuard interfaces, and reading them, by wireguard-go.

The interface is a tun that init holds: it is there, with its addresses and routes, whether or not
wireguard-go runs at the moment. That is a service of the lab's init process, which starts it again;
`wireguard_process` is what is started, and configures it. A change is told to the running one by
its control socket, and to init for the next one. Peers that stay keep their sessions.

What is there is asked of the control socket. A port that was left to the kernel, and where a peer
was found, are its own affair: for those the configuration counts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from linkspan.control.lines import connect
from linkspan.engine.netlink import set_link
from linkspan.engine.site import Site
from linkspan.engine.user.devices import open_tun
from linkspan.errors import Bug, Missing, Refusal
from linkspan.model.host_snapshot import NamespaceSnapshot
from linkspan.model.link_facts import WireguardPeer
from linkspan.model.names import Mark, port_name
from linkspan.model.state import Wireguard, WireguardKey
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import inside, node_key
from linkspan.services.wireguard_api import DeviceStatus, parse, update
from linkspan.services.wireguard_keys import file_of, kept, public_of

PROGRAM: Final = "wireguard-go"
PACKAGE: Final = "wireguard-go"
COMMAND: Final = (sys.executable, "-P", "-m", "linkspan.services.wireguard_process")
PATIENCE: Final = 10.0
"""Seconds that a process that was just started gets until it is configured."""

_ANSWER: Final = 2.0
_POLL: Final = 0.01
_WITHOUT_HEADER: Final = (0, 0, 20230223)
"""Since this version wireguard-go reads a tun without the four bytes of struct tun_pi."""

_MARK: Final = "tunnel:"
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


class Wireguards:
    """WireGuard interfaces of one lab."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a WireGuard interface. Raises Refusal, OSError or Missing."""
        match change:
            case Change(key=WireguardKey() as key, after=None):
                self._remove(key)
            case Change(key=WireguardKey() as key, before=None, after=Wireguard() as after):
                self._remove(key)
                self._add(key, after)
            case Change(
                key=WireguardKey() as key, before=Wireguard() as before, after=Wireguard() as after
            ):
                self._change(key, before, after)
            case _:
                raise Bug(f"no WireGuard is meant by {change.explain()}")

    def _add(self, key: WireguardKey, wanted: Wireguard) -> None:
        if not wanted.public_key:
            return  # the way back to one that did not work
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
        run_folder(self._site.folder, key).mkdir(parents=True, exist_ok=True)
        init.call("run", name=_service(key), arguments=COMMAND, **self._setup(key, wanted, program))
        self._await(key, wanted)

    def _change(self, key: WireguardKey, before: Wireguard, after: Wireguard) -> None:
        setup = self._setup(key, after, find_program())
        self._site.init.call("configure", services={_service(key): setup})
        if before.mtu != after.mtu:
            self._site.netlink(key.node).run([set_link(key.interface, mtu=after.mtu)])
        answer = _ask(self._site.folder, key, update(after, before))
        if "errno=0" not in answer:
            raise Refusal(f"{PROGRAM} refuses it: {answer.strip()}")

    def _remove(self, key: WireguardKey) -> None:
        self._site.init.call("stop", name=_service(key))
        self._site.init.call("drop", names=[_tun(key)])
        shutil.rmtree(run_folder(self._site.folder, key), ignore_errors=True)

    def _setup(self, key: WireguardKey, wanted: Wireguard, program: str) -> dict[str, Any]:
        return {
            "give": [node_key(key.node), _tun(key)],
            "configuration": {
                "program": program,
                "interface": key.interface,
                "folder": str(run_folder(self._site.folder, key)),
                "key": str(file_of(self._site.folder, wanted.public_key)),
                "device": msgspec.to_builtins(wanted),
            },
        }

    def _await(self, key: WireguardKey, wanted: Wireguard) -> None:
        if kept(self._site.folder, wanted.public_key) is None:
            raise Refusal(f"the private key of {key.interface} of {key.node} is not there any more")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = look(self._site.folder, key)
            if status is not None and status.has_key and len(status.peers) == len(wanted.peers):
                return
            time.sleep(_POLL)
        raise Refusal(f"{PROGRAM} of {key.interface} of {key.node} does not come up")


def read_wireguards(
    site: Site, nodes: Mapping[str, NamespaceSnapshot]
) -> Iterator[tuple[WireguardKey, Wireguard]]:
    """The WireGuard interfaces that a lab has, each with the key of its peers and its own."""
    services = site.init.call("status")["services"]
    for node, found in nodes.items():
        for each in found.interfaces:
            key = WireguardKey(node, each.name)
            if each.mark != Mark(site.lab, mark_of(key)):
                continue
            status = None
            if _service(key) in services:
                answer = site.init.call("configuration", name=_service(key))["configuration"]
                configured = msgspec.convert(answer["device"], Wireguard)
                status = _look_patiently(site.folder, key, configured)
            if status is None:
                yield key, Wireguard(public_key="", listen=0, mtu=each.mtu, peers=())
            else:
                yield key, replace(as_fact(status, configured), mtu=each.mtu)


def as_fact(status: DeviceStatus, configured: Wireguard) -> Wireguard:
    """What a device says of itself as a fact; what it may choose by itself is as configured."""
    endpoints = {peer.public_key: peer.endpoint for peer in configured.peers}
    found = [
        WireguardPeer(
            public_key=peer.public_key,
            allowed_ips=peer.allowed_ips,
            endpoint=endpoints.get(peer.public_key, peer.endpoint),
            keepalive=peer.keepalive,
        )
        for peer in status.peers
    ]
    return Wireguard(
        public_key=public_of(status.private_key) if status.has_key else "",
        listen=status.listen if configured.listen else 0,
        mtu=configured.mtu,
        peers=tuple(sorted(found, key=lambda peer: peer.public_key)),
    )


def look(folder: Path, key: WireguardKey) -> DeviceStatus | None:
    """What a device says of itself; None when it does not answer."""
    try:
        return parse(_ask(folder, key, "get=1\n\n"))
    except (Missing, OSError, ValueError):
        return None


def _look_patiently(folder: Path, key: WireguardKey, configured: Wireguard) -> DeviceStatus | None:
    """One that is being started again gets the time for it."""
    deadline = time.monotonic() + _ANSWER
    while True:
        status = look(folder, key)
        if (status is not None and status.has_key) or time.monotonic() > deadline:
            return status
        time.sleep(_POLL)


def _ask(folder: Path, key: WireguardKey, request: str) -> str:
    """Send a request to a device. Raises Missing or OSError when it does not answer."""
    place = run_folder(folder, key) / "wireguard" / f"{key.interface}.sock"
    answer = b""
    with connect(place, _ANSWER) as sock:
        sock.sendall(request.encode())
        while b"errno=" not in answer or not answer.endswith(b"\n\n"):
            part = sock.recv(1 << 16)
            if not part:
                break
            answer += part
    return answer.decode()


def run_folder(folder: Path, key: WireguardKey) -> Path:
    """What wireguard-go of an interface has for /run; short, since sockets are in it."""
    digest = blake2b(f"{key.node}.{key.interface}".encode(), digest_size=4).hexdigest()
    return folder / "wireguard" / digest


def mark_of(key: WireguardKey) -> str:
    """What marks an interface of ours."""
    return _MARK + port_name(key.node, key.interface)


def _service(key: WireguardKey) -> str:
    return f"wireguard:{key.node}:{key.interface}"


def _tun(key: WireguardKey) -> str:
    return f"tun:{key.node}:{key.interface}"


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
    found = re.search(r"v?(\d+)\.(\d+)\.(\d+)", said.stdout)
    return tuple(map(int, found.groups())) if found else _WITHOUT_HEADER
