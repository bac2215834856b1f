"""A card's role moves to a bridge and back, and nothing is lost on the way."""

from __future__ import annotations

from linkspan.model.host_snapshot import Address, NamespaceSnapshot, Route
from linkspan.model.interface_snapshot import Interface
from linkspan.model.load import loads
from linkspan.model.state import Address as AddressFact
from linkspan.model.state import (
    AddressKey,
    Bridge,
    BridgeKey,
    Node,
    NodeKey,
    PortKey,
    RouteKey,
    Setting,
    SettingKey,
    State,
    Up,
    UpKey,
    Uplink,
    UplinkKey,
    ipv6_switch,
)
from linkspan.model.state import Route as RouteFact
from linkspan.plan.desired import desired
from linkspan.plan.difference import plan
from linkspan.plan.uplink import (
    Taken,
    give_back,
    link_local,
    released_in_sandbox,
    take,
    with_uplink,
)

MAC = "52:54:00:00:00:01"
NOW = 1_000_000.0
OFF = SettingKey("host", ipv6_switch("eth0"))


def address(text: str, **more: object) -> Address:
    return Address(address=text, index=2, interface="eth0", scope="global", **more)  # type: ignore[arg-type]


def route(destination: str, **more: object) -> Route:
    return Route(destination=destination, index=2, interface="eth0", **more)  # type: ignore[arg-type]


FOUND = NamespaceSnapshot(
    interfaces=(
        Interface(
            index=2,
            name="eth0",
            kind="physical",
            mac=MAC,
            mtu=1450,
            up=True,
            carrier=True,
            operstate="up",
            link_type=1,
            flags=0,
        ),
    ),
    addresses=(
        address("10.0.0.2/24", label="eth0:a", broadcast="10.0.0.255", valid=60, preferred=30),
        address("fd00::3/64", flags=("permanent",)),
        address("fd00::2/64", flags=("permanent", "nodad")),
        address("2001:db8::5/64", flags=("dynamic", "mngtmpaddr"), protocol="kernel_ra", valid=99),
        address("fe80::5054:ff:fe00:1/64"),
    ),
    routes=(
        route("0.0.0.0/0", gateway="10.0.0.1", metric=100, protocol="static"),
        route("10.0.0.0/24", protocol="kernel", scope="link"),
        route("192.0.2.1/32", protocol="static", scope="link"),
        route("fd00::/64", protocol="kernel", metric=256),
        route("fe80::/64", protocol="kernel", metric=256),
        route("::/0", gateway="fe80::1", protocol="ra", metric=1024, expires=1800.0),
        Route(destination="172.16.0.0/12", index=3, interface="eth1", protocol="static"),
    ),
)


def taken() -> Taken:
    return take("host", "eth0", FOUND, NOW, "0", {"ipv6/accept_ra": "2"})


def lab() -> State:
    return {
        NodeKey("host"): Node(kind="host"),
        BridgeKey("br0"): Bridge(node="host", engine="kernel", mac="02:00:00:00:00:09", mtu=1500),
        UpKey("host", "br0"): Up(up=True),
    }


def machine() -> State:
    """What there is of a machine before anything was made."""
    return {NodeKey("host"): Node(kind="host"), **dict(taken().facts)}


def test_what_the_kernel_makes_by_itself_is_not_taken() -> None:
    assert [key for key, _ in taken().facts] == [
        UpKey("host", "eth0"),
        OFF,
        AddressKey("host", "eth0", "10.0.0.2/24"),
        AddressKey("host", "eth0", "fd00::2/64"),
        AddressKey("host", "eth0", "fd00::3/64"),
        RouteKey("host", "192.0.2.1/32"),
        RouteKey("host", "0.0.0.0/0", 100),
    ]


def test_lifetimes_are_kept_as_times_of_their_end() -> None:
    fact = dict(taken().facts)[AddressKey("host", "eth0", "10.0.0.2/24")]
    assert isinstance(fact, AddressFact)
    assert (fact.valid_until, fact.preferred_until) == (NOW + 60, NOW + 30)


