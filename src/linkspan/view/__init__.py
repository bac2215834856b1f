"""What a person reads: values of `linkspan.model.snapshot` in, text out.

Every function here is pure. None knows whether it writes to a terminal, so none uses colour; the
widths it must keep to are arguments. Text that came from inside a node (an interface may be
called anything there) passes through `table.printable` before it reaches a terminal.
"""

from linkspan.view.matrix import ping_matrix
from linkspan.view.picture import picture
from linkspan.view.table import table
from linkspan.view.tables import (
    addresses_table,
    bridges_table,
    drops_table,
    fdb_table,
    ports_table,
)

__all__ = [
    "addresses_table",
    "bridges_table",
    "drops_table",
    "fdb_table",
    "picture",
    "ping_matrix",
    "ports_table",
    "table",
]
