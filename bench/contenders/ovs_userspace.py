"""Open vSwitch's user-space datapath (`datapath_type=netdev`) with `type=tap` ports.

Its database server and its switch run in the foreground, in a namespace and a folder of their own,
without the system's service: nothing outside the trial sees them. The taps are made where the
switch runs and then moved to the endpoints; the switch keeps reading and writing its descriptors
(and complains in its log that it cannot find the device's name any more).
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.contenders.base import Wired, addresses, missing_package, package_version
from bench.contenders.moved_taps import move_taps, tap_pairs
from bench.stage import COMMAND_LIMIT, Stage, TrialError

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class OvsUserspace:
    """The field's best-known switch, where its kernel module is absent."""

    name = "ovs_userspace"
    summary = "Open vSwitch, user-space datapath, taps"

    def missing(self) -> str:
        return missing_package("ovs-vswitchd", "openvswitch-switch")

    def version(self) -> str:
        return package_version("openvswitch-switch")

    def wire(self, stage: Stage, pairs: int = 1) -> tuple[Wired, ...]:
        switch = stage.namespace()
        taps = {f"tap{number}": stage.namespace() for number in range(1, 2 * pairs + 1)}
        folder = stage.folder
        database, socket = str(folder / "conf.db"), folder / "db.sock"
        private = ["env", f"OVS_RUNDIR={folder}", f"OVS_LOGDIR={folder}", f"OVS_DBDIR={folder}"]
        stage.run(switch, [*private, "ovsdb-tool", "create", database, SCHEMA])
        listen = [f"--remote=punix:{socket}", f"--unixctl={folder / 'server.ctl'}"]
        server = stage.start_in(switch, [*private, "ovsdb-server", database, *listen])
        wait_for_socket(stage, socket)
        control = [*private, "ovs-vsctl", "--timeout=10", f"--db=unix:{socket}"]
        stage.run(switch, [*control, "--no-wait", "init"])
        daemon = stage.start_in(
            switch,
            [*private, "ovs-vswitchd", f"unix:{socket}", f"--unixctl={folder / 'switch.ctl'}"],
        )
        bridge = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        for tap in taps:
            bridge += ["--", "add-port", "br0", tap]
            bridge += ["--", "set", "interface", tap, "type=tap"]
        stage.run(switch, [*control, *bridge])
        move_taps(stage, switch, taps, daemon)
        pids = (daemon.pid, server.pid)
        return tap_pairs(stage, tuple(taps.values()), addresses(pairs), pids)


def wait_for_socket(stage: Stage, path: Path) -> None:
    """Wait until a server has made its socket. Raises TrialError after 20 seconds."""
    deadline = time.monotonic() + COMMAND_LIMIT
    while not path.is_socket():
        if time.monotonic() > deadline:
            raise TrialError(f"no socket at {path}: {stage.complaints()}")
        time.sleep(0.02)
