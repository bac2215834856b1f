"""Whatever goes wrong, the card gets back what it had: time-outs, lost connections, `kill -9`."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
from tests.machine import linkspan_command, wait_until
from tests.uplink.lan import CLIENT, GATEWAY, HOST, Lan, ip
from tests.uplink.trouble import Stopped, check, is_over, kill_all_but_the_guard, wait_for_end

UPLINK = ("uplink", "br0", "eth0")

ALL_ACTIONS = 60
"""More than a change of this card has."""


def test_what_nobody_confirms_is_taken_back(on_lan: Lan) -> None:
    sessions = on_lan.sessions()
    on_lan.machine.linkspan("uplink", "br0", "eth0", "--confirm-within", "1")
    check(sessions)
    wait_for_end(on_lan)
    on_lan.assert_as_before()
    check(sessions)


def test_a_lost_gateway_takes_it_back(on_lan: Lan) -> None:
    sessions = on_lan.sessions()
    on_lan.machine.linkspan("uplink", "br0", "eth0", "--confirm-within", "600")
    check(sessions)
    on_lan.cut("gateway")
    wait_for_end(on_lan)
    on_lan.mend("gateway")
    on_lan.assert_as_before()
    check(sessions)


def test_a_lost_address_takes_it_back(on_lan: Lan) -> None:
    said = on_lan.machine.linkspan("uplink", "br0", "eth0", "--check", CLIENT).stdout
    assert f"{CLIENT} answers" in said
    assert GATEWAY not in said
    on_lan.cut("client")
    wait_for_end(on_lan)
    on_lan.mend("client")


def test_who_was_silent_before_is_not_watched(on_lan: Lan) -> None:
    on_lan.cut("gateway")
    said = on_lan.machine.linkspan("uplink", "br0", "eth0").stdout
    assert f"{GATEWAY} did not answer before either" in said
    on_lan.machine.linkspan("confirm")
    on_lan.mend("gateway")
    on_lan.machine.linkspan("uplink", "--release", "br0")


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_the_session_takes_it_back(on_lan: Lan, sent: signal.Signals) -> None:
    sessions = on_lan.sessions()
    with Stopped(on_lan, UPLINK, 12) as process:
        os.killpg(process.pid, sent)
    wait_for_end(on_lan)
    on_lan.assert_as_before()
    check(sessions)


def test_a_guard_does_not_mind_the_end_of_the_session(on_lan: Lan) -> None:
    with on_lan.machine.start(
        linkspan_command("uplink", "br0", "eth0"), start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        process.communicate()
    guard = on_lan.machine.process("linkspan.lab.guard")
    for sent in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        os.kill(guard, sent)
    on_lan.machine.linkspan("confirm")
    wait_until(lambda: guard not in on_lan.machine.processes())
    on_lan.machine.linkspan("uplink", "--release", "br0")


def test_kill_9_between_any_two_actions_takes_it_back(on_lan: Lan) -> None:
    sessions = on_lan.sessions()
    for number in range(1, ALL_ACTIONS):
        stopped = Stopped(on_lan, UPLINK, number)
        if not stopped.is_stopped:
            break
        with stopped as process:
            process.kill()
        wait_for_end(on_lan)
        on_lan.assert_as_before()
        check(sessions)
    assert 15 < number < ALL_ACTIONS
    on_lan.machine.linkspan("recover")


def test_kill_9_of_all_but_the_guard_takes_it_back(on_lan: Lan) -> None:
    sessions = on_lan.sessions()
    on_lan.machine.linkspan("uplink", "br0", "eth0", "--confirm-within", "2")
    kill_all_but_the_guard(on_lan)
    wait_for_end(on_lan)
    on_lan.assert_as_before()
    check(sessions)


def test_without_its_guard_a_change_is_taken_back_by_the_next_command(on_lan: Lan) -> None:
    on_lan.machine.linkspan("uplink", "br0", "eth0", "--confirm-within", "1")
    os.kill(on_lan.machine.process("linkspan.lab.guard"), signal.SIGKILL)
    wait_until(lambda: len(on_lan.machine.processes()) == 1)
    said = on_lan.machine.linkspan("show", "br0").stdout
    assert "its guard has gone" in said
    assert "its guard has gone" in on_lan.machine.linkspan("show").stdout

    def is_refused() -> bool:
        done = on_lan.machine.linkspan("uplink", "br0", "eth0", status=None)
        return "not confirmed" in done.stderr

    wait_until(lambda: not is_refused())  # its time is up: it is put back, and made anew
    on_lan.machine.linkspan("recover", "br0")


def test_nobody_else_changes_what_is_not_confirmed(on_lan: Lan) -> None:
    on_lan.machine.linkspan("uplink", "br0", "eth0")
    for command in (["down", "br0"], ["uplink", "--release", "br0"], ["uplink", "br0", "eth0"]):
        error = on_lan.machine.linkspan(*command, status=2).stderr
        assert "not confirmed" in error
        assert "linkspan confirm br0 keeps it" in error
        assert "linkspan recover br0" in error
    shown = json.loads(on_lan.machine.linkspan("show", "br0", "--json").stdout)
    assert shown["pending"]["is_guarded"]
    assert 0 < shown["pending"]["seconds_left"] <= 60
    on_lan.machine.linkspan("recover", "br0")
    on_lan.assert_as_before()
    assert "there is no lab" in on_lan.machine.linkspan("confirm", "br0", status=2).stderr


def test_a_confirmed_change_is_confirmed_once(on_lan: Lan) -> None:
    on_lan.machine.linkspan("uplink", "br0", "eth0")
    on_lan.machine.linkspan("confirm")
    assert "no change that waits" in on_lan.machine.linkspan("confirm", status=2).stderr
    assert "not finished" in on_lan.machine.linkspan("recover", status=2).stderr
    on_lan.machine.linkspan("down", "br0")


def test_a_lab_that_was_there_before_is_as_it_was_before(on_lan: Lan) -> None:
    file = on_lan.machine.file(
        "{name: office, scope: host, bridges: {br0: {engine: kernel, address: 10.8.0.1/24}},"
        " nodes: {web: {ports: {eth0: {bridge: br0, address: 10.8.0.5/24}}}}}"
    )
    on_lan.machine.linkspan("up", file)
    session = on_lan.connect(on_lan.host, "10.8.0.5", server=on_lan.container("web"))
    on_lan.machine.linkspan("uplink", "br0", "eth0", "--confirm-within", "1")
    assert "master br0" in ip(on_lan.host, "link show eth0")
    journal = on_lan.machine.labs / "office" / "journal.json"
    wait_until(lambda: not journal.exists())
    card, *_ = json.loads(ip(on_lan.host, "-j addr show dev eth0"))
    assert "master" not in card
    assert HOST in [each["local"] for each in card["addr_info"]]
    session.check()
    assert on_lan.machine.linkspan("plan", file).stdout.startswith("nothing to do")
    session.close()
    on_lan.machine.linkspan("down", "office")


def test_the_bridge_carries_no_more_than_its_card(on_lan: Lan) -> None:
    ip(on_lan.host, "link set eth0 mtu 1400")
    on_lan.before = on_lan.look()
    file = on_lan.machine.file("{name: a, scope: host, bridges: {br0: {uplink: eth0}}}")
    assert "write `mtu: 1400`" in on_lan.machine.linkspan("up", file, status=2).stderr
    on_lan.machine.linkspan("uplink", "br0", "eth0")
    assert "mtu 1400" in ip(on_lan.host, "link show br0")
    on_lan.machine.linkspan("recover")


REFUSED = {
    "eth7": ("there is no interface eth7", "one of eth0"),
    "lo": ("the loopback interface", "network card"),
    "wg0": ("no Ethernet frames", "route between it"),
    "eth0": ("eth0 is a port of br7 already", "ip link set eth0 nomaster"),
}


@pytest.mark.parametrize("card", REFUSED)
def test_a_card_that_will_not_do_is_refused_before_anything_is_touched(
    on_lan: Lan, card: str
) -> None:
    if card == "wg0":
        ip(on_lan.host, "tuntap add wg0 mode tun")
    if card == "eth0":
        ip(on_lan.host, "link add br7 type bridge", "link set eth0 master br7")
    on_lan.before = on_lan.look()
    error = on_lan.machine.linkspan("uplink", "br0", card, status=2).stderr
    for part in REFUSED[card]:
        assert part in error
    assert is_over(on_lan)
    on_lan.assert_as_before()
    for made in {"wg0": ["wg0"], "eth0": ["br7"]}.get(card, []):
        ip(on_lan.host, f"link delete {made}")
    on_lan.before = on_lan.look()


def test_a_bridge_of_somebody_else_is_not_taken(on_lan: Lan) -> None:
    ip(on_lan.host, "link add br0 type bridge")
    on_lan.before = on_lan.look()
    error = on_lan.machine.linkspan("uplink", "br0", "eth0", status=2).stderr
    assert "br0 already, which is not this lab's" in error
    on_lan.assert_as_before()
    ip(on_lan.host, "link delete br0")
    on_lan.before = on_lan.look()
