"""Sysctls that a lab sets, and what they were before it did.

What a sysctl was is written to the lab's folder before it is set for the first time, and forgotten
when it is back at that: so a lab of scope host that switched forwarding on switches it off again
when it goes, and one that found it on leaves it on. A sysctl is the lab's as long as the file
declares it or its former value is remembered.

Where several labs of scope host want the same, the one that goes leaves it to one of the others,
with the value from before all of them. So it is with forwarding where somebody else needs it in the
meantime (`services.translators`): it stays on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linkspan.engine.site import Site
from linkspan.engine.stack import setting_file
from linkspan.lab.records import Records
from linkspan.model.state import Setting, SettingKey, State
from linkspan.model.topology import HOST, Scope
from linkspan.plan.change import Change
from linkspan.plan.forwarding import IPV4_FORWARDING, IPV6_FORWARDING
from linkspan.sandbox.namespaces import inside
from linkspan.services.translators import others_translate

Fact = tuple[SettingKey, Setting]


class Settings:
    """Carries out changes of sysctls, remembering what they were."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._records = Records(site.folder)

    def carry_out(self, change: Change) -> None:
        """Set a sysctl, or set it back. Raises Refusal or OSError."""
        key = change.key
        assert isinstance(key, SettingKey)
        originals = self._records.originals()
        file = setting_file(key.name)
        with inside(self._site.network(key.node)):
            now = " ".join(file.read_text().split())
            wanted = change.after.text if isinstance(change.after, Setting) else originals.get(key)
            heir = self._heir(key) if change.after is None else None
            if change.after is None and heir is None and self._is_needed_by_others(key):
                wanted = now
            if heir is not None and wanted is not None:
                heir.remember_originals({key: wanted, **heir.originals()})
            elif wanted is not None and wanted != now:
                if wanted != originals.get(key):
                    self._records.remember_originals({key: now, **originals})
                file.write_text(wanted)
        if wanted == originals.get(key) or change.after is None:
            self._records.remember_originals(
                {each: originals[each] for each in originals if each != key}
            )

    def _is_needed_by_others(self, key: SettingKey) -> bool:
        """Whether somebody who is no lab needs the machine to go on forwarding. The caller is in
        its namespace.
        """
        if self._site.scope is not Scope.HOST or key.node != HOST:
            return False
        if key.name == IPV4_FORWARDING:
            return others_translate(4)
        # A router listens to others only where it is told to.
        is_ipv6 = key.name == IPV6_FORWARDING or key.name.endswith("/accept_ra")
        return is_ipv6 and others_translate(6)

    def _heir(self, key: SettingKey) -> Records | None:
        """The folder of another lab that wants the machine's sysctl as it is."""
        if self._site.scope is not Scope.HOST or key.node != HOST:
            return None
        for folder in sorted(_other_folders(self._site.folder)):
            records = Records(folder)
            topology = records.topology()
            if topology and topology.scope is Scope.HOST and key in records.applied():
                return records
        return None


def _other_folders(own: Path) -> Iterator[Path]:
    return (folder for folder in own.parent.iterdir() if folder.is_dir() and folder != own)


def read_settings(site: Site, desired: State) -> Iterator[Fact]:
    """The sysctls that are the lab's, as they are; those of interfaces that are not there are
    left out. Raises Refusal or OSError.
    """
    declared = (key for key in desired if isinstance(key, SettingKey))
    there = set(site.nodes())
    for key in dict.fromkeys([*declared, *Records(site.folder).originals()]):
        if key.node not in there:
            continue
        with inside(site.network(key.node)):
            try:
                text = setting_file(key.name).read_text()
            except FileNotFoundError:
                continue
        yield key, Setting(text=" ".join(text.split()))
