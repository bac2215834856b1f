"""Facts of programs that run as long as the lab does: virtual machines and services."""

from __future__ import annotations

from linkspan.model.fact import Key, Value


class MachineKey(Key, frozen=True):
    """A virtual machine: a process of QEMU that has the tap or socket of each of its ports."""

    node: str


class Machine(Value, frozen=True):
    memory: int
    """MiB."""
    cpus: int
    ports: tuple[tuple[str, str, int], ...]
    """Name, MAC and MTU of each, in order."""
    kernel: str | None = None
    initrd: str | None = None
    append: str | None = None
    disk: str | None = None
    disk_format: str = "raw"
    snapshot: bool = False
    shutdown: int = 10
    """Seconds that the guest gets when the power button is pressed."""
    power: bool = True
    """Whether it runs; a guest that powers itself off stays off."""


class ServiceKey(Key, frozen=True):
    """A program that serves an interface of a node, and runs as long as the lab does."""

    program: str
    """dnsmasq (DHCP and DNS for a bridge) or dhcpcd (asks for an interface's addresses)."""
    node: str
    interface: str


class Service(Value, frozen=True):
    text: str
    """Its configuration."""
    awaits: tuple[str, ...] = ()
    """What the interface has when the program has done its first work: an address without prefix
    length, or `ipv4` or `ipv6` for any of that family."""
