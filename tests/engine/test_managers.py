"""Who looks after a card is read from files. The real managers can't run in a test, so their files
are laid out below a root of the test's own, as they write them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from linkspan.engine.reading.managers import is_wireless, managers_of

CASES: dict[str, tuple[dict[str, str], str, str, str]] = {
    "networkmanager": (
        {
            "run/NetworkManager/devices/2": "[device]\nmanaged=true\nconnection-uuid=12-34\n",
            "etc/NetworkManager/system-connections/lan.nmconnection": "[connection]\nuuid=12-34\n",
        },
        "NetworkManager",
        "/etc/NetworkManager/system-connections/lan.nmconnection",
        "nmcli device set eth0 managed no",
    ),
    "networkmanager-that-waits-for-it": (
        {
            "run/NetworkManager/no-stub-resolv.conf": "",
            "etc/NetworkManager/system-connections/a": "[connection]\ninterface-name=eth0\n",
        },
        "NetworkManager",
        "/etc/NetworkManager/system-connections/a names it",
        "nmcli device set eth0 managed no",
    ),
    "systemd-networkd": (
        {
            "run/systemd/netif/links/2": "ADMIN_STATE=configured\n"
            "NETWORK_FILE=/etc/systemd/network/10-lan.network\n"
        },
        "systemd-networkd",
        "NETWORK_FILE=/etc/systemd/network/10-lan.network",
        "/etc/systemd/network/00-eth0.network",
    ),
    "ifupdown": (
        {
            "run/network/ifstate": "lo=lo\neth0=eth0\n",
            "etc/network/interfaces.d/lan": "auto eth0\niface eth0 inet static\n",
        },
        "ifupdown",
        "/etc/network/interfaces.d/lan configures it",
        "iface eth0 inet manual",
    ),
    "dhclient": (
        {
            "proc/77/cmdline": "/sbin/dhclient\0-4\0-pf\0/run/dhclient.eth0.pid\0eth0\0",
            "sys/class/net/eth0/mtu": "1500",
        },
        "dhclient",
        "process 77",
        "kill 77",
    ),
    "dhcpcd-of-all-interfaces": (
        {"proc/78/cmdline": "dhcpcd\0-q\0"},
        "dhcpcd",
        "process 78",
        "dhcpcd --exit --persistent eth0",
    ),
}


def lay_out(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("case", CASES)
def test_a_manager_is_found_and_what_releases_the_card(case: str, tmp_path: Path) -> None:
    files, program, evidence, release = CASES[case]
    lay_out(tmp_path, files)
    (manager,) = managers_of("eth0", 2, tmp_path)
    assert manager.program == program
    assert evidence in manager.evidence
    assert release in manager.release


@pytest.mark.parametrize("case", [case for case in CASES if "of-all-interfaces" not in case])
def test_another_card_is_not_concerned(case: str, tmp_path: Path) -> None:
    files, *_ = CASES[case]
    lay_out(tmp_path, files)
    assert managers_of("eth1", 3, tmp_path) == ()


@pytest.mark.parametrize(
    "files",
    [
        {"run/NetworkManager/devices/2": "[device]\nmanaged=false\n"},
        {"run/systemd/netif/links/2": "ADMIN_STATE=unmanaged\n"},
        {"etc/network/interfaces": "# iface eth0 inet dhcp\niface eth0 inet manual\n"},
        {"proc/77/cmdline": "vim\0dhclient\0"},
        {"etc/NetworkManager/system-connections/a": "[connection]\ninterface-name=eth0\n"},
    ],
    ids=["nm-unmanaged", "networkd-unmanaged", "ifupdown-manual", "an-editor", "nm-not-running"],
)
def test_who_has_let_go_of_a_card_is_no_manager(files: dict[str, str], tmp_path: Path) -> None:
    lay_out(tmp_path, files)
    assert managers_of("eth0", 2, tmp_path) == ()


def test_wireless_interfaces_are_known_by_sysfs(tmp_path: Path) -> None:
    (tmp_path / "sys/class/net/wlan0/phy80211").mkdir(parents=True)
    (tmp_path / "sys/class/net/eth0").mkdir(parents=True)
    assert is_wireless("wlan0", tmp_path)
    assert not is_wireless("eth0", tmp_path)
