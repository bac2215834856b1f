"""The contenders, one file each, in the order in which the tables show them."""

from __future__ import annotations

from bench.contenders.base import Contender
from bench.contenders.c_loop import CLoop
from bench.contenders.kernel_bridge import KernelBridge
from bench.contenders.linkspan_labs import LinkspanLab
from bench.contenders.ovs_userspace import OvsUserspace
from bench.contenders.vde_switch import VdeSwitch
from bench.contenders.veth import Veth

CONTENDERS: tuple[Contender, ...] = (
    LinkspanLab("linkspan_cache", "our switch, in-kernel cache, veth", "auto"),
    LinkspanLab("linkspan_plain", "our switch, every frame through Python, taps", "off"),
    Veth(),
    KernelBridge(),
    CLoop(),
    VdeSwitch(),
    OvsUserspace(),
)
