"""A machine of a test's own with a real libvirtd on it.

Everything that libvirt writes lies on the machine's own /run, or on an overlay of /etc and /var,
which ends with the machine's mount namespace. QEMU, and what else libvirtd starts, has no
environment by which a `Machine` finds it; so these are ended by the pids that libvirt notes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from tests.machine import ROOT, Machine, wait_until

URI = "qemu:///system"

_PROGRAMS = ("libvirtd", "virtlogd", "virsh", "qemu-system-x86_64")
_DAEMON = 'auth_unix_ro = "none"\nauth_unix_rw = "none"\n'
_QEMU = 'user = "root"\ngroup = "root"\nsecurity_driver = "none"\ncgroup_controllers = []\n'
_USERS = """
grep -q ^libvirt-qemu: /etc/passwd ||
    echo libvirt-qemu:x:64055:64055::/var/lib/libvirt:/bin/false >>/etc/passwd
for group in kvm libvirt-qemu; do
    grep -q ^$group: /etc/group || echo $group:x:64055: >>/etc/group
done
"""
"""What Debian's packages make when they are installed, and libvirtd looks for in any case."""


def why_no_libvirt() -> str:
    """Why there can be no libvirtd here; empty when there can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if os.geteuid() == ROOT else "needs root: libvirtd is to make taps"


class LibvirtHost:
    """A machine, a libvirtd that is starting, and virsh."""

    def __init__(self) -> None:
        self.machine = Machine(ROOT)
        self.machine.shadow("etc", "var")
        self.machine.run(["sh", "-c", _USERS], 0)
        self.machine.run(["mkdir", "-p", "/etc/libvirt"], 0)
        self.machine.run(["cp", self.machine.file(_QEMU, "qemu.conf"), "/etc/libvirt/"], 0)
        settings = self.machine.file(_DAEMON, "libvirtd.conf")
        self._log = open(self.machine.folder / "libvirt.log", "w")  # noqa: SIM115
        commands: list[list[str | Path]] = [["virtlogd"], ["libvirtd", "-f", settings]]
        self._daemons = [
            self.machine.start(command, stdout=self._log, stderr=self._log) for command in commands
        ]

    def wait(self) -> None:
        """Wait until libvirtd answers."""
        wait_until(
            lambda: self.machine.run(["virsh", "-c", URI, "version"]).returncode == 0,
            lambda: (self.machine.folder / "libvirt.log").read_text(),
        )

    def virsh(self, *words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run virsh, which must end with `status`."""
        return self.machine.run(["virsh", "-c", URI, *words], status)

    def close(self) -> None:
        """End everything, guests first."""
        run = self.machine.labs.parent
        notes = [*run.glob("libvirt/qemu/*.pid"), *run.glob("libvirt/network/*.pid")]
        pids = [
            int(note.read_text()) for note in notes if re.fullmatch(r"\d+\s*", note.read_text())
        ]
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait()
        daemons = {daemon.pid for daemon in self._daemons}
        for pid in set(pids) - daemons:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in set(pids) - daemons:
            wait_until(lambda pid=pid: not Path(f"/proc/{pid}/exe").exists())
        self._log.close()
        self.machine.close()
