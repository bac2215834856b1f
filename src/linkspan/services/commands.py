"""The commands of nodes: started, ended, and read from what the lab's init process knows.

A command is a service of init, which starts it again whenever it ends and has it write to a file
in the lab's folder. It runs in the node's own namespaces with a small environment that does not
depend on who called `up`, and what it starts ends with it. All are started when everything else of
a change is done, addresses that come by DHCP included.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from linkspan.control.client import Client
from linkspan.engine.site import Site
from linkspan.model.state import Command, CommandKey
from linkspan.plan.change import Change
from linkspan.sandbox.namespaces import NODE_KINDS, node_key
from linkspan.sandbox.output import output_file
from linkspan.services.running import ENTER

SEARCHED: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a command is looked for, unless its `env` names other folders as PATH."""

_PREFIX: Final = "command:"


class Commands:
    """Carries out changes of commands."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._starting: dict[str, Command] = {}

    def carry_out(self, change: Change) -> None:
        """End a command, and have the one that comes started by `settle`. Raises Refusal."""
        key = change.key
        assert isinstance(key, CommandKey)
        self._starting.pop(key.node, None)
        if change.before is not None:
            self._site.init.call("stop", name=_PREFIX + key.node)
        if isinstance(change.after, Command):
            self._starting[key.node] = change.after
        else:
            output_file(self._site.folder, key.node).unlink(missing_ok=True)

    def settle(self) -> None:
        """Start the commands that have come. Raises Refusal."""
        for node, command in self._starting.items():
            output = output_file(self._site.folder, node)
            output.parent.mkdir(exist_ok=True)
            self._site.init.call(
                "run",
                name=_PREFIX + node,
                arguments=ENTER,
                give=[node_key(node)],
                output=str(output),
                configuration={
                    "arguments": command.words,
                    "kinds": NODE_KINDS,
                    "mounts": (),
                    "environment": self._environment(node, command),
                    "command": msgspec.to_builtins(command),
                },
            )
        self._starting.clear()

    def _environment(self, node: str, command: Command) -> dict[str, str]:
        return {
            "PATH": SEARCHED,
            "HOME": os.environ.get("HOME", "/"),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
            **command.env,
            "LINKSPAN_LAB": self._site.lab,
            "LINKSPAN_NODE": node,
        }


def read_commands(init: Client) -> Iterator[tuple[CommandKey, Command]]:
    """The commands that a lab has."""
    for node in command_services(init.call("status")["services"]):
        configuration = init.call("configuration", name=_PREFIX + node)["configuration"]
        yield CommandKey(node), msgspec.convert(configuration["command"], Command)


def command_services(services: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What init says of the commands, by node: pid, starts, ended."""
    return {
        name.removeprefix(_PREFIX): status
        for name, status in services.items()
        if name.startswith(_PREFIX)
    }
