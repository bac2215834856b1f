"""The kernel's queueing disciplines for a shape: what is written is what is read."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.networks import namespace, needs_root, veth

from linkspan.engine.netlink import Netlink
from linkspan.engine.queueing import drop_shapes, put_shape, read_shapes, shape_of
from linkspan.engine.reading.dump import Dumps, attributes, text
from linkspan.errors import Refusal
from linkspan.model.shaping import Shape, bandwidth
from linkspan.sandbox.namespaces import inside

BANDWIDTHS = st.one_of(
    st.integers(8, 999_999).map(lambda number: bandwidth(f"{number}k")),
    st.integers(1, 100_000).map(lambda number: bandwidth(f"{number}M")),
)
SHAPES = st.builds(
    Shape,
    bandwidth=st.none() | BANDWIDTHS,
    delay=st.floats(0, 60).map(lambda seconds: round(seconds, 6)),
    loss=st.floats(0, 100).map(lambda percent: round(percent, 4)),
)


def written(shape: Shape) -> tuple[str, bytes]:
    """Kind and options in the message that asks for a shape."""
    message = put_shape(7, shape).message
    values = attributes(message.body, struct.calcsize("=BxxxiIII"))
    return text(values[1]), values[2]


@given(SHAPES.filter(lambda shape: shape != Shape()))
def test_what_is_written_is_what_is_read(shape: Shape) -> None:
    kind, options = written(shape)
    assert kind == ("netem" if shape.delay or shape.loss else "tbf")
    assert shape_of(kind, options) == shape


@needs_root
def test_an_interface_is_limited_and_free_again() -> None:
    with namespace() as network:
        veth(network, "a", "b", network)
        with inside(network), Netlink() as netlink, Dumps() as dumps:
            index = netlink.index("a")
            assert read_shapes(dumps) == {}
            for text_of in ("10M", "64k", "100G", "10M"):
                netlink.run([put_shape(index, Shape(text_of))])
                assert read_shapes(dumps) == {index: Shape(text_of)}
            of_tbf, of_netem = drop_shapes(index)
            netlink.run([of_tbf])
            assert read_shapes(dumps) == {}
            with pytest.raises(Refusal, match="lift the limits"):
                netlink.run([of_netem])
