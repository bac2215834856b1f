"""What is wrong with a file only on this machine is told with its place in the file, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkspan.errors import Fault, Mistake
from linkspan.lab.up import preview
from linkspan.model.load import with_places
from linkspan.services.wireguard_keys import public_of

KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="

MISTAKES = {
    "an image that is not there": (
        "bridges:\n  br0:\nnodes:\n  vm:\n    kind: vm\n    ports: {eth0: br0}\n"
        "    disk: no.qcow2\n",
        "7:11",
    ),
    "more memory than there is": (
        "bridges:\n  br0:\nnodes:\n  vm: {kind: vm, kernel: /dev/null, ports: {eth0: br0},\n"
        "       memory: 900000G}\n",
        "5:16",
    ),
    "a mount of nothing": (
        "nodes:\n  c:\n    mounts:\n      - .:/srv:ro\n      - ./nothing:/srv:ro\n",
        "5:9",
    ),
    "a key that can't be read": (
        "nodes: {a: {}}\nlinks:\n  - {kind: wireguard, node: a, name: wg0,\n"
        "     private-key-file: no.key}\n",
        "4:24",
    ),
    "a tunnel to itself": (
        "nodes: {a: {}}\nlinks:\n  - kind: wireguard\n    node: a\n    name: wg0\n"
        "    private-key-file: own.key\n    listen: 51820\n"
        "    peers: [{public-key: PUBLIC, allowed-ips: 10.0.0.2/32}]\n",
        "8:12",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_this_machine_has_its_place(tmp_path: Path, mistake: str) -> None:
    text, place = MISTAKES[mistake]
    file = tmp_path / "lab.yaml"
    file.write_text(text.replace("PUBLIC", public_of(KEY)))
    (tmp_path / "own.key").write_text(KEY)
    with pytest.raises(Mistake) as raised:
        preview(file)
    assert f"{file}:{place}: " in str(raised.value)


def test_an_engine_that_can_not_do_it_has_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkspan.lab.choose.can_bridge", lambda _: "this kernel has no bridges")
    file = tmp_path / "lab.yaml"
    file.write_text("bridges:\n  br0: {engine: kernel}\n")
    with pytest.raises(Mistake, match="lab.yaml:2:17: bridge br0: engine kernel can't"):
        preview(file)


def test_keys_are_looked_for_as_the_file_spells_them(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("bridges:\n  br0:\n    fdb:\n      02-00-00-00-00-0A: a\n")
    path = ("bridges", "br0", "fdb", "02:00:00:00:00:0a", "port")
    with pytest.raises(Mistake) as raised, with_places(file):
        raise Mistake(Fault("not that").at(*path), Fault("nowhere"))
    assert str(raised.value).splitlines() == ["nowhere", f"{file}:4:26: not that"]
