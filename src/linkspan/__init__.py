"""linkspan: a virtual switch and virtual-network manager for Linux.

with linkspan.up("lab.yaml") as lab:
    lab["web"].run(["ip", "address"], check=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from linkspan.lab.handle import Lab

__version__ = "0.1.0"
__all__ = ["__version__", "up"]


def up(file: str | Path) -> Lab:
    """Bring up the lab that a file declares; leaving the `with` block takes it down.

    Raises what `linkspan.errors` lists.
    """
    # Imported here so that `import linkspan` stays cheap for `linkspan --version`.
    from linkspan.lab.handle import bring_up

    return bring_up(file)
