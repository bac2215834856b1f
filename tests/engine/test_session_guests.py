"""For whom qemu-bridge-helper makes ports of which bridges, by its own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkspan.engine.reading.session_guests import is_allowed

SOMEBODY = 4_000_000_000


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ("allow br0", True),
        ("allow all", True),
        ("  allow\tbr0   # for the lab", True),
        ("allow br1", False),
        ("allow br0 br1", False),
        ("# allow br0", False),
        ("", False),
        ("allow br0\ndeny br0", False),
        ("deny all\nallow br0", False),
        ("allow all\ndeny br1", True),
    ],
)
def test_a_bridge_is_allowed_by_some_rule_and_denied_by_none(
    tmp_path: Path, rules: str, allowed: bool
) -> None:
    file = tmp_path / "bridge.conf"
    file.write_text(rules)
    assert is_allowed(SOMEBODY, "br0", file) is allowed


def test_rules_of_a_file_that_the_user_may_not_read_are_not_for_that_user(tmp_path: Path) -> None:
    file, included = tmp_path / "bridge.conf", tmp_path / "some.conf"
    file.write_text(f"include {included}\ninclude {file}\ninclude /no/such\n")
    included.write_text("allow br0\n")
    assert is_allowed(SOMEBODY, "br0", file)
    included.chmod(0o640)
    assert not is_allowed(SOMEBODY, "br0", file)
    assert is_allowed(included.stat().st_uid, "br0", file)
    assert not is_allowed(SOMEBODY, "br0", tmp_path / "none")
