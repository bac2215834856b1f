"""An uplink on our own switch hangs on processes of ours; without them the card is what it was."""

from __future__ import annotations

import os
import signal

import pytest
from tests.machine import wait_until
from tests.uplink.lan import HOST, HOST_MAC, Lan, ip
from tests.uplink.trouble import Stopped, check, kill_all_but_the_guard, wait_for_end

FILE = """
name: office
scope: host
bridges:
  br0: {engine: user, cache: %s, uplink: eth0}
nodes:
  web: {ports: {eth0: {bridge: br0, address: 10.9.0.5/24}}}
"""

pytestmark = pytest.mark.parametrize("cache", ["auto", "off"])


def write(lan: Lan, cache: str) -> str:
    return str(lan.machine.file(FILE % cache))


def test_a_killed_lab_gives_the_card_back_and_comes_again(on_lan: Lan, cache: str) -> None:
    sessions = on_lan.sessions()
    file = write(on_lan, cache)
    on_lan.machine.linkspan("up", file)
    on_lan.machine.linkspan("confirm")
    os.kill(on_lan.machine.process("linkspan.sandbox.init"), signal.SIGKILL)
    wait_until(lambda: not on_lan.machine.processes(), on_lan.machine.processes)
    on_lan.assert_as_before()
    check(sessions)
    on_lan.machine.linkspan("up", file)
    on_lan.machine.linkspan("confirm")
    check(sessions)
    assert on_lan.who_has(HOST) == [HOST_MAC]
    on_lan.machine.linkspan("down", "office")


def test_a_killed_switch_is_started_again(on_lan: Lan, cache: str) -> None:
    sessions = on_lan.sessions()
    on_lan.machine.linkspan("up", write(on_lan, cache))
    on_lan.machine.linkspan("confirm")
    switch = on_lan.machine.process("linkspan.engine.user.process")
    os.kill(switch, signal.SIGKILL)
    wait_until(lambda: switch not in on_lan.machine.processes())
    check(sessions)
    assert on_lan.who_has(HOST) == [HOST_MAC]
    on_lan.machine.linkspan("down", "office")
    on_lan.assert_as_before()
    check(sessions)


def test_kill_9_of_all_but_the_guard_takes_it_back_at_once(on_lan: Lan, cache: str) -> None:
    sessions = on_lan.sessions()
    on_lan.machine.linkspan("up", write(on_lan, cache), "--confirm-within", "600")
    kill_all_but_the_guard(on_lan)
    wait_for_end(on_lan)
    on_lan.assert_as_before()
    check(sessions)


def test_kill_9_between_actions_takes_it_back(on_lan: Lan, cache: str) -> None:
    sessions = on_lan.sessions()
    file = write(on_lan, cache)
    for number in range(1, 60, 4):
        stopped = Stopped(on_lan, ("up", file), number)
        if not stopped.is_stopped:
            break
        with stopped as process:
            process.kill()
        wait_for_end(on_lan)
        on_lan.assert_as_before()
        check(sessions)
    on_lan.machine.linkspan("recover")


def test_kill_9_of_a_release_keeps_the_uplink(on_lan: Lan, cache: str) -> None:
    sessions = on_lan.sessions()
    on_lan.machine.linkspan("up", write(on_lan, cache))
    on_lan.machine.linkspan("confirm")
    for number in (3, 9, 15):
        with Stopped(on_lan, ("down", "office"), number) as process:
            process.kill()
        wait_until(lambda: not (on_lan.machine.labs / "office/journal.json").exists())
        check(sessions)
        assert HOST in ip(on_lan.host, "addr show dev br0")
    on_lan.machine.linkspan("down", "office")
    on_lan.assert_as_before()
    check(sessions)
