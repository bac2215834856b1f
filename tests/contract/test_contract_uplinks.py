"""A NIC that a running lab's bridge takes and gives back, whichever engine the bridge is of."""

from __future__ import annotations

from pathlib import Path

from tests.contract.labs import LabEngine, changes
from tests.engine.running_lab import RunningLab, lab, transfer
from tests.machine import EXAMPLES

from linkspan.engine.reading.dump import Dumps
from linkspan.engine.reading.namespace import read_namespace
from linkspan.lab.find import Place
from linkspan.lab.observe import observe
from linkspan.sandbox.namespaces import inside

TEXT = (EXAMPLES / "vm-host-on-a-lan.yaml").read_text().replace("name: vm-host\n", "")
OUTSIDE = "02:00:00:00:00:99"
OWN = "192.168.3.101/24"


def addresses(running: RunningLab, interface: str) -> list[str]:
    """The IPv4 addresses of an interface of the server, whose NIC is eth0."""
    with inside(running.network("server")), Dumps() as dumps:
        found = read_namespace(dumps)
    index = {each.name: each.index for each in found.interfaces}[interface]
    return [
        each.address for each in found.addresses if each.index == index and ":" not in each.address
    ]


def entries(running: RunningLab) -> list[tuple[str, str]]:
    """Port and kind of the FDB entry of somebody outside."""
    (bridge,) = (each for each in observe(Place(running.name)).bridges if each.name == "br0")
    return [(entry.port, entry.kind) for entry in bridge.fdb if entry.mac == OUTSIDE]


def test_a_bridge_takes_a_nic_and_gives_it_back(tmp_path: Path, engine: LabEngine) -> None:
    with_nic = TEXT.replace(
        "{node: server, ", f'{{{engine.fields}, node: server, fdb: {{"{OUTSIDE}": eth0}}, '
    )
    without = with_nic.replace(f', fdb: {{"{OUTSIDE}": eth0}}, uplink: eth0', "")
    with lab(tmp_path, without) as running:
        inner = running.connect("web", "db", "192.168.3.103")
        for port in (7100, 7200):
            assert [addresses(running, name) for name in ("eth0", "br0")] == [[OWN], []]
            outer = running.connect("laptop", "server", "192.168.3.101", port)
            transfer(*outer, 1 << 18)

            assert changes(running, tmp_path, with_nic)
            assert [addresses(running, name) for name in ("eth0", "br0")] == [[], [OWN]]
            assert entries(running) == [("eth0", "static")]
            assert changes(running, tmp_path, with_nic) == []
            transfer(*outer, 1 << 18)
            across = running.connect("laptop", "web", "192.168.3.102", port + 1)
            transfer(*across, 1 << 20)

            assert changes(running, tmp_path, without)
            assert entries(running) == []
            assert changes(running, tmp_path, without) == []
            transfer(*outer, 1 << 18)
            transfer(*inner, 1 << 18)
