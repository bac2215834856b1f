"""Bridged packets and the firewalls of their namespace (br_netfilter)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

_NETFILTER: Final = Path("/proc/sys/net/bridge")
_CALLS: Final = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")


def keep_from_netfilter() -> None:
    """Keep bridged packets of the current namespace out of iptables and nft, where the kernel
    would take them there (br_netfilter; its default is on, for all bridges of a namespace). A
    bridge whose own options ask for it is not affected. Raises OSError.
    """
    for call in _CALLS:
        with contextlib.suppress(FileNotFoundError):
            (_NETFILTER / call).write_text("0")
