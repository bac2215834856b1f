"""What is to be known of a node that has namespaces, as facts: its command, its mounts."""

from __future__ import annotations

from linkspan.model.fact import Key, Value


class MountKey(Key, frozen=True):
    """A path of a node where it sees a folder or file of the machine."""

    node: str
    path: str

    @property
    def steps(self) -> tuple[str, ...]:
        """The path and the folders that it is in, but not the root: `/srv`, `/srv/www`."""
        words = self.path.split("/")[1:]
        return tuple("/" + "/".join(words[: length + 1]) for length in range(len(words)))


class Mount(Value, frozen=True):
    source: str
    """Empty when something else is there."""
    read_only: bool = False


class CommandKey(Key, frozen=True):
    """The program that a node's file has it run as long as the lab does."""

    node: str


class Command(Value, frozen=True):
    words: tuple[str, ...]
    env: dict[str, str] = {}
