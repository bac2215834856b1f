"""dnsmasq's file of leases, and what it tells of a node that got none."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkspan.errors import Missing
from linkspan.model.state import Service, ServiceKey, State
from linkspan.services.leases import Lease, parse_leases, read_leases
from linkspan.services.programs import require_programs
from linkspan.services.reasons import exhausted, why

FILE = """\
1795286495 8e:c4:5f:c0:a0:01 192.168.122.75 web ff:5f:c0:a0:01:00:03
0 06-8e:c4:5f:c0:a0:02 192.168.122.76 * *
duid 00:01:00:01:32:94:94:4f:36:f2:63:4d:a8:6a
1795286497 1606459393 fd00:122::1bd web 00:03:00:01:8e:c4:5f:c0:a0:01
1795286497 1606459394 fd00:122::1be * 00:01:00:01:32:94:94:4f:36:f2:63:4d:a8:6b
1795286497 1606459395 fd00:122::1bf * 00:04:01:02:03
1795286497 16064
"""

TEXT = """\
dhcp-range=192.168.122.2,192.168.122.4,255.255.255.0,3600
dhcp-range=fd00:122::1000,fd00:122::1fff,slaac,64,3600
dhcp-host=02:00:00:00:00:01,192.168.122.3,web
dhcp-host=02:00:00:00:00:02,db
"""


def lent(*addresses: str) -> list[Lease]:
    return [
        Lease(address=one, mac="02:00:00:00:00:09", name=None, expires=1.0) for one in addresses
    ]


def test_leases_of_both_families_are_read() -> None:
    found = list(parse_leases(FILE))
    assert [(each.address, each.mac, each.name) for each in found] == [
        ("192.168.122.75", "8e:c4:5f:c0:a0:01", "web"),
        ("192.168.122.76", "8e:c4:5f:c0:a0:02", None),
        ("fd00:122::1bd", "8e:c4:5f:c0:a0:01", "web"),
        ("fd00:122::1be", "36:f2:63:4d:a8:6b", None),
        ("fd00:122::1bf", None, None),
    ]
    assert [each.expires for each in found[:2]] == [1795286495.0, None]


def test_a_file_that_is_not_there_holds_no_leases(tmp_path: Path) -> None:
    assert read_leases(tmp_path / "leases") == []


def test_a_pool_is_used_up_when_all_but_fixed_leases_are_given_away() -> None:
    assert not exhausted(TEXT, lent("192.168.122.2"))
    assert not exhausted(TEXT, lent("192.168.122.2", "192.168.122.3", "fd00:122::1000"))
    assert exhausted(TEXT, lent("192.168.122.2", "192.168.122.4"))


def test_the_reason_names_who_has_what_was_wanted() -> None:
    held = lent("192.168.122.3")
    assert "lent it to 02:00:00:00:00:09" in why("192.168.122.3", "br0", TEXT, held)
    all_gone = why("ipv4", "br0", TEXT, lent("192.168.122.2", "192.168.122.4"))
    assert all_gone == (
        "br0 has given away all 2 addresses of its ranges, to 02:00:00:00:00:09, 02:00:00:00:00:09"
    )
    assert why("ipv4", "br0", None, []).startswith("nobody answered on br0")
    assert why("ipv6", "br0", TEXT, []).startswith("the server of br0 did not answer")


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    wanted: State = {ServiceKey("dnsmasq", "host", "br0"): Service(text="")}
    with pytest.raises(Missing, match="dnsmasq is not installed\n  next: apt install dnsmasq-base"):
        require_programs(wanted)