def test_the_bridge_becomes_what_the_card_was() -> None:
    state = with_uplink(lab(), taken(), "br0", {"hairpin": True})
    bridge = state[BridgeKey("br0")]
    assert isinstance(bridge, Bridge)
    assert (bridge.mac, bridge.mtu) == (MAC, 1450)
    assert state[UplinkKey("host", "eth0")] == Uplink(
        bridge="br0", engine="kernel", options={"hairpin": True}
    )
    assert state[OFF] == Setting(text="1")
    assert state[SettingKey("host", "net/ipv6/conf/br0/accept_ra")] == Setting(text="2")
    moved = state[AddressKey("host", "br0", "10.0.0.2/24")]
    assert isinstance(moved, AddressFact)
    assert moved.label == "br0:a"
    default = state[RouteKey("host", "0.0.0.0/0", 100)]
    assert default == RouteFact(interface="br0", gateway="10.0.0.1", protocol="static")
    assert not any(isinstance(key, AddressKey) and key.interface == "eth0" for key in state)


def test_a_mac_of_the_file_is_kept() -> None:
    mac = "02:00:00:00:00:42"
    bridge = with_uplink(lab(), taken(), "br0", {}, mac)[BridgeKey("br0")]
    assert isinstance(bridge, Bridge)
    assert bridge.mac == mac


def test_addresses_come_before_they_go_and_ipv6_goes_last_of_what_comes() -> None:
    steps = plan(with_uplink(lab(), taken(), "br0", {}), machine())
    order = [(change.key, change.after is not None) for change in steps]

    def place(key: object, comes: bool = True) -> int:
        return order.index((key, comes))  # type: ignore[arg-type]

    assert place(UplinkKey("host", "eth0")) < place(AddressKey("host", "br0", "10.0.0.2/24"))
    assert place(UpKey("host", "br0")) < place(RouteKey("host", "192.0.2.1/32"))
    assert place(RouteKey("host", "192.0.2.1/32")) < place(RouteKey("host", "0.0.0.0/0", 100))
    assert place(RouteKey("host", "0.0.0.0/0", 100)) < place(OFF)
    assert place(OFF) < place(AddressKey("host", "eth0", "10.0.0.2/24"), comes=False)
    # Its IPv6 addresses go with IPv6.
    assert (AddressKey("host", "eth0", "fd00::2/64"), False) not in order


def test_ipv6_is_back_before_its_addresses_when_a_card_is_given_back() -> None:
    there = with_uplink(lab(), taken(), "br0", {})
    nothing: State = {NodeKey("host"): Node(kind="host")}
    steps = plan(give_back(nothing, taken()), there)
    keys = [change.key for change in steps]
    assert keys.index(OFF) < keys.index(AddressKey("host", "eth0", "fd00::2/64"))
    assert keys.index(AddressKey("host", "eth0", "10.0.0.2/24")) < keys.index(
        UplinkKey("host", "eth0")
    )
    assert keys.index(UplinkKey("host", "eth0")) < keys.index(BridgeKey("br0"))
    assert give_back(nothing, taken()) == machine()


def test_link_local_addresses_come_of_the_mac() -> None:
    assert link_local("52:54:00:00:00:01") == "fe80::5054:ff:fe00:1/64"
    assert link_local(None) is None


SANDBOX = """
name: demo
bridges:
  lan: {engine: kernel}
  br0: {engine: kernel, node: h2, address: fd00:9::1/64, uplink: {interface: eth0, isolated: true}}
nodes:
  h2: {kind: host, gateway: 10.9.0.1, ports: {eth0: {bridge: lan, address: 10.9.0.2/24}}}
"""


def test_in_a_sandbox_the_file_says_what_the_card_had() -> None:
    state = desired(loads(SANDBOX, "demo.yaml"))
    assert AddressKey("h2", "br0", "10.9.0.2/24") in state
    assert AddressKey("h2", "br0", "fd00:9::1/64") in state
    assert AddressKey("h2", "eth0", "10.9.0.2/24") not in state
    default = state[RouteKey("h2", "0.0.0.0/0")]
    assert isinstance(default, RouteFact)
    assert default.interface == "br0"
    port, bridge = state[PortKey("h2", "eth0")], state[BridgeKey("br0")]
    assert port.mac == bridge.mac  # type: ignore[union-attr]
    uplink = state[UplinkKey("h2", "eth0")]
    assert uplink == Uplink(bridge="br0", engine="kernel", options={"isolated": True})
    assert state[SettingKey("h2", ipv6_switch("eth0"))] == Setting(text="1")


def test_a_released_card_of_a_sandbox_speaks_ipv6_again() -> None:
    applied = desired(loads(SANDBOX, "demo.yaml"))
    without = SANDBOX.replace(", uplink: {interface: eth0, isolated: true}", "")
    state = released_in_sandbox(desired(loads(without, "demo.yaml")), applied)
    assert state[SettingKey("h2", ipv6_switch("eth0"))] == Setting(text="0")
