"""All namespaces of a machine: found in every way, told apart, joined by their veths."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from pyroute2.nftables.main import NFTables
from tests.engine.networks import configure, namespace, needs_root, veth

from linkspan.engine.netlink import add_veth
from linkspan.engine.reading import machine as reading
from linkspan.engine.reading.machine import read_machine
from linkspan.engine.reading.processes import OpenTap
from linkspan.engine.reading.taps import with_holders
from linkspan.engine.user.devices import open_tap
from linkspan.model.host_snapshot import (
    BaseChain,
    HostSnapshot,
    NamespaceSnapshot,
    NftTable,
    Process,
)
from linkspan.model.interface_snapshot import Interface
from linkspan.sandbox.namespaces import inside

pytestmark = needs_root
SOL_IP, IPT_SO_GET_INFO = 0, 64
OWN = os.getpid()


def number(descriptor: int) -> int:
    return os.fstat(descriptor).st_ino


def of(read: HostSnapshot, descriptor: int) -> NamespaceSnapshot:
    (found,) = (each for each in read.namespaces if each.id == number(descriptor))
    return found


def interface(read: HostSnapshot, descriptor: int, name: str) -> Interface:
    found = of(read, descriptor).interface(name)
    assert found is not None
    return found


def test_first_namespace_is_the_one_the_reader_stands_in() -> None:
    read = read_machine()
    assert read.host.id == os.stat("/proc/self/ns/net").st_ino
    assert read.host.processes > 0
    with namespace() as network:
        with inside(network):
            moved = read_machine()
        assert moved.host.id == number(network)
        assert [each.name for each in moved.host.interfaces] == ["lo"]


def test_namespace_held_by_a_descriptor_alone_is_found_with_its_holder() -> None:
    with namespace() as network:
        found = of(read_machine(), network)
    assert found.processes == 0
    assert OWN in {process.pid for process in found.held_by}
    assert [each.name for each in found.interfaces] == ["lo"]
    assert found.unread == ()


def test_namespace_of_a_process_tells_the_process() -> None:
    with namespace() as network:
        with inside(network):
            sleeper = subprocess.Popen(["sleep", "60"])
        try:
            found = of(read_machine(), network)
        finally:
            sleeper.kill()
            sleeper.wait()
    assert found.processes == 1
    assert [each.pid for each in found.process_examples] == [sleeper.pid]


def test_far_ends_are_found_also_where_all_indices_are_alike() -> None:
    """In a new namespace the first interface is number 2, so that every pair looks the same."""
    with ExitStack() as stack:
        networks = [stack.enter_context(namespace()) for _ in range(12)]
        couples = list(zip(networks[::2], networks[1::2], strict=True))
        for near, far in couples:
            veth(near, "eth0", "eth0", far)
        read = read_machine()
        for near, far in couples:
            for one, other in ((near, far), (far, near)):
                peer = interface(read, one, "eth0").peer
                assert peer is not None
                assert (peer.namespace, peer.interface, peer.index) == (number(other), "eth0", 2)


def test_far_ends_are_found_with_the_same_mac_everywhere() -> None:
    mac = "02:00:00:00:00:01"
    with ExitStack() as stack:
        networks = [stack.enter_context(namespace()) for _ in range(12)]
        couples = list(zip(networks[::2], networks[1::2], strict=True))
        for near, far in couples:
            configure(near, add_veth("eth0", "eth0", far, mac))
        read = read_machine()
        for near, far in couples:
            peer = interface(read, near, "eth0").peer
            assert peer is not None
            assert peer.namespace == number(far)


def test_far_end_in_a_namespace_that_is_not_among_them_stays_open() -> None:
    """The pair that looks alike is not taken for it."""
    with namespace() as one, namespace() as two, namespace() as three, namespace() as four:
        veth(one, "eth0", "eth0", two)
        veth(three, "eth0", "eth0", four)
        descriptors = {number(each): each for each in (one, four)}
        read = reading._read_group(descriptors, None, with_nft=False)
    for each in read.values():
        peer = each.interfaces[1].peer
        assert peer is not None
        assert (peer.namespace, peer.interface) == (None, None)


def test_device_that_stands_on_one_of_another_namespace_names_it() -> None:
    with namespace() as host, namespace() as aside, namespace() as container:
        veth(host, "card", "far", aside)
        with inside(host):
            for line in (
                "link add mv0 link card type macvlan mode bridge",
                f"link set mv0 netns /proc/{OWN}/fd/{container}",
            ):
                subprocess.run(["ip", *line.split()], check=True)
        read = read_machine()
        found = interface(read, container, "mv0")
        card = interface(read, host, "card").peer
        assert found.kind == "macvlan"
        assert found.peer is not None
        assert (found.peer.namespace, found.peer.interface) == (number(host), "card")
        assert card is not None
        assert (card.namespace, card.interface) == (number(aside), "far")


def test_taps_of_one_name_are_told_apart() -> None:
    with namespace() as one, namespace() as two:
        taps = []
        for network in (one, two):
            with inside(network):
                taps.append(open_tap("tap0"))
        try:
            read = read_machine()
        finally:
            for tap in taps:
                os.close(tap)
        for network, tap in zip((one, two), taps, strict=True):
            holders = interface(read, network, "tap0").holders
            assert [(holder.pid, holder.descriptor) for holder in holders] == [(OWN, tap)]


def test_tap_that_was_moved_is_found_where_it_is() -> None:
    with namespace() as one, namespace() as two:
        with inside(one):
            tap = open_tap("tap0")
            subprocess.run(
                ["ip", "link", "set", "tap0", "netns", f"/proc/{OWN}/fd/{two}"], check=True
            )
        try:
            read = read_machine()
        finally:
            os.close(tap)
        assert of(read, one).interface("tap0") is None
        assert [holder.descriptor for holder in interface(read, two, "tap0").holders] == [tap]


def test_name_of_a_tap_counts_only_where_one_namespace_has_it() -> None:
    """What an ordinary user, who may not ask the descriptor, is told."""
    gone = OpenTap(Process(pid=0, command="qemu"), 7, "tap0")
    tap = Interface(
        index=2,
        name="tap0",
        kind="tap",
        mac=None,
        mtu=1500,
        up=True,
        carrier=True,
        operstate="up",
        link_type=1,
        flags=0,
    )
    one, two = (NamespaceSnapshot(id=number, interfaces=(tap,)) for number in (1, 2))
    (alone,) = with_holders([one], [gone])
    assert [each.descriptor for each in alone.interfaces[0].holders] == [7]
    both = with_holders([one, two], [gone])
    assert [each.interfaces[0].holders for each in both] == [(), ()]


def test_tables_of_nftables_and_their_base_chains() -> None:
    with namespace() as network:
        with inside(network), NFTables(nfgen_family=2) as nft:
            nft.table("add", name="lab one")
            nft.table("add", name="empty")
            nft.chain(
                "add",
                table="lab one",
                name="forwarding",
                hook="forward",
                type="filter",
                priority=-5,
                policy=0,
            )
            nft.chain("add", table="lab one", name="not-a-base")
        found = of(read_machine(), network)
    chain = BaseChain(name="forwarding", type="filter", hook="forward", priority=-5, policy="drop")
    assert set(found.nft_tables) == {
        NftTable(family="ip", name="lab one", chains=(chain,)),
        NftTable(family="ip", name="empty"),
    }


def test_tables_of_iptables_own_kernel_side() -> None:
    with namespace() as network:
        assert of(read_machine(), network).legacy_tables == ()
        with inside(network), socket.socket(socket.AF_INET, socket.SOCK_RAW, 255) as sock:
            if not uses_table(sock, b"filter"):
                pytest.skip("this kernel has no iptables of its own")
        assert of(read_machine(), network).legacy_tables == ("ip filter",)


def uses_table(sock: socket.socket, name: bytes) -> bool:
    """Ask for a table as iptables does, whereupon the kernel makes it (struct ipt_getinfo)."""
    buffer = ctypes.create_string_buffer(name, 84)
    size = ctypes.c_uint32(84)
    libc = ctypes.CDLL(None)
    return not libc.getsockopt(sock.fileno(), SOL_IP, IPT_SO_GET_INFO, buffer, ctypes.byref(size))


def test_two_hundred_namespaces_are_all_there() -> None:
    with ExitStack() as stack:
        hub = stack.enter_context(namespace())
        others = [stack.enter_context(namespace()) for _ in range(200)]
        for place, network in enumerate(others):
            veth(hub, f"port{place}", "eth0", network)
        read = read_machine()
        for place, network in enumerate(others):
            peer = interface(read, hub, f"port{place}").peer
            assert peer is not None
            assert peer.namespace == number(network)
            assert interface(read, network, "eth0").peer is not None


def while_something_else_goes_on(disturb: Callable[[], None], rounds: int) -> None:
    """Read the machine again and again while a thread disturbs."""
    ends = threading.Event()
    raised: list[BaseException] = []

    def keep_disturbing() -> None:
        try:
            while not ends.is_set():
                disturb()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=keep_disturbing)
    thread.start()
    try:
        for _ in range(rounds):
            assert read_machine().host.interfaces
    finally:
        ends.set()
        thread.join()
    assert not raised


def test_processes_and_namespaces_that_end_while_they_are_read_do_no_harm() -> None:
    def disturb() -> None:
        subprocess.run(
            ["unshare", "--net", sys.executable, "-S", "-c", "pass"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with namespace() as one, namespace() as two:
            veth(one, "eth0", "eth0", two)

    while_something_else_goes_on(disturb, rounds=12)


def test_descriptors_of_the_reader_itself_are_not_left_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    read_machine()
    assert set(os.listdir("/proc/self/fd")) == before
