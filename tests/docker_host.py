"""A machine of a test's own with a real dockerd on it, and a container of Docker's.

Docker's containers do not have the environment by which a `Machine` finds its processes, so they
are in a control group of the machine's own, and are ended with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.firewall_host import FirewallHost
from tests.machine import wait_until

CGROUPS = Path("/sys/fs/cgroup")
DOCKER = "/usr/bin/docker"

_IMAGE = f"""
mkdir -p image/bin
cp "$(command -v busybox)" image/bin/busybox
for each in echo nc ping; do ln -s busybox image/bin/$each; done
tar -C image -c . | {DOCKER} import - box
"""


class DockerHost(FirewallHost):
    """A machine with Docker, whose rules are written by iptables of the newer or the older kind."""

    def __init__(self, iptables: str = "nft", *options: str) -> None:
        super().__init__()
        self._options = options
        for name in ("iptables", "ip6tables"):
            self.shell(f"ln -sf /usr/sbin/{name}-{iptables} /etc/alternatives/{name}")
        self._group = f"linkspan-test-{self.machine.folder.name}"
        self._daemon: subprocess.Popen[str] | None = None
        self._log = open(self.machine.folder / "dockerd.log", "w")  # noqa: SIM115

    def start(self) -> None:
        """Start dockerd and wait until it answers."""
        self._daemon = self.machine.start(
            [
                *("dockerd", "--storage-driver=vfs", f"--cgroup-parent=/{self._group}"),
                *("--data-root", self.machine.folder / "docker"),
                *self._options,
            ],
            stdout=self._log,
            stderr=self._log,
        )
        wait_until(
            lambda: self.machine.run([DOCKER, "version"]).returncode == 0,
            lambda: (self.machine.folder / "dockerd.log").read_text(),
        )

    def stop(self) -> None:
        """End dockerd, and so its containers."""
        assert self._daemon is not None
        self._daemon.terminate()
        assert self._daemon.wait() == 0

    def restart(self) -> None:
        """As `systemctl restart docker`."""
        self.stop()
        self.start()

    def container(self, name: str, published: int) -> None:
        """Have Docker run a container that tells everybody its name, now and whenever Docker runs,
        and publish it.
        """
        self.shell(_IMAGE)
        server = f"nc -ll -p 80 -e /bin/echo -n {name}"
        options = f"--detach --init --restart=always --name {name} --publish {published}:80"
        self.shell(f"{DOCKER} run {options} box {server}")

    def close(self) -> None:
        """End everything, containers first."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
        groups = [each for each in CGROUPS.glob(f"*/{self._group}") if each.is_dir()]
        groups += [each for each in [CGROUPS / self._group] if each.is_dir()]
        for group in groups:
            for processes in group.rglob("cgroup.procs"):
                for process in processes.read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
        for group in groups:
            wait_until(lambda group=group: _is_removed(group))
        self._log.close()
        super().close()


def _is_removed(group: Path) -> bool:
    """Whether a control group without processes is gone, with those in it."""
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
    except OSError:
        return False
    return True
