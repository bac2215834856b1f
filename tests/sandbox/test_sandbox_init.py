"""The first process of a lab, asked over its control socket."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine import wait_until

from linkspan.control.client import Client
from linkspan.errors import Bug, Mistake, Refusal
from linkspan.sandbox import holder, output, state
from linkspan.sandbox.worker import run_inside

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: starts a lab's init process")

SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "linkspan" / "demo"


@pytest.fixture
def init(folder: Path) -> Iterator[Client]:
    """The builder's connection to an init process, which ends with it."""
    lock = state.take(folder)
    assert lock is not None
    client = holder.start(folder, lock, "sandbox")
    os.close(lock)
    yield client
    client.close()
    wait_until(lambda: not state.is_alive(folder))
    assert not folder.exists()


def test_a_lab_that_is_not_complete_ends_with_its_builder(init: Client, folder: Path) -> None:
    with holder.connect(folder) as other:
        assert other.call("status")["committed"] is False
    assert state.is_alive(folder), "another client's end is not the builder's"
    init.close()
    wait_until(lambda: not folder.exists())


def test_a_complete_lab_outlives_its_builder(init: Client, folder: Path) -> None:
    init.call("commit")
    init.close()
    with holder.connect(folder) as other:
        assert other.call("status")["committed"] is True
    holder.end(folder)
    assert not folder.exists()


def test_descriptors_are_held_given_out_and_dropped(init: Client) -> None:
    read, write = os.pipe()
    init.call("hold", [read, write], name="pipe")
    os.close(read)
    os.close(write)
    _, (read, write) = init.call_for_descriptors("fetch", name="pipe")
    os.write(write, b"through")
    assert os.read(read, 100) == b"through"
    os.close(write)
    init.call("drop", names=["pipe"])
    assert os.read(read, 100) == b"", "nobody holds the other end any more"
    os.close(read)
    with pytest.raises(Refusal, match="nothing is held under the name 'pipe'"):
        init.call("fetch", name="pipe")


def test_one_descriptor_of_each_of_several_is_given_out_in_one_answer(init: Client) -> None:
    pipes = [os.pipe() for _ in range(3)]
    held = [end for pipe in pipes for end in pipe]
    init.call("hold-each", held, names=["pipe0", "pipe1", "pipe2"])
    names = ["pipe2", "pipe0"]
    _, given = init.call_for_descriptors("fetch-each", names=names, place=0)
    for (_, write), found, word in zip([pipes[2], pipes[0]], given, [b"two", b"nil"], strict=True):
        os.write(write, word)
        assert os.read(found, 3) == word
        os.close(found)
    for end in [end for pipe in pipes for end in pipe]:
        os.close(end)
    with pytest.raises(Refusal, match="1 descriptors can't be shared by 2"):
        init.call("hold-each", [0], names=["a", "b"])
    with pytest.raises(Refusal, match="pipe7"):
        init.call("fetch-each", names=["pipe0", "pipe7"], place=0)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"op": "fly"}, "unknown op; known: hold, hold-each, fetch"),
        ({"op": "fetch"}, "KeyError"),
        ({"op": "fetch", "name": []}, "unhashable"),
        ({"op": "run", "name": "x", "arguments": 5}, "TypeError"),
        ({"op": "hold"}, "KeyError"),
    ],
)
def test_a_wrong_request_harms_nothing(init: Client, request_: dict[str, Any], words: str) -> None:
    fields = {name: value for name, value in request_.items() if name != "op"}
    with pytest.raises(Refusal, match=words):
        init.call(str(request_["op"]), **fields)
    assert init.call("status")["services"] == {}


def test_a_service_is_started_again_with_its_descriptors(init: Client, tmp_path: Path) -> None:
    read, write = os.pipe()
    init.call("hold", [write], name="pipe")
    os.close(write)
    script = (
        "import json, os, sys, time\n"
        "configuration = json.loads(os.read(int(sys.argv[1]), 1000))\n"
        "(out,) = configuration['descriptors']['pipe']\n"
        "os.write(out, (configuration['word'] + '\\n').encode())\n"
        "time.sleep(1000)\n"
    )
    init.call(
        "run",
        name="speaker",
        arguments=[sys.executable, "-c", script],
        give=["pipe"],
        configuration={"word": "hello"},
    )
    with open(read) as speaker:
        assert speaker.readline() == "hello\n"
        _, lab = init.call_for_descriptors("fetch", name="lab")
        service = init.call("status")["services"]["speaker"]
        run_inside(lab, lambda: os.kill(service["pid"], 9))
        assert speaker.readline() == "hello\n"
        again = init.call("status")["services"]["speaker"]
    assert again["pid"] != service["pid"]
    assert again["starts"] == 2
    for descriptor in lab:
        os.close(descriptor)


def test_a_service_that_ends_at_once_is_started_less_and_less_often(init: Client) -> None:
    init.call("run", name="broken", arguments=["/nonexistent"])
    wait_until(lambda: init.call("status")["services"]["broken"]["starts"] >= 3)
    init.call("stop", name="broken")
    assert init.call("status")["services"] == {}


def test_a_service_has_one_name(init: Client) -> None:
    init.call("run", name="sleeper", arguments=SLEEP)
    with pytest.raises(Refusal, match="'sleeper' runs already"):
        init.call("run", name="sleeper", arguments=SLEEP)


def test_work_inside_brings_back_results_and_errors(init: Client) -> None:
    _, lab = init.call_for_descriptors("fetch", name="lab")
    own = Path("/proc/self/ns/net").stat().st_ino

    def refuse() -> None:
        raise PermissionError(1, "Operation not permitted")

    def mistake() -> None:
        raise Mistake()

    def bug() -> None:
        raise ZeroDivisionError("one by nothing")

    assert run_inside(lab, lambda: Path("/proc/self/ns/net").stat().st_ino) != own
    assert run_inside(lab, lambda: [1, {"two": 3.0}]) == [1, {"two": 3.0}]
    assert Path("/proc/self/ns/net").stat().st_ino == own
    with pytest.raises(Refusal, match="Operation not permitted"):
        run_inside(lab, refuse)
    with pytest.raises(Mistake):
        run_inside(lab, mistake)
    with pytest.raises(Bug, match="one by nothing"):
        run_inside(lab, bug)
    with pytest.raises(Refusal, match="ended without an answer"):
        run_inside(lab, lambda: os.kill(os.getpid(), 9))
    for descriptor in lab:
        os.close(descriptor)


def test_what_services_write_into_the_labs_log_is_kept_from_growing(
    init: Client, folder: Path
) -> None:
    write = (
        f"import os; [os.write(2, b'a line\\n' * 1000) for _ in range({output.LARGEST // 5000})]"
    )
    init.call("run", name="chatty", arguments=[sys.executable, "-c", write])
    log = folder / state.LOG
    wait_until(lambda: init.call("status")["services"]["chatty"]["starts"] > 1)
    wait_until(lambda: log.stat().st_size <= output.LARGEST)
