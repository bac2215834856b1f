"""Starting, changing and ending the services of a lab, and reading which there are.

A service is known to the lab's init process by its name, `service:PROGRAM:NODE:INTERFACE`, and its
configuration is kept there: what init would start next is what there is. A service that was killed
is back at once, with the files of its folder, so it counts as there.

A changed configuration is a new process: dnsmasq reads its leases from the file, and a client gives
back what it had and asks anew. Clients are started one after the other and waited for together,
in `settle`.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Final

import msgspec

from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_namespace
from linkspan.engine.site import Site
from linkspan.engine.stack import setting_file
from linkspan.errors import Bug, Refusal
from linkspan.model.state import (
    Bridge,
    BridgeKey,
    Port,
    PortKey,
    Service,
    ServiceKey,
    State,
    VxlanKey,
)
from linkspan.plan.change import Change
from linkspan.plan.services import CLIENT, IPV4, IPV6, SERVER
from linkspan.sandbox.namespaces import inside, node_key
from linkspan.sandbox.output import since
from linkspan.sandbox.state import LOG
from linkspan.services.leases import Lease, read_leases
from linkspan.services.programs import LEASES, READY, folder_of, prepare
from linkspan.services.reasons import exhausted, why

ENTER: Final = (sys.executable, "-P", "-m", "linkspan.services.enter")
_PREFIX: Final = "service:"

PATIENCE: Final = 10.0
"""Seconds that a program gets for its first work: a client that hears nothing asks after 4 and
after 8 more (RFC 2131, 4.1)."""

TUNNEL_DELAY: Final = 15.0
"""Seconds that a client gets in addition whose bridge goes through tunnels: a WireGuard peer that
is not up yet is asked again after 5 and after 10 (section 6.1 of its whitepaper)."""

FORWARD_DELAY: Final = 15.0
"""Seconds that a port listens, and then learns, unless the file says another (br_if.c)."""

_ANSWERED: Final = 1.0
"""Seconds after which a server of ours has answered everybody whom it has an address for."""

_HEARING: Final = "net/ipv6/conf/{}/accept_ra"
"""Whether an interface configures itself by router advertisements
(Documentation/networking/ip-sysctl.rst)."""

_POLL: Final = 0.01


def service_name(key: ServiceKey) -> str:
    """The name of a service at the lab's init process."""
    return f"{_PREFIX}{key.program}:{key.node}:{key.interface}"


def read_services(site: Site) -> Iterator[tuple[ServiceKey, Service]]:
    """The services that a lab has."""
    for name in site.init.call("status")["services"]:
        if name.startswith(_PREFIX):
            configuration = site.init.call("configuration", name=name)["configuration"]
            key = ServiceKey(*name.removeprefix(_PREFIX).split(":"))
            yield key, msgspec.convert(configuration["service"], Service)


