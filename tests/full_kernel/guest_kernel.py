"""A kernel that has everything, for tests of what the kernel at hand may lack.

Debian's cloud kernel is booted in QEMU, without KVM, on this machine's own root file system: shared
by virtiofs, read only, beneath an overlay that is gone with the guest. So the same Python, the same
packages and the same checkout are there; /tmp and /run are empty. A guest has root and a network of
its own, which leads nowhere.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

BUSYBOX: Final = Path("/bin/busybox")
QEMU: Final = "qemu-system-x86_64"
VIRTIOFSD: Final = Path("/usr/lib/qemu/virtiofsd")
MEMORY: Final = 1024
"""MiB."""

WANTED: Final = ("virtio_pci", "virtiofs", "overlay")
"""Modules that bring the root file system; all others are loaded from there as they are needed."""

_STATUS: Final = re.compile(r"^guest ended with (\d+)\s*$", re.MULTILINE)

_INIT: Final = """#!/busybox sh
/busybox mkdir -p /proc /below /above /root
for module in MODULES; do /busybox insmod /$module; done
/busybox mount -t virtiofs -o ro root /below
/busybox mount -t tmpfs tmpfs /above
/busybox mkdir /above/upper /above/work
/busybox mount -t overlay -o lowerdir=/below,upperdir=/above/upper,workdir=/above/work none /root
/busybox mkdir /folder
/busybox mount -o bind /root/FOLDER /folder
for folder in tmp run; do
  /busybox mkdir -p /root/$folder
  /busybox mount -t tmpfs -o mode=1777 tmpfs /root/$folder
done
/busybox mount -t proc proc /root/proc
/busybox mount -t sysfs sysfs /root/sys
/busybox mount -t devtmpfs devtmpfs /root/dev
/busybox mount -t tmpfs tmpfs /root/dev/shm 2>/dev/null
/busybox mkdir -p /root/FOLDER
/busybox mount --move /folder /root/FOLDER
/busybox cp /script /root/run/script
exec /busybox switch_root /root /bin/sh /run/script
"""

_SCRIPT: Final = """ip link set lo up
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd FOLDER
COMMAND </dev/null
echo "guest ended with $?"
sleep 1  # the console has said it all
echo o >/proc/sysrq-trigger
sleep 60
"""


def lacks() -> str:
    """What is not here that a guest needs; empty when all is."""
    if os.geteuid() != 0:
        return "the root file system can be shared by root only"
    needed = {
        "linux-image-cloud-amd64": bool(kernels()),
        "qemu-system-x86": VIRTIOFSD.exists(),
        "busybox-static": BUSYBOX.exists(),
        "kmod": Path("/sbin/modprobe").exists(),
    }
    missing = [package for package, found in needed.items() if not found]
    return f"not installed: {', '.join(missing)}" if missing else ""


def kernels() -> list[Path]:
    """Debian's cloud kernels that are installed, the newest last."""
    return sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"))


def run(folder: Path, command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a command in a guest, in the folder that is the current one here.

    `folder` is for files of the run. Returns the exit status and what was said on the console.
    Fails the test when the guest does not end within `seconds`.
    """
    kernel = kernels()[-1]
    version = kernel.name.removeprefix("vmlinuz-")
    words = f"env {' '.join(shlex.quote(word) for word in command)}"
    here = shlex.quote(os.getcwd())
    files = {
        "init": _INIT.replace("FOLDER", here),
        "script": _SCRIPT.replace("FOLDER", here).replace("COMMAND", words),
    }
    initrd, console = folder / "initrd.img", folder / "console"
    initrd.write_bytes(gzip.compress(_initramfs(version, files), 1))
    shared = folder / "virtiofs.sock"
    options = ("-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=always")
    with subprocess.Popen(
        [str(VIRTIOFSD), f"--socket-path={shared}", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            while not shared.exists():
                assert server.poll() is None, "virtiofsd ended"
                time.sleep(0.01)
            subprocess.run(
                [QEMU, *_machine(kernel, initrd, shared, console)], timeout=seconds, check=True
            )
        except subprocess.TimeoutExpired:
            pytest.fail(f"the guest did not end:\n{console.read_text(errors='replace')[-4000:]}")
        finally:
            server.kill()
    said = console.read_text(errors="replace")
    found = _STATUS.search(said)
    assert found is not None, said
    return int(found[1]), said


def _machine(kernel: Path, initrd: Path, shared: Path, console: Path) -> list[str]:
    return [
        *("-accel", "tcg,thread=multi", "-smp", "2", "-m", str(MEMORY)),
        *("-object", f"memory-backend-memfd,id=m,size={MEMORY}M,share=on"),
        *("-numa", "node,memdev=m", "-chardev", f"socket,id=root,path={shared}"),
        *("-device", "vhost-user-fs-pci,chardev=root,tag=root"),
        *("-display", "none", "-no-reboot", "-monitor", "none", "-nic", "none"),
        *("-serial", f"file:{console}", "-kernel", str(kernel), "-initrd", str(initrd)),
        *("-append", "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check"),
    ]


def _initramfs(version: str, texts: dict[str, str]) -> bytes:
    """A cpio archive (newc): what to do, busybox, the modules."""
    modules = list(_with_dependencies(Path("/lib/modules", version), WANTED))
    names = " ".join(module.name for module in modules)
    files = {name: text.replace("MODULES", names).encode() for name, text in texts.items()}
    files |= {module.name: module.read_bytes() for module in [BUSYBOX, *modules]}
    return b"".join(_entry(name, data) for name, data in [*files.items(), ("TRAILER!!!", b"")])


def _entry(name: str, data: bytes) -> bytes:
    """One file of a cpio archive, executable (initramfs buffer format, kernel documentation)."""
    fields = (1, 0o100755, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _with_dependencies(folder: Path, wanted: Sequence[str]) -> Iterator[Path]:
    """Modules in the order in which they can be loaded (modules.dep(5))."""
    lines = (folder / "modules.dep").read_text().splitlines()
    needs = {
        Path(module).name.split(".")[0]: (module, others.split())
        for module, _, others in (line.partition(":") for line in lines)
    }
    given: set[str] = set()
    for name in wanted:
        module, others = needs[name]
        for path in [*reversed(others), module]:
            if path not in given:
                given.add(path)
                yield folder / path


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        print(*run(Path(place), sys.argv[1:], 300), sep="\n")
