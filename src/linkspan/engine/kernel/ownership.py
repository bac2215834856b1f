"""What is ours: an interface whose alias is the lab's mark, and one that did not get it any more.

An interface can't be made and marked in one step. One that was made and not marked when linkspan
was killed is known by its kind and the MAC that the lab gives it; nothing else without a mark is
ever deleted.
"""

from __future__ import annotations

from typing import NamedTuple

from linkspan.engine.kernel.links import Link, look
from linkspan.engine.netlink import Netlink, delete_link
from linkspan.errors import Refusal
from linkspan.model.names import Mark


class Recipe(NamedTuple):
    """How an interface of ours is made: what marks it, its kind, its MAC."""

    mark: Mark
    kind: str
    mac: str

    def left_unfinished(self, link: Link) -> bool:
        """Whether the interface was made so and not marked any more."""
        return link.alias is None and (link.kind, link.mac) == (self.kind, self.mac)


def owned(link: Link | None, name: str, mark: Mark) -> Link:
    """The interface, if there is one and it is ours. Raises Refusal."""
    if link is None:
        raise Refusal(f"{name} is not there any more")
    if link.alias != str(mark):
        raise _not_ours(link, mark)
    return link


def delete(netlink: Netlink, name: str, recipe: Recipe) -> None:
    """Delete an interface of ours; one that is gone is deleted already. Raises Refusal."""
    link = look(netlink, name)
    if link is None:
        return
    if link.alias != str(recipe.mark) and not recipe.left_unfinished(link):
        raise _not_ours(link, recipe.mark)
    netlink.run([delete_link(name)])


def remove_unfinished(netlink: Netlink, name: str, recipe: Recipe) -> None:
    """Delete an interface that was left unfinished, if there is one of that name."""
    link = look(netlink, name)
    if link is not None and recipe.left_unfinished(link):
        netlink.run([delete_link(name)])


def remove_left(netlink: Netlink, name: str, mark: Mark) -> None:
    """Delete an end of a veth that is still there, and with it the other end, whatever somebody
    made of that: it was renamed, or lost its mark.
    """
    link = look(netlink, name)
    if link is not None and link.alias == str(mark):
        netlink.run([delete_link(name)])


def _not_ours(link: Link, mark: Mark) -> Refusal:
    return Refusal(
        f"{link.name} is not ours: expected the alias {mark}, found {link.alias or 'none'}"
    )
