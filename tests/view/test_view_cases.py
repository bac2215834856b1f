"""Every picture and table as it is read: exact texts in `cases`, one file a situation.

After a change that is meant, `python tests/view/test_view_cases.py` writes them anew; the
difference in git is then what readers will notice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.view.view_labs import (
    all_reached,
    bridge,
    containers,
    interface,
    lab,
    loopback,
    node,
    port,
)

from linkspan import view
from linkspan.model.interface_snapshot import TapHolder
from linkspan.model.network_snapshot import (
    DhcpSnapshot,
    DnsSnapshot,
    NetworkSnapshot,
    PublishedSnapshot,
)
from linkspan.model.snapshot import Counters, FdbSnapshot, LabSnapshot, Reach
from linkspan.view import networks as view_networks

CASES: Final = Path(__file__).parent / "cases"


def two_bridges() -> LabSnapshot:
    """A router between two bridges, one of them pure layer 2, and a node on its own."""
    return lab(
        [
            bridge(
                port(1, "web:eth0"),
                port(2, "router:eth0"),
                name="lan",
                addresses=("10.0.0.254/24", "fd00:a::fe/64"),
            ),
            bridge(port(1, "router:eth1"), port(2, "db:eth0"), name="dmz", last_byte=0xB1),
        ],
        [
            node("host", kind="host"),
            node("web", interface("eth0", 1, "10.0.0.2/24", "fd00:a::2/64", bridge="lan")),
            node(
                "router",
                interface("eth0", 2, "10.0.0.1/24", bridge="lan"),
                interface("eth1", 3, "10.1.0.1/24", bridge="dmz"),
            ),
            node("db", interface("eth0", 4, "10.1.0.2/24", bridge="dmz")),
            node("spare"),
        ],
    )


def troubled() -> LabSnapshot:
    """Whatever can be wrong with a wire, each once."""
    return lab(
        [
            bridge(
                port(1, "ok:eth0", options={"isolated": True, "hairpin": True}),
                port(2, "off:eth0"),
                port(3, "pulled:eth0", kind="veth"),
                port(4, "shut:eth0", state="disabled"),
                port(5, "gone:eth0"),
                up=False,
                restarts=2,
            )
        ],
        [
            node("ok", interface("eth0", 1, "10.0.0.2/24")),
            node("off", interface("eth0", 2, "10.0.0.3/24", up=False, carrier=False)),
            node("pulled", interface("eth0", 3, "10.0.0.4/24", carrier=False)),
            node("shut", interface("eth0", 4)),
        ],
        state="stale",
    )


def second_host() -> LabSnapshot:
    """A host inside the lab with a bridge of its own, its NIC on the outer bridge."""
    return lab(
        [
            bridge(port(1, "h2:eth0"), port(2, "gw:eth0"), name="lan"),
            bridge(
                port(1, "vm1:eth0", kind="stream"),
                name="virbr0",
                node="h2",
                addresses=("192.168.122.1/24",),
                last_byte=0xB1,
            ),
        ],
        [
            node("host", kind="host"),
            node(
                "h2",
                interface("eth0", 1, "10.0.0.9/24", bridge="lan"),
                interface("virbr0", 0xB1, "192.168.122.1/24", bridge=None),
                kind="host",
            ),
            node("gw", interface("eth0", 2, "10.0.0.1/24", bridge="lan")),
            node("vm1", interface("eth0", 3, bridge="virbr0"), kind="vm"),
        ],
    )


def sockets() -> LabSnapshot:
    """Ports that lead out of the lab."""
    return lab(
        [
            bridge(
                port(1, None, name="vm-a", kind="stream"),
                port(2, None, name="vm-b", kind="dgram", state="disabled"),
                port(3, ":eth1", name="eth1", kind="packet"),
            )
        ],
        [],
    )


def guests() -> LabSnapshot:
    """Scope host: taps of others on a bridge of the kernel, and a bridge that can have none."""
    guest = TapHolder(pid=4711, command="qemu-system-x86", descriptor=28, guest="guest1")
    daemon = TapHolder(pid=815, command="openvpn", descriptor=5)
    held = [
        replace(port(number, None, name=name), held_by=holder)
        for number, name, holder in ((1, "vnet0", guest), (2, "tap7", daemon))
    ]
    bridges = [bridge(*held, port(3, "a:eth0"), engine="kernel"), bridge(name="br1")]
    found = lab(bridges, [node("host", kind="host"), node("a", interface("eth0", 1))])
    return replace(found, scope="host")


def busy() -> LabSnapshot:
    """Counters, drops and an FDB in all kinds."""
    traffic = Counters(1_234_567, 1_850_000_000, 999, 65_934, {"PORT_DISABLED": 3, "FDB_FULL": 12})
    return lab(
        [
            bridge(
                port(1, "a:eth0", counters=traffic, options={"isolated": True, "learning": False}),
                port(2, "b:eth0", counters=Counters(0, 0, 1_234_567, 1_850_000_000)),
                port(10, None, name="vm", kind="stream", state="disabled"),
                addresses=("10.0.0.1/24", "fd00::1/64"),
                restarts=1,
                fdb=(
                    FdbSnapshot("02:6c:73:00:00:02", 0, "b.eth0", "learned", 12.34),
                    FdbSnapshot("02:6c:73:00:00:b0", 0, "br0", "local", None),
                    FdbSnapshot("02:6c:73:00:00:01", 10, "a.eth0", "static", None),
                    FdbSnapshot("02:6c:73:00:00:77", 0, "vanished", "learned", 299.96),
                ),
            ),
            bridge(name="dmz", last_byte=0xB1, up=False),
        ],
        [
            node("host", interface("br0", 0xB0, "10.0.0.1/24", "fd00::1/64", bridge=None)),
            node("a", interface("eth0", 1, "10.0.0.2/24", "fe80::1/64", mtu=9000)),
            node("b", interface("eth0", 2, up=False, carrier=False), interface("eth1", 3)),
            msgspec.structs.replace(
                node("c"), interfaces=[msgspec.structs.replace(loopback(), up=False)]
            ),
            msgspec.structs.replace(node("d"), interfaces=[]),
        ],
    )


def every_table() -> str:
    tables = (
        view.bridges_table,
        view.ports_table,
        view.drops_table,
        view.fdb_table,
        view.addresses_table,
    )
    return "\n\n".join(each(busy()) for each in tables)


def networks() -> str:
    """A network with everything, one whose addresses are used up and whose server is gone, one
    that leads nowhere, and a bridge without services.
    """
    lends = DhcpSnapshot(
        ranges=["10.0.0.2-10.0.0.99", "fd00::1000-fd00::1fff"],
        fixed={"web": ["10.0.0.10"]},
        lent=3,
        free=1096,
        lease_time=3600,
        gateway=None,
        mtu=1450,
    )
    used_up = msgspec.structs.replace(lends, ranges=["10.1.0.2-10.1.0.3"], lent=2, free=0)
    names = DnsSnapshot(["10.0.0.1"], "lab", ["192.0.2.53"], ["small"])
    published = [
        PublishedSnapshot("tcp", "0.0.0.0", 8080, 8080, "10.0.0.10", 80, "web"),
        PublishedSnapshot("udp", "::", 9000, 9099, "fd00::7", 9000, None),
    ]
    services = {
        "lan": NetworkSnapshot("nat", published, lends, names, 2),
        "small": NetworkSnapshot(None, [], used_up, None, None),
        "inner": NetworkSnapshot("none", [], None, None, None),
        "plain": None,
    }
    shown = lab(
        [
            msgspec.structs.replace(bridge(name=name), network=network)
            for name, network in services.items()
        ],
        [],
    )
    return f"{view_networks.networks_table(shown)}\n\n{view_networks.published_table(shown)}"


def every_table_of_nothing() -> str:
    nothing = lab([], [])
    texts = (
        view.picture(nothing),
        view.bridges_table(nothing),
        view.ports_table(nothing),
        view.fdb_table(nothing),
        view.addresses_table(nothing),
        view.ping_matrix([]),
    )
    assert view.drops_table(nothing) == ""
    assert view_networks.networks_table(nothing) == ""
    assert view_networks.published_table(nothing) == ""
    return "\n".join(texts)


def ping_with_failures() -> str:
    results = []
    for reach in all_reached(["a", "b", "c", "d"]):
        family_6 = ":" in reach.address
        if "d" in (reach.source, reach.destination):
            result, detail = ("no-reply", "ARP answered, ICMP did not")
            if family_6:
                continue
        elif reach.destination == "c" and family_6:
            result, detail = "no-route", ""
        else:
            result, detail = "reached", ""
        time = reach.milliseconds if result == "reached" else None
        results.append(
            msgspec.structs.replace(reach, result=result, detail=detail, milliseconds=time)
        )
    results += [Reach(name, "e", "", "no-address", None) for name in "abcd"]
    return view.ping_matrix(results)


def ping_many() -> str:
    """Twenty nodes; c5 answers nobody, c7 has no way to c3."""
    results = []
    for reach in all_reached([f"c{i}" for i in range(1, 21)]):
        ends = (reach.source, reach.destination)
        result = "reached"
        if "c5" in ends:
            result = "no-reply"
        elif ends == ("c7", "c3"):
            result = "no-route"
        time = reach.milliseconds if result == "reached" else None
        results.append(msgspec.structs.replace(reach, result=result, milliseconds=time))
    return view.ping_matrix(results)


SITUATIONS: Final[dict[str, Callable[[], str]]] = {
    "three-containers": lambda: view.picture(containers(3)),
    "three-containers-ascii": lambda: view.picture(containers(3), ascii=True),
    "three-containers-60-columns": lambda: view.picture(containers(3), columns=60),
    "nine-containers-in-rows": lambda: view.picture(containers(9)),
    "thirteen-containers-as-list": lambda: view.picture(containers(13)),
    "thirteen-containers-as-list-60-columns": lambda: view.picture(containers(13), columns=60),
    "two-bridges-and-a-router": lambda: view.picture(two_bridges()),
    "everything-wrong": lambda: view.picture(troubled()),
    "everything-wrong-ascii": lambda: view.picture(troubled(), columns=80, ascii=True),
    "bridge-on-a-second-host": lambda: view.picture(second_host()),
    "sockets-and-a-network-card": lambda: view.picture(sockets()),
    "guests-of-libvirt": lambda: f"{view.picture(guests())}\n\n{view.ports_table(guests())}",
    "bridge-without-ports": lambda: view.picture(lab([bridge()], [])),
    "tables": every_table,
    "networks": networks,
    "nothing": every_table_of_nothing,
    "ping-all-well": lambda: view.ping_matrix(all_reached(["a", "b", "c", "host"])),
    "ping-with-failures": ping_with_failures,
    "ping-wide": lambda: view.ping_matrix(
        all_reached([f"container-{i}" for i in range(1, 9)]), columns=80
    ),
    "ping-many": ping_many,
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_text_is_exactly_as_recorded(name: str) -> None:
    assert SITUATIONS[name]() + "\n" == (CASES / f"{name}.txt").read_text(encoding="utf-8")


def test_every_recorded_text_has_its_situation() -> None:
    assert {path.stem for path in CASES.glob("*.txt")} == set(SITUATIONS)


if __name__ == "__main__":
    for situation, render in SITUATIONS.items():
        (CASES / f"{situation}.txt").write_text(render() + "\n", encoding="utf-8")
