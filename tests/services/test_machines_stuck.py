"""Real guests that do not get up: what is said of them, and where their last words are."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.guests import Console, place_guest
from tests.machine import Machine, linkspan_command, wait_until

LAB = """
name: stuck
bridges: {br0: {address: 10.1.1.1/24}}
nodes:
  broken:
    kind: vm
    kernel: guest/vmlinuz
    initrd: broken.img
    append: console=ttyS0 quiet
    memory: 128M
    shutdown: 0
    ports: {eth0: {bridge: br0, address: 10.1.1.2/24}}
  small:
    kind: vm
    kernel: guest/vmlinuz
    initrd: guest/initrd.img
    append: console=ttyS0 quiet
    memory: 16M
    shutdown: 0
    ports: {eth0: {bridge: br0, address: 10.1.1.3/24}}
"""
PANIC = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
RESETS = "resets again and again"


def states(machine: Machine) -> dict[str, Any]:
    found = json.loads(machine.linkspan("show", "stuck", "--json").stdout)["machines"]
    return {each["node"]: each["state"] for each in found}


def test_guests_that_do_not_get_up_are_said_so_with_their_last_words(machine: Machine) -> None:
    place_guest(machine)
    (machine.folder / "broken.img").write_bytes(os.urandom(1 << 16))
    file = machine.file(LAB)
    machine.linkspan("up", file)
    for node, words in (("broken", "end Kernel panic"), ("small", "(SeaBIOS.*){4}")):
        with machine.start(linkspan_command("logs", "-f", node), stdout=subprocess.PIPE) as logs:
            Console(logs).expect(words)
            logs.terminate()
    wait_until(
        lambda: (
            states(machine)["broken"] == f"stuck: {PANIC}" and RESETS in states(machine)["small"]
        ),
        lambda: states(machine),
    )
    words = machine.linkspan("logs", "broken").stdout
    assert "Initramfs unpacking failed" in words
    assert words.rstrip().endswith(f"---[ end {PANIC} ]---")
    again = machine.linkspan("up", file)
    assert "nothing changed" in again.stdout
    assert f"the guest of broken does not run: stuck: {PANIC}" in again.stderr
    assert "next: linkspan logs stuck/broken has its last words" in again.stderr
    assert RESETS in machine.linkspan("plan", file).stderr
    unreached = json.loads(machine.linkspan("ping", "stuck", "--json", status=1).stdout)
    details = {each["destination"]: each["detail"] for each in unreached}
    assert PANIC in details["broken"]
    assert RESETS in details["small"]
    mended = machine.file(LAB.replace("16M", "128M"), "mended.yaml")
    assert "broken" in (told := machine.linkspan("up", mended).stderr)
    assert "small" not in told
    machine.linkspan("down", "stuck")
    machine.assert_as_before()
