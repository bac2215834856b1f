"""What is said beforehand though nothing is wrong with a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkspan.lab.notices import notices
from linkspan.model.load import loads

NOWHERE = Path("/nowhere")


def proc_with(folder: Path, **calls: str) -> Path:
    """A /proc in which these sysctls are as given."""
    bridge = folder / "sys" / "net" / "bridge"
    bridge.mkdir(parents=True)
    for call, value in calls.items():
        (bridge / f"bridge-nf-call-{call}").write_text(f"{value}\n")
    return folder


@pytest.mark.parametrize(
    ("head", "value", "is_said"),
    [
        ("scope: host\nbridges: {br0: {engine: kernel}}", "1", True),
        ("scope: host\nbridges: {br0: {engine: kernel}}", "0", False),
        ("scope: host\nbridges: {br0: {engine: user}}", "1", False),
        ("bridges: {br0: {engine: kernel}}", "1", False),
    ],
)
def test_a_firewall_that_bridged_frames_pass_is_named(
    tmp_path: Path, head: str, value: str, is_said: bool
) -> None:
    said = notices(
        loads(head, "lab.yaml"), proc_with(tmp_path, iptables=value, arptables="0"), NOWHERE
    )
    assert [("IPv4" in text, "ARP" in text) for text in said] == [(True, False)] * is_said


def test_a_kernel_without_that_firewall_has_nothing_to_say(tmp_path: Path) -> None:
    text = "scope: host\nbridges: {br0: {engine: kernel}}"
    assert notices(loads(text, "lab.yaml"), tmp_path, NOWHERE) == []


@pytest.mark.parametrize(
    ("head", "is_said"),
    [
        ("scope: host\nbridges: {br0: {engine: user}}", True),
        ("scope: host\nbridges: {br0: {engine: kernel}}", False),
        ("bridges: {br0: {engine: user}}", False),
    ],
)
def test_where_libvirt_runs_it_is_said_which_bridges_it_cannot_use(
    tmp_path: Path, head: str, is_said: bool
) -> None:
    said = notices(loads(head, "lab.yaml"), tmp_path, tmp_path)
    assert ["libvirt can't put guests on br0:" in text for text in said] == [True] * is_said
    assert notices(loads(head, "lab.yaml"), tmp_path, NOWHERE) == []


def test_a_status_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "web.xml").write_text("<domstatus")
    text = "scope: host\nbridges: {br0: {engine: kernel}}"
    (said,) = notices(loads(text, "lab.yaml"), tmp_path, tmp_path)
    assert str(tmp_path / "web.xml") in said
