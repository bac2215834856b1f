"""The Linux bridge, made by hand with iproute2, in a namespace of its own.

Where br_netfilter is present, every new namespace sends bridged frames through the IP firewall's
hooks. That is no part of bridging, and it slows the bridge down: it is switched off here, so that
the figure is the bridge's best.
"""

from __future__ import annotations

from bench.contenders.base import Wired, addresses, kernel_version
from bench.stage import Endpoint, Namespace, Stage, TrialError

NETFILTER_HOOKS = tuple(
    f"/proc/sys/net/bridge/bridge-nf-call-{family}tables" for family in ("arp", "ip", "ip6")
)


class KernelBridge:
    """net/bridge between veth pairs."""

    name = "kernel_bridge"
    summary = "Linux bridge, veth"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return kernel_version()

    def wire(self, stage: Stage, pairs: int = 1) -> tuple[Wired, ...]:
        switch = stage.namespace()
        stage.ip(switch, "link add name br0 type bridge", "link set br0 up")
        bypass_netfilter(stage, switch)

        def end(name: str, address: str) -> Endpoint:
            made = stage.namespace()
            stage.ip(
                switch,
                f"link add name {name} type veth peer name eth0 netns {made.pid}",
                f"link set {name} master br0 up",
            )
            return stage.endpoint(made, address)

        return tuple(
            Wired(end(f"left{number}", left), end(f"right{number}", right))
            for number, (left, right) in enumerate(addresses(pairs), start=1)
        )


def bypass_netfilter(stage: Stage, namespace: Namespace) -> None:
    """Keep a namespace's bridged frames out of the IP firewall, where it could see them at all."""
    for path in NETFILTER_HOOKS:
        try:
            stage.run(namespace, ["tee", path], "0")
        except TrialError as refusal:
            if "No such file" not in str(refusal):
                raise
