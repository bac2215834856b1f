"""Which engine a bridge gets, and why. What this kernel has is replaced by what a case says, since
no machine has and lacks everything; the real kernel is asked in tests/engine_kernel.
"""

from __future__ import annotations

import pytest

from linkspan.engine.kernel.capabilities import Lack
from linkspan.errors import Mistake
from linkspan.lab import choose as module
from linkspan.lab.choose import choose
from linkspan.model.load import loads
from linkspan.model.options import OptionScope

LAB = """
bridges: {{br0: {{{options}}}}}
nodes: {{c: {{ports: {{eth0: {{bridge: br0{port}}}}}}}}}
"""

HAS_ALL = "this kernel has all that the file asks for"

CHOSEN = [
    ("", "", [], "", ("kernel", HAS_ALL)),
    ("engine: kernel", "", [], "", ("kernel", "the file says so")),
    ("engine: user", "", [], "", ("user", "the file says so")),
    ("cache: off", "", [], "", ("user", "`cache: off` speaks of engine user")),
    ("ports: {p: {kind: stream}}", "", [], "", ("user", "only engine user has sockets as ports")),
    ("", ", isolated: true", ["isolated"], "", ("user", "no isolated: it is old")),
    ("", ", delay: 0.1", [], "no delay", ("user", "no delay")),
]

REFUSED = [
    ("engine: kernel", ", isolated: true", ["isolated"], "write `engine: user`, or leave that"),
    ("engine: kernel, vlan-filtering: true", "", ["vlan-filtering"], "leave vlan-filtering out"),
    ("vlan-filtering: true", "", ["vlan-filtering"], "and engine user has no vlan-filtering"),
]


def kernel(monkeypatch: pytest.MonkeyPatch, lacks: list[str], shaping: str) -> None:
    found = [Lack(OptionScope.BRIDGE, option, "it is old") for option in lacks]
    monkeypatch.setattr(module, "can_bridge", lambda _: "")
    monkeypatch.setattr(module, "may_open_tap", lambda: True)
    monkeypatch.setattr(module, "cannot_shape", lambda _: shaping)
    monkeypatch.setattr(module, "probe", lambda bridge, port: found)


@pytest.mark.parametrize(("options", "port", "lacks", "shaping", "expected"), CHOSEN)
def test_an_engine_is_chosen_with_a_reason(
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    port: str,
    lacks: list[str],
    shaping: str,
    expected: tuple[str, str],
) -> None:
    kernel(monkeypatch, lacks, shaping)
    topology, choices = choose(loads(LAB.format(options=options, port=port), "lab.yaml"))
    choice = choices["br0"]
    assert (choice.engine.value, choice.why) == expected
    assert topology.bridges["br0"].engine is choice.engine


def test_all_that_the_kernel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, ["isolated", "hairpin"], "no delay")
    _, choices = choose(loads(LAB.format(options="", port=", delay: 0.1"), "lab.yaml"))
    assert choices["br0"].why == "no isolated: it is old; no hairpin: it is old; no delay"


@pytest.mark.parametrize(("options", "port", "lacks", "words"), REFUSED)
def test_no_engine_can_do_it(
    monkeypatch: pytest.MonkeyPatch, options: str, port: str, lacks: list[str], words: str
) -> None:
    kernel(monkeypatch, lacks, "")
    with pytest.raises(Mistake) as raised:
        choose(loads(LAB.format(options=options, port=port), "lab.yaml"))
    assert words in str(raised.value)
    assert f"no {lacks[0]}: it is old" in str(raised.value)


def test_a_wire_that_this_kernel_can_not_make_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, [], "no delay and loss: it is old")
    text = "nodes: {a: , b: }\nlinks: [{kind: veth, ends: [a:eth1, b:eth1], delay: 0.1}]"
    with pytest.raises(Mistake) as raised:
        choose(loads(text, "lab.yaml"))
    assert "link 1: this kernel can't make the wire" in str(raised.value)
    assert "no delay and loss: it is old" in str(raised.value)
    assert "join a:eth1 and b:eth1 by a bridge of `engine: user`" in str(raised.value)
    choose(loads(text.replace(", delay: 0.1", ""), "lab.yaml"))
