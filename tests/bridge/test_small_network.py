"""Two switches and four stations, told as a transcript.

ada ─ 1 ┌─────┐ 3 ── 1 ┌─────┐ 2 ─ cyd
        │ sw1 │        │ sw2 │
bob ─ 2 └─────┘        └─────┘ 3 ─ dan
"""

from __future__ import annotations

from tests.bridge.bridge_samples import ARP, bridge_of, frame, station

from linkspan.bridge.cache import VerdictCache
from linkspan.bridge.commit import Event, Evicted, Expired, Learned, Moved, OwnAddress, expire
from linkspan.bridge.port import PortOptions
from linkspan.bridge.state import Bridge
from linkspan.bridge.switch import handle_miss
from linkspan.types import BROADCAST, HOST_PORT, Mac, PortNumber

STATIONS = {"ada": station(0xA), "bob": station(0xB), "cyd": station(0xC), "dan": station(0xD)}
NAMES = {mac: name for name, mac in STATIONS.items()} | {BROADCAST: "everybody"}
WIRES: dict[tuple[str, int], str | tuple[str, int]] = {
    ("sw1", 1): "ada",
    ("sw1", 2): "bob",
    ("sw1", 3): ("sw2", 1),
    ("sw2", 1): ("sw1", 3),
    ("sw2", 2): "cyd",
    ("sw2", 3): "dan",
}


class Network:
    """The stations, the switches and what was said about them."""

    def __init__(self) -> None:
        self.switches = {"sw1": bridge_of(1, 2, 3), "sw2": bridge_of(1, 2, 3)}
        self.caches = {name: VerdictCache() for name in self.switches}
        self.at: dict[str, tuple[str, int]] = {
            end: place for place, end in WIRES.items() if isinstance(end, str)
        }
        self.now = 0.0
        self.lines: list[str] = []

    def send(self, source: str, destination: str, kind: bytes = b"\x08\x00") -> None:
        target = BROADCAST if destination == "everybody" else STATIONS[destination]
        self.lines.append(f"{self.now:g}s {source} to {destination}")
        self.arrive(*self.at[source], frame(target, STATIONS[source], kind))

    def arrive(self, switch: str, port: int, data: bytes) -> None:
        verdict, events = handle_miss(
            self.switches[switch], self.caches[switch], PortNumber(port), data, self.now
        )
        ways = [self.far_end(switch, egress) for egress in verdict.egress]
        reached = ", ".join(way if isinstance(way, str) else way[0] for way in ways)
        self.lines.append(f"   {switch}: {verdict.reason.name} -> {reached or 'nobody'}")
        self.lines += [f"   {switch}: {told(event)}" for event in events]
        for way in ways:
            if not isinstance(way, str):
                self.arrive(*way, data)

    def far_end(self, switch: str, port: int) -> str | tuple[str, int]:
        if port == HOST_PORT:
            return f"host of {switch}"
        way: str | tuple[str, int] = WIRES[switch, port]
        if isinstance(way, str):
            return next((name for name, at in self.at.items() if at == (switch, port)), "nobody")
        return way

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for name, bridge in self.switches.items():
            self.caches[name].collect(bridge, self.now)
            for event in expire(bridge, self.now):
                self.lines.append(f"{self.now:g}s {name}: {told(event)}")

    def transcript(self) -> str:
        return "\n".join(self.lines)


def called(mac: Mac) -> str:
    return NAMES.get(mac, mac.hex(":"))


def told(event: Event) -> str:
    match event:
        case Learned(mac, _, port):
            return f"learned {called(mac)} on port {port}"
        case Moved(mac, _, old, new):
            return f"{called(mac)} moved from port {old} to port {new}"
        case Expired(mac, _, port):
            return f"forgot {called(mac)} on port {port}"
        case Evicted(mac, _, port):
            return f"gave up {called(mac)} on port {port}"
        case OwnAddress(_, port):
            return f"heard itself on port {port}"


def test_a_conversation_across_two_switches() -> None:
    net = Network()
    net.send("ada", "everybody", ARP)
    net.send("cyd", "ada", ARP)
    net.send("ada", "cyd")
    net.send("bob", "dan")
    assert (
        net.transcript()
        == """\
0s ada to everybody
   sw1: FLOODED_BROADCAST -> bob, sw2, host of sw1
   sw1: learned ada on port 1
   sw2: FLOODED_BROADCAST -> cyd, dan, host of sw2
   sw2: learned ada on port 1
0s cyd to ada
   sw2: FORWARDED -> sw1
   sw2: learned cyd on port 2
   sw1: FORWARDED -> ada
   sw1: learned cyd on port 3
0s ada to cyd
   sw1: FORWARDED -> sw2
   sw2: FORWARDED -> cyd
0s bob to dan
   sw1: FLOODED_UNKNOWN_UNICAST -> ada, sw2
   sw1: learned bob on port 2
   sw2: FLOODED_UNKNOWN_UNICAST -> cyd, dan
   sw2: learned bob on port 1"""
    )


def test_a_station_that_migrates_is_found_as_soon_as_it_speaks() -> None:
    net = Network()
    net.send("ada", "everybody", ARP)
    net.send("bob", "ada")
    net.lines.clear()
    net.at["ada"] = ("sw2", 3)
    net.at["dan"] = ("sw1", 1)
    net.send("bob", "ada")
    net.send("ada", "everybody", ARP)
    net.send("bob", "ada")
    assert (
        net.transcript()
        == """\
0s bob to ada
   sw1: FORWARDED -> dan
0s ada to everybody
   sw2: FLOODED_BROADCAST -> sw1, cyd, host of sw2
   sw2: ada moved from port 1 to port 3
   sw1: FLOODED_BROADCAST -> dan, bob, host of sw1
   sw1: ada moved from port 1 to port 3
0s bob to ada
   sw1: FORWARDED -> sw2
   sw2: FORWARDED -> ada
   sw2: learned bob on port 1"""
    )


def test_who_is_silent_is_forgotten_and_sooner_during_a_topology_change() -> None:
    net = Network()
    net.send("ada", "everybody", ARP)
    net.wait(10)
    net.send("bob", "ada")
    net.lines.clear()
    net.switches["sw1"].set_ageing_time(15)
    net.wait(6)
    net.send("bob", "ada")
    net.wait(284)
    assert (
        net.transcript()
        == """\
16s sw1: forgot ada on port 1
16s bob to ada
   sw1: FLOODED_UNKNOWN_UNICAST -> ada, sw2
   sw2: SAME_PORT -> nobody
   sw2: learned bob on port 1
300s sw1: forgot bob on port 2
300s sw2: forgot ada on port 1"""
    )


def test_isolated_stations_reach_the_uplink_but_not_each_other() -> None:
    net = Network()
    sw2: Bridge = net.switches["sw2"]
    for port in (2, 3):
        sw2.set_options(PortNumber(port), PortOptions(isolated=True))
    net.send("cyd", "everybody", ARP)
    net.send("dan", "cyd")
    net.send("ada", "cyd")
    assert (
        net.transcript()
        == """\
0s cyd to everybody
   sw2: FLOODED_BROADCAST -> sw1, host of sw2
   sw2: learned cyd on port 2
   sw1: FLOODED_BROADCAST -> ada, bob, host of sw1
   sw1: learned cyd on port 3
0s dan to cyd
   sw2: ISOLATED -> nobody
   sw2: learned dan on port 3
0s ada to cyd
   sw1: FORWARDED -> sw2
   sw1: learned ada on port 1
   sw2: FORWARDED -> cyd
   sw2: learned ada on port 1"""
    )
