"""Descriptors that are closed together are all closed when it is said so, and no others."""

from __future__ import annotations

import os

import pytest

from linkspan.sandbox.closing import close_together


@pytest.mark.parametrize("number", [0, 1, 3, 4, 33, 100])
def test_all_are_closed_and_no_other(number: int) -> None:
    pipes = [os.pipe() for _ in range(number)]
    kept, kept_too = os.pipe()
    close_together([write for _, write in pipes])
    for read, write in pipes:
        assert os.read(read, 1) == b"", "nobody holds the other end any more"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(write)
        os.close(read)
    os.write(kept_too, b"x")
    assert os.read(kept, 1) == b"x"
    os.close(kept)
    os.close(kept_too)
