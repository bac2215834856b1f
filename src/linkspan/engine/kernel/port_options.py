"""Setting options of ports, of whatever kind they are."""

from __future__ import annotations

from linkspan.engine.kernel.messages import set_port
from linkspan.engine.reading.dump import Dumps
from linkspan.engine.site import Site
from linkspan.model.kernel_options import derived_cost
from linkspan.model.options import Plain
from linkspan.sandbox.namespaces import inside


def set_options(site: Site, node: str, name: str, options: dict[str, Plain]) -> None:
    """Set options of a port that lies on a node; a cost that is left to the kernel again is what
    it derives. Raises Refusal or OSError.
    """
    if "cost" in options and options["cost"] is None:
        with inside(site.network(node)), Dumps() as dumps:
            speed = dumps.speed(name.encode() + b"\0")
        options = {**options, "cost": derived_cost(speed)}
    if options:
        site.netlink(node).run([set_port(name, options)])