class Services:
    """Carries out changes of services."""

    def __init__(self, site: Site, state: State) -> None:
        """`state` is what there is and what is to come: it says which server a client asks."""
        self._site = site
        self._state = state
        self._waiting: dict[ServiceKey, Service] = {}

    def carry_out(self, change: Change) -> None:
        """Carry out a change of a service. Raises Refusal, OSError or Missing."""
        match change:
            case Change(key=ServiceKey() as key, after=None):
                self._stop(key)
                if key.program == SERVER:
                    self._hear_advertisements(key, like_others=True)
                shutil.rmtree(folder_of(self._site.folder, key), ignore_errors=True)
            case Change(key=ServiceKey() as key, after=Service() as service):
                self._stop(key)
                self._start(key, service)
            case _:
                raise Bug(f"no service is meant by {change.explain()}")

    def settle(self) -> None:
        """Wait until every client has what it is there for. Raises Refusal naming the first that
        does not get it, and why.
        """
        began = time.monotonic()
        while lacks := {key: lack for key in self._waiting if (lack := self._lack(key))}:
            self._waiting = {key: self._waiting[key] for key in lacks}
            waited = time.monotonic() - began
            for key, lack in lacks.items():
                if waited > self._patience(key) or (
                    waited > _ANSWERED and self._is_hopeless(key, lack)
                ):
                    raise Refusal(self._complaint(key, lack))
            time.sleep(_POLL)
        self._waiting.clear()

    def _stop(self, key: ServiceKey) -> None:
        self._site.init.call("stop", name=service_name(key))
        self._waiting.pop(key, None)

    def _start(self, key: ServiceKey, service: Service) -> None:
        folder = folder_of(self._site.folder, key)
        call = prepare(folder, key, service.text)
        if key.program == SERVER:
            self._hear_advertisements(key, like_others="enable-ra" not in service.text)
        log = self._site.folder / LOG
        begin = log.stat().st_size
        self._site.init.call(
            "run",
            name=service_name(key),
            arguments=ENTER,
            give=[node_key(key.node)],
            configuration={
                "arguments": call.arguments,
                "kinds": call.kinds,
                "mounts": call.mounts,
                "service": msgspec.to_builtins(service),
            },
        )
        if key.program == CLIENT:
            self._waiting[key] = service
        if key.program == SERVER:
            self._await(key, folder / READY, log, begin)
            if "enable-ra" in service.text:
                self._await_link_local(key)

    def _hear_advertisements(self, key: ServiceKey, like_others: bool) -> None:
        """Whether a bridge hears router advertisements like other interfaces of its node; one that
        advertises is not to configure itself by what it says.
        """
        with inside(self._site.network(key.node)), contextlib.suppress(FileNotFoundError):
            usual = setting_file(_HEARING.format("default")).read_text()
            setting_file(_HEARING.format(key.interface)).write_text(usual if like_others else "0")

    def _await(self, key: ServiceKey, ready: Path, log: Path, begin: int) -> None:
        """Wait until a server has opened its sockets, which is when it writes its pid."""
        deadline = time.monotonic() + PATIENCE
        while not ready.exists():
            status = self._site.init.call("status")["services"][service_name(key)]
            if status["starts"] > 1 or status["pid"] == 0 or time.monotonic() > deadline:
                self._stop(key)
                raise Refusal(_last_words(log, begin, key.program))
            time.sleep(_POLL)

    def _await_link_local(self, key: ServiceKey) -> None:
        """Wait until a bridge has the address that it can advertise its networks from: its
        link-local one, when duplicate address detection is done (RFC 4861, 6.1.2; RFC 4862, 5.4).
        A client that hears another one asks again only after seconds.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with inside(self._site.network(key.node)), Dumps() as dumps:
                found = read_namespace(dumps)
            interface = found.interface(key.interface)
            if interface is None or not interface.carrier:
                return
            local = [
                each
                for each in found.addresses
                if each.interface == key.interface and each.scope == "link"
            ]
            if any("tentative" not in each.flags for each in local):
                return
            time.sleep(_POLL)

    def _lack(self, key: ServiceKey) -> str:
        """What an interface does not have yet."""
        with inside(self._site.network(key.node)), Dumps() as dumps:
            found = read_namespace(dumps).addresses
        usable = [
            ip_interface(each.address)
            for each in found
            if each.interface == key.interface
            and each.scope == "global"
            and "tentative" not in each.flags
        ]
        has = {str(each.ip) for each in usable} | {
            IPV4 if each.version == 4 else IPV6 for each in usable
        }
        awaits = self._waiting[key].awaits
        return next((wanted for wanted in awaits if wanted not in has), "")

    def _is_hopeless(self, key: ServiceKey, lack: str) -> bool:
        """Whether a client asks a server of ours that has nothing left for it."""
        _, text, leases = self._server(key)
        return lack == IPV4 and text is not None and exhausted(text, leases)

    def _patience(self, key: ServiceKey) -> float:
        """Seconds that a client gets: as long again as a spanning tree keeps its port from
        forwarding, since the time between two questions doubles, and what a tunnel takes.
        """
        patience = PATIENCE
        match self._state.get(PortKey(key.node, key.interface)):
            case Port(bridge=name):
                match self._state.get(BridgeKey(name)):
                    case Bridge(options={"stp": str(), **options}):
                        patience += 4 * float(options.get("forward_delay") or FORWARD_DELAY)
                if any(isinstance(each, VxlanKey) and each.bridge == name for each in self._state):
                    patience += TUNNEL_DELAY
        return patience

    def _complaint(self, key: ServiceKey, lack: str) -> str:
        what = {IPV4: "no IPv4 address", IPV6: "no IPv6 address"}.get(lack, f"not {lack}")
        bridge, text, leases = self._server(key)
        return f"{key.node} got {what} for {key.interface}: {why(lack, bridge, text, leases)}"

    def _server(self, key: ServiceKey) -> tuple[str, str | None, list[Lease]]:
        """The bridge that a client is on, the configuration and the leases of its server."""
        match self._state.get(PortKey(key.node, key.interface)):
            case Port(bridge=name):
                for each, value in self._state.items():
                    match each, value:
                        case ServiceKey(program=program, interface=on), Service(text=text) if (
                            program == SERVER and on == name and "dhcp-range=" in text
                        ):
                            folder = folder_of(self._site.folder, each)
                            return name, text, read_leases(folder / LEASES)
                return name, None, []
        return key.interface, None, []


def _last_words(log: Path, begin: int, program: str) -> str:
    """What a program said before it ended."""
    lines = [line.strip() for line in since(log, begin) if line.startswith(program)]
    return next((line for line in lines if ": " in line), f"{program} ended without a word")
