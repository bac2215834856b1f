"""From a file to a `Topology`, or to everything that is wrong with the file at once.

Three steps: `yaml_reader` makes values that know their places, `convert` makes a topology of
them, `validate` checks what only the whole file shows. Each step goes on past what is wrong, and
checks are silent about what an earlier step has reported, so that the error names each cause
once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace as replace_fault
from pathlib import Path as FilePath

from msgspec.structs import replace

from linkspan.errors import Fault, Mistake
from linkspan.model import wg_quick
from linkspan.model.convert import Conversion
from linkspan.model.flaw import in_order, label
from linkspan.model.mtus import with_mtus
from linkspan.model.paths import with_whole_paths
from linkspan.model.position import YamlValue, is_there, locate
from linkspan.model.topology import Topology
from linkspan.model.validate import validate
from linkspan.model.yaml_reader import read
from linkspan.model.yaml_text import read_text


def load(path: FilePath) -> Topology:
    """Read a lab from a file; names of files in it are relative to its folder.

    Raises Mistake with all faults, ordered by place.
    """
    return with_whole_paths(loads(read_text(path), str(path)), path.parent)


@contextlib.contextmanager
def with_places(path: FilePath) -> Iterator[None]:
    """Give a Mistake that speaks of a lab's file, and is found after it was loaded, the places that
    its faults have there.
    """
    try:
        yield
    except Mistake as mistake:
        if not any(fault.path for fault in mistake.faults):
            raise
        raise Mistake(*in_order(_placed(mistake.faults, path))) from None


def _placed(faults: tuple[Fault, ...], path: FilePath) -> list[Fault]:
    document = read(read_text(path), str(path))
    conversion = Conversion(document, str(path))
    conversion.topology()  # so that it knows how keys are written
    return [
        replace_fault(
            fault, place=locate(document.root, conversion.as_written(fault.path), str(path))
        )
        if fault.path
        else fault
        for fault in faults
    ]


def loads(text: str, file: str) -> Topology:
    """Read a lab from a text; `file` names it in faults and, where it says no name, the lab.

    Raises Mistake with all faults, ordered by place.
    """
    document = read(text, file)
    conversion = Conversion(document, file)
    topology = conversion.topology()
    faults = conversion.faults
    topology = _with_configurations(topology, FilePath(file).parent, faults)
    topology = with_mtus(topology, _saying_mtu(document.root, topology))
    for flaw in validate(topology):
        if conversion.is_misplaced(flaw.path) or conversion.is_misplaced(flaw.also):
            continue
        if not any(conversion.is_broken(need) for need in flaw.needs):
            path, other = conversion.as_written(flaw.path), conversion.as_written(flaw.also)
            also = str(locate(document.root, other, file, at_key=flaw.at_key))
            place = locate(document.root, path, file, at_key=flaw.at_key)
            faults.append(
                Fault(
                    flaw.what,
                    place,
                    flaw.expected,
                    flaw.found.replace("{also}", also),
                    flaw.next_step,
                )
            )
    if faults:
        raise Mistake(*in_order(faults))
    return topology


def _saying_mtu(root: YamlValue, topology: Topology) -> list[str]:
    """The bridges for which the file says an MTU."""
    paths = {name: ("bridges", name, "mtu") for name in topology.bridges}
    return [name for name, path in paths.items() if is_there(root, path)]


def _with_configurations(topology: Topology, folder: FilePath, faults: list[Fault]) -> Topology:
    """The topology with what files of wg-quick say that it names."""
    links = list(topology.links)
    for number, link in topology.wireguards():
        if link.config is None:
            continue
        where = label(("links", number))
        path = folder / FilePath(link.config).expanduser()
        try:
            links[number] = wg_quick.read(path.read_text(), str(path), link)
        except Mistake as mistake:
            faults += mistake.faults
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            step = "correct config"
            faults.append(Fault(f"{where}: {path} can't be read: {why}", next_step=step))
    return replace(topology, links=tuple(links))
