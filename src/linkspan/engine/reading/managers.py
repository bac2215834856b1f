"""Who looks after a network card: found in files, by a table, without asking anybody.

What the managers write down about their work is in /run, what they are told is in /etc; a DHCP
client is known by its command line. All paths are looked for below `root`, which is / but in
tests.

Sources: nm-config.c (device state files), sd-network.c (link files), ifupdown's ifstate, the
manual pages of the DHCP clients.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkspan.model.nic import Manager

DHCP_CLIENTS: Final = {
    "dhclient": "kill {pid}",
    "dhclient3": "kill {pid}",
    "dhcpcd": "dhcpcd --exit --persistent {nic}, and `persistent` in dhcpcd.conf",
    "udhcpc": "kill {pid}",
    "dhcp6c": "kill {pid}",
}
"""Programs that get leases, and what ends them without giving the address back."""


@dataclass(frozen=True, slots=True)
class _Card:
    root: Path
    name: str
    index: int

    def path(self, text: str) -> Path:
        return self.root / text.lstrip("/")

    def shown(self, path: Path) -> str:
        """A path as the machine's own."""
        return f"/{path.relative_to(self.root)}"


def is_wireless(name: str, root: Path = Path("/")) -> bool:
    """Whether an interface is a Wi-Fi one (net/wireless/sysfs.c, net/core/net-sysfs.c)."""
    folder = root / "sys/class/net" / name
    return (folder / "phy80211").exists() or (folder / "wireless").exists()


def managers_of(name: str, index: int, root: Path = Path("/")) -> tuple[Manager, ...]:
    """The programs that look after an interface, by its name and number."""
    card = _Card(root, name, index)
    return tuple(manager for find in FINDERS for manager in find(card))


def _network_manager(card: _Card) -> Iterator[Manager]:
    state = card.path(f"/run/NetworkManager/devices/{card.index}")
    release = f"nmcli device set {card.name} managed no"
    if re.search(r"(?m)^managed=(true|1|full)\s*$", _text(state)):
        profile = _profile(card, _text(state))
        yield Manager(
            "NetworkManager",
            f"{card.shown(state)} says managed" + (f", by {profile}" if profile else ""),
            release,
        )
        return
    waits = card.path("/run/NetworkManager").is_dir() and not state.exists()
    if waits and (profile := _profile(card, "")):
        yield Manager("NetworkManager", f"{profile} names it", release)


def _profile(card: _Card, state: str) -> str:
    """The profile that a device state names, or one that names the card."""
    found = re.search(r"(?m)^connection-uuid=(\S+)", state)
    folders = ("/run/NetworkManager/system-connections", "/etc/NetworkManager/system-connections")
    for folder in folders:
        for path in _files(card.path(folder), "*"):
            text = _text(path)
            by_name = re.search(rf"(?m)^interface-name={re.escape(card.name)}\s*$", text)
            if by_name or (found and re.search(rf"(?m)^uuid={re.escape(found[1])}\s*$", text)):
                return card.shown(path)
    return ""


def _networkd(card: _Card) -> Iterator[Manager]:
    link = card.path(f"/run/systemd/netif/links/{card.index}")
    file = re.search(r"(?m)^NETWORK_FILE=(\S+)", _text(link))
    if file is not None:
        yield Manager(
            "systemd-networkd",
            f"{card.shown(link)} says NETWORK_FILE={file[1]}",
            f"write `[Match] Name={card.name}` and `[Link] Unmanaged=yes` into"
            f" /etc/systemd/network/00-{card.name}.network, then networkctl reload",
        )


def _ifupdown(card: _Card) -> Iterator[Manager]:
    state = card.path("/run/network/ifstate")
    is_up = re.search(rf"(?m)^{re.escape(card.name)}=", _text(state))
    files = [
        card.path("/etc/network/interfaces"),
        *_files(card.path("/etc/network/interfaces.d"), "*"),
    ]
    line = rf"(?m)^[ \t]*iface[ \t]+{re.escape(card.name)}[ \t]+inet6?[ \t]+(?!manual\b)"
    named = [card.shown(path) for path in files if re.search(line, _text(path))]
    if is_up or named:
        evidence = [f"{card.shown(state)} lists it"] if is_up else []
        evidence += [f"{path} configures it" for path in named]
        release = [f"write `iface {card.name} inet manual` in {path}" for path in named]
        release += [f"delete the line {card.name} from {card.shown(state)}"] if is_up else []
        yield Manager("ifupdown", ", ".join(evidence), " and ".join(release))


def _dhcp_clients(card: _Card) -> Iterator[Manager]:
    for folder in _files(card.path("/proc"), "[0-9]*"):
        words = _text(folder / "cmdline").split("\0")
        program = Path(words[0].removeprefix("-")).name.rstrip(":")
        if program not in DHCP_CLIENTS or not _is_here(folder, card.root):
            continue
        names = [word for word in words[1:] if word and not word.startswith("-")]
        # Without a name a client serves all interfaces.
        serves_all = not any(card.path(f"/sys/class/net/{name}").exists() for name in names)
        if card.name in names or serves_all:
            yield Manager(
                program,
                f"process {folder.name}: {' '.join(words).strip()}",
                DHCP_CLIENTS[program].format(pid=folder.name, nic=card.name),
            )


def _is_here(process: Path, root: Path) -> bool:
    """Whether a process is in our network namespace; where that is not told, it may be."""
    try:
        return (process / "ns/net").stat().st_ino == (root / "proc/self/ns/net").stat().st_ino
    except OSError:
        return root != Path("/")


def _files(folder: Path, pattern: str) -> Sequence[Path]:
    with contextlib.suppress(OSError):
        return sorted(folder.glob(pattern))
    return ()


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


FINDERS: Final[tuple[Callable[[_Card], Iterator[Manager]], ...]] = (
    _network_manager,
    _networkd,
    _ifupdown,
    _dhcp_clients,
)
