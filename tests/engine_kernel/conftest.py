"""A lab with nodes and no bridge yet, for changes of the kernel engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.engine_kernel.bridge_in_kernel import KernelLab, kernel_lab


@pytest.fixture
def lab() -> Iterator[KernelLab]:
    with kernel_lab() as made:
        yield made
