"""examples/web.yaml: a client gets the page through the router, and the server is kept running."""

from __future__ import annotations

import json
import os
import signal

import pytest
from tests.examples.networks import ENGINES, example
from tests.machine import EXAMPLES, Machine, wait_until

ASK = """
import os, time, urllib.request
while True:
    try:
        print(urllib.request.urlopen(os.environ["SITE"], timeout=5).read().decode(), end="")
        break
    except OSError:  # it has not begun to listen
        time.sleep(0.05)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_the_page_comes_from_the_machine_through_the_router(machine: Machine, engine: str) -> None:
    file = example(machine, "web.yaml", engine)
    machine.linkspan("up", file)
    page = (EXAMPLES / "site/index.html").read_text()
    ask = ("exec", "web/client", "--", "timeout", "20", "python3", "-c", ASK)
    assert machine.linkspan(*ask).stdout == page
    assert "10.1.0.2" in machine.linkspan("logs", "web/web").stdout
    refused = machine.linkspan("exec", "web/web", "--", "touch", "/srv/x", status=1)
    assert "Read-only file system" in refused.stderr

    name = "http.server --directory /srv"
    server = next(
        int(process)
        for process in os.listdir("/proc")
        if process.isdecimal() and name in _command_line(process)
    )
    os.kill(server, signal.SIGKILL)
    assert machine.linkspan(*ask).stdout == page
    wait_until(lambda: "killed by signal 9" in machine.linkspan("show", "web").stdout)
    found = json.loads(machine.linkspan("show", "web", "--json").stdout)
    (command,) = [node["command"] for node in found["nodes"] if node["command"]]
    assert (command["state"], command["restarts"]) == ("running", 1)
    assert "nothing changed" in machine.linkspan("up", file).stdout
    machine.linkspan("down", "web")


def _command_line(process: str) -> str:
    try:
        with open(f"/proc/{process}/cmdline") as file:
            return file.read().replace("\0", " ")
    except OSError:
        return ""
