"""What the commands print and end with; text and JSON hold the same values."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

import msgspec
import pytest
from tests.machine import EXAMPLES, Machine, linkspan_command

from linkspan import __version__
from linkspan.cli import main as command_line
from linkspan.cli import reading
from linkspan.errors import Bug, Fault, Missing, Mistake, Refusal
from linkspan.model.snapshot import (
    BridgeSnapshot,
    Counters,
    FdbSnapshot,
    InterfaceSnapshot,
    LabSnapshot,
    NodeSnapshot,
    PortSnapshot,
    Reach,
)
from linkspan.view import picture, ping_matrix, tables

SNAPSHOT = LabSnapshot(
    name="sample",
    scope="sandbox",
    state="running",
    since=1_700_000_000.0,
    bridges=[
        BridgeSnapshot(
            name="br0",
            node="host",
            engine="user",
            mac="02:00:00:00:00:01",
            up=True,
            addresses=["10.0.0.1/24"],
            options={},
            pid=7,
            restarts=2,
            ports=[
                PortSnapshot("br0", 0, "tap", "forwarding", "host", "br0", {}, Counters()),
                PortSnapshot(
                    "web.eth0",
                    1,
                    "tap",
                    "forwarding",
                    "web",
                    "eth0",
                    {"isolated": True},
                    Counters(1234, 56789, 4321, 98765, {"ingress-isolated": 17}),
                ),
            ],
            fdb=[FdbSnapshot("52:54:00:00:00:07", 0, "web.eth0", "learned", 12.0)],
        )
    ],
    nodes=[
        NodeSnapshot("host", "host", []),
        NodeSnapshot(
            "web",
            "container",
            [
                InterfaceSnapshot(
                    "eth0", "52:54:00:00:00:07", 1500, True, True, ["10.0.0.2/24"], "br0"
                )
            ],
        ),
    ],
)

REACHES = [
    Reach("host", "web", "10.0.0.2", "reached", 0.125),
    Reach("web", "host", "10.0.0.1", "no-reply", None, "ARP was not answered either"),
]


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Status, output and errors of a command run in this process."""
    status = 0
    try:
        command_line.main(list(arguments))
    except SystemExit as leave:
        status = int(leave.code or 0)
    return status, *capsys.readouterr()


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab that stands still."""
    monkeypatch.setattr(reading, "_observe", lambda lab: SNAPSHOT)
    monkeypatch.setattr("linkspan.lab.find.find_running", lambda lab: None)
    monkeypatch.setattr("linkspan.lab.probe.ping", lambda place, timeout: REACHES)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.usefixtures("sample")
def test_show_prints_the_values_of_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = run(["show", "sample", "--json"], capsys)
    found = msgspec.json.decode(output, type=LabSnapshot)
    assert found == SNAPSHOT
    status, text, _ = run(["show", "sample"], capsys)
    assert status == 0
    for part in (
        picture(found, columns=100),
        tables.ports_table(found),
        tables.addresses_table(found),
        tables.drops_table(found),
    ):
        assert part in text


@pytest.mark.usefixtures("sample")
def test_ports_prints_the_values_of_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = run(["ports", "--json"], capsys)
    found = msgspec.json.decode(output, type=dict[str, list[PortSnapshot]])
    assert found == {"br0": SNAPSHOT.bridges[0].ports}
    _, text, _ = run(["ports"], capsys)
    assert tables.ports_table(SNAPSHOT) in text
    for value in ("web.eth0", "1,234", "4,321", "isolated", "ingress-isolated", "17"):
        assert value in text


@pytest.mark.usefixtures("sample")
def test_fdb_prints_the_values_of_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = run(["fdb", "--json"], capsys)
    assert msgspec.json.decode(output, type=dict[str, list[FdbSnapshot]]) == {
        "br0": SNAPSHOT.bridges[0].fdb
    }
    _, text, _ = run(["fdb"], capsys)
    assert text == f"{tables.fdb_table(SNAPSHOT)}\n"


@pytest.mark.usefixtures("sample")
def test_ping_prints_the_values_of_its_json_and_says_no(capsys: pytest.CaptureFixture[str]) -> None:
    status, output, _ = run(["ping", "--json"], capsys)
    assert status == 1
    assert msgspec.json.decode(output, type=list[Reach]) == REACHES
    status, text, _ = run(["ping"], capsys)
    assert status == 1
    assert text == f"{ping_matrix(REACHES, columns=100)}\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Mistake(Fault("the file is wrong")), 2),
        (Refusal("the kernel refuses"), 3),
        (Bug("we contradict ourselves"), 3),
        (Missing("no such program"), 4),
        (RuntimeError("unforeseen"), 3),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_error_has_its_status_and_no_traceback(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    with pytest.raises(SystemExit) as left:
        command_line.main([], run=fail)
    output, errors = capsys.readouterr()
    assert left.value.code == status
    assert output == ""
    assert errors.startswith("linkspan: ")
    assert str(error) in errors
    assert "Traceback" not in errors
    assert ("this is a bug" in errors) == isinstance(error, RuntimeError)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], "No such command 'fly'"),
        (["up"], "Missing argument 'FILE'"),
        (["up", "--colour", "x.yaml"], "No such option"),
        (["ping", "--timeout", "soon"], "not a valid float"),
        (["ping", "--timeout", "0"], "not in the range"),
        (["down"], "Missing argument"),
        (["exec"], "Missing argument"),
    ],
)
def test_wrong_requests_end_with_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, output, errors = run(arguments, capsys)
    assert (status, output) == (2, "")
    assert words in errors
    assert "Traceback" not in errors


def test_the_list_of_commands_says_in_whole_sentences_what_each_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments in ([], ["export"], ["import"]):
        _, output, _ = run([*arguments, "--help"], capsys)
        listed = output.partition("Commands:\n")[2].splitlines()
        assert listed
        assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_version_and_help_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"], capsys) == (0, f"linkspan {__version__}\n", "")
    for arguments in (["--help"], ["-h"], ["up", "--help"], ["exec", "-h"]):
        status, output, errors = run(arguments, capsys)
        assert (status, errors) == (0, "")
        assert output.startswith("Usage: linkspan")


def test_the_version_needs_no_library_that_is_slow_to_import() -> None:
    heavy = "pyroute2 ruamel rich msgspec"
    script = (
        "import sys; from linkspan.cli.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    command = linkspan_command()[:1]
    done = subprocess.run([*command, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [["down"], ["show"], ["ping"], ["fdb"], ["ports"]],
    ids=lambda arguments: str(arguments[0]),
)
def test_a_lab_that_is_not_there(machine: Machine, arguments: list[str]) -> None:
    refused = machine.linkspan(*arguments, "nowhere", status=2)
    assert "there is no lab named 'nowhere'" in refused.stderr
    assert "next: linkspan up FILE" in refused.stderr
    assert refused.stdout == ""


def test_no_lab_at_all(machine: Machine) -> None:
    assert "There is no lab; linkspan up FILE makes one." in machine.linkspan("show").stdout
    assert json.loads(machine.linkspan("show", "--json").stdout)["labs"] == []
    for command in ("ping", "fdb", "ports"):
        assert "there is no lab" in machine.linkspan(command, status=2).stderr
    assert "there is no lab" in machine.linkspan("exec", "web", "--", "true", status=2).stderr


def test_a_file_that_is_not_there(machine: Machine) -> None:
    for command in ("up", "down"):
        refused = machine.linkspan(command, "/nowhere/lab.yaml", status=2)
        assert "/nowhere/lab.yaml" in refused.stderr
        assert refused.stdout == ""


def test_commands_on_a_living_lab(any_machine: Machine) -> None:
    up = any_machine.linkspan("up", "--json", EXAMPLES / "three-containers.yaml")
    done = json.loads(up.stdout)
    assert done.pop("seconds") > 0
    assert done == {"lab": "demo", "changed": True, "plan": [], "bridges": 1, "nodes": 4}
    any_machine.linkspan("ping")

    data = any_machine.linkspan("show", "demo", "--json").stdout
    snapshot = msgspec.json.decode(data, type=LabSnapshot)
    text = any_machine.linkspan("show", "demo").stdout
    for node in snapshot.nodes:
        for interface in node.interfaces:
            for value in (interface.name, interface.mac, *interface.addresses):
                assert value in text

    entries = json.loads(any_machine.linkspan("fdb", "--json").stdout)["br0"]
    text = any_machine.linkspan("fdb").stdout
    assert {entry["port"] for entry in entries} >= {"web.eth0", "db.eth0", "client.eth0"}
    for entry in entries:
        assert any(
            entry["mac"] in line and entry["port"] in line and entry["kind"] in line
            for line in text.splitlines()
        )

    ports = json.loads(any_machine.linkspan("ports", "--json").stdout)["br0"]
    text = any_machine.linkspan("ports").stdout
    assert [port["number"] for port in ports] == [0, 1, 2, 3]
    for port in ports:
        assert any(port["name"] in line and port["kind"] in line for line in text.splitlines())

    assert json.loads(any_machine.linkspan("down", "demo", "--json").stdout) == {"lab": "demo"}


def test_a_list_where_there_are_several_labs(machine: Machine) -> None:
    machine.linkspan("up", EXAMPLES / "three-containers.yaml")
    machine.linkspan("up", EXAMPLES / "isolated.yaml")
    text = machine.linkspan("show").stdout
    assert "linkspan show demo" in text
    assert "linkspan show isolated" in text
    assert json.loads(machine.linkspan("show", "--json").stdout)["labs"] == [
        {"name": "demo", "state": "running"},
        {"name": "isolated", "state": "running"},
    ]
    refused = machine.linkspan("ping", status=2)
    assert "2 labs: demo, isolated" in refused.stderr
    machine.linkspan("down", "demo")
    machine.linkspan("down", "isolated")


def test_a_reader_that_goes_away_is_no_error_of_ours(machine: Machine) -> None:
    machine.linkspan("up", EXAMPLES / "three-containers.yaml")
    with machine.start(
        linkspan_command("show", "demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    machine.linkspan("down", "demo")
